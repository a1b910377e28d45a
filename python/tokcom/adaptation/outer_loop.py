"""The outer loop of link adaptation: what CQI and tables get wrong is learnt from packets that were lost."""

from tokcom.errors import ParameterError


class OuterLoop:
    """An offset on Es/N0 that holds a packet error rate (OLLA).

    A lost packet lowers the offset by `step_db`, a good one raises it by *step_db · target / (1 - target)*, so that it
    rests where the target is met. Source: Sampath et al., "On setting reverse link target SIR in a CDMA system",
    VTC 1997.

    Args:
        target: PER to hold, above 0 and below 1.
        step_db: for a lost packet, in dB, above 0.
        limit_db: largest magnitude of the offset in dB, above 0.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    def __init__(self, target: float = 0.1, step_db: float = 0.02, limit_db: float = 15.0):
        if not 0 < target < 1:
            raise ParameterError(f"target is {target}; it must lie between 0 and 1")
        for name, value in (("step_db", step_db), ("limit_db", limit_db)):
            if not value > 0:
                raise ParameterError(f"{name} is {value}; it must be above 0 dB")
        self.target, self.step_db, self.limit_db = target, step_db, limit_db
        self.offset_db = 0.0

    def report(self, lost: int, packets: int, expected: float | None = None) -> None:
        """Learn from a burst.

        Args:
            lost: packets of it that were lost.
            packets: packets of it that were sent.
            expected: how many the policy expected to be lost; None for the target's share of them.

        Raises:
            ParameterError: more were lost than sent.
        """
        if not 0 <= lost <= packets:
            raise ParameterError(f"{lost} packets lost of {packets} sent; there cannot be more")
        expected = self.target * packets if expected is None else expected
        offset = self.offset_db + self.step_db * (expected - lost) / (1 - self.target)
        self.offset_db = max(-self.limit_db, min(self.limit_db, offset))
