"""Outer loop of link adaptation: corrects errors of CQI and tables from observed packet losses."""

from tokcom.errors import ParameterError


class OuterLoop:
    """Offset on Es/N0 that holds a packet error rate (OLLA).

    A lost packet lowers the offset by `step_db`, a good one raises it by *step_db · target / (1 - target)*, so that it
    settles where the target is met. Source: Sampath et al., "On setting reverse link target SIR in a CDMA system", VTC
    1997.

    Args:
        target: target PER, above 0 and below 1.
        step_db: step per lost packet in dB, above 0.
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
        """Update the offset from a burst.

        Args:
            lost: number of its packets that were lost.
            packets: number of its packets that were sent.
            expected: number of losses that the policy expected; None for the target's share.

        Raises:
            ParameterError: more packets were lost than sent.
        """
        if not 0 <= lost <= packets:
            raise ParameterError(f"{lost} packets lost of {packets} sent; it must be 0 to {packets}")
        expected = self.target * packets if expected is None else expected
        offset = self.offset_db + self.step_db * (expected - lost) / (1 - self.target)
        self.offset_db = max(-self.limit_db, min(self.limit_db, offset))
