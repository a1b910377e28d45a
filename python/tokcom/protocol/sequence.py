"""Numbers of which the lower half travels, and which of them have come."""

NUMBERS = 1 << 16
"""Numbers travel modulo this."""
WINDOW = 1024
"""Largest distance of a number behind the newest."""


def whole_number(low: int, highest: int) -> int:
    """The whole number, at least 0, nearest to the highest one so far whose lower 16 bits are given."""
    guess = (highest & -NUMBERS) | low
    if guess - highest > NUMBERS // 2 and guess >= NUMBERS:
        return guess - NUMBERS
    return guess + NUMBERS if highest - guess >= NUMBERS // 2 else guess


class ReplayWindow:
    """Record of the newest numbers received.

    Attributes:
        highest: the newest; 0 at first.
        count: how many have come.
    """

    def __init__(self) -> None:
        self.highest, self.count = 0, 0
        self._seen = 0

    def is_new(self, number: int) -> bool:
        """Whether a number has not come yet; of those too old to tell, none is new."""
        behind = self.highest - number
        return behind < 0 or (behind < WINDOW and number > 0 and not self._seen >> behind & 1)

    def add(self, number: int) -> None:
        """Note a number that is new."""
        ahead = number - self.highest
        if ahead > 0:
            self._seen = (self._seen << min(ahead, WINDOW) | 1) & ((1 << WINDOW) - 1)
            self.highest = number
        else:
            self._seen |= 1 << -ahead
        self.count += 1

    def before(self, bits: int = 128) -> int:
        """Bit i is 1 where the number i + 1 below the highest has come."""
        return self._seen >> 1 & ((1 << bits) - 1)

    def nearest(self, low: int, high: int) -> tuple[int | None, int | None]:
        """The nearest numbers below `low` and above `high` that have come, of those not too old to tell; None: none."""
        low = min(low, self.highest + 1)
        below = self._seen >> self.highest + 1 - low
        above = self._seen & ((1 << max(self.highest - high, 0)) - 1)
        return (
            low - (below & -below).bit_length() if below else None,
            self.highest + 1 - above.bit_length() if above else None,
        )
