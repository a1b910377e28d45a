"""Sections of a block's decisions: each has a dither of its own, whose number is coded ahead of all decisions."""

from collections.abc import Sequence

import numpy as np

from tokcom.source.dither import MARGIN, NO_DITHER, SECTION, find_dither, first_suits
from tokcom.source.range_coder import DecisionDecoder, DecisionEncoder


class Sections:
    """Division of a block's decisions into sections of at most SECTION decisions.

    Args:
        tokens: number of tokens.
        width: decisions per token.
    """

    def __init__(self, tokens: int, width: int):
        pieces = -(-tokens * width // SECTION)
        self.bounds = [(tokens * piece // pieces, tokens * (piece + 1) // pieces) for piece in range(pieces)]
        self._chances = [first_suits((end - start) * width) for start, end in self.bounds]

    def find(self, log_odds: np.ndarray, margin: float = MARGIN) -> np.ndarray:
        """Find a dither for each section, int (sections,), by the log-odds (tokens, width) of its decisions."""
        return np.array([find_dither(log_odds[start:end].ravel(), margin) for start, end in self.bounds])

    def write(self, coder: DecisionEncoder, dithers: Sequence[int]) -> None:
        """Encode the number of each section's dither: those tried before it, and whether it was found."""
        for number, chance in zip(dithers, self._chances, strict=True):
            write_dither(coder, number, chance)

    def read(self, coder: DecisionDecoder) -> np.ndarray:
        """Decode what `write` encoded, int (sections,)."""
        return np.array([read_dither(coder, chance) for chance in self._chances])

    def spread(self, dithers: np.ndarray) -> np.ndarray:
        """Repeat dithers (…, sections) per token (…, tokens)."""
        return np.repeat(dithers, [end - start for start, end in self.bounds], axis=-1)


def write_dither(coder: DecisionEncoder, number: int, chance: int) -> None:
    """Encode the number of a section's dither, the first suitable one, as one decision per dither tried.

    Args:
        coder: the encoder.
        number: 0 to NO_DITHER.
        chance: probability that a dither suits, from `first_suits`.
    """
    tried = np.arange(min(number + 1, NO_DITHER))
    coder.encode(tried == number, np.full(len(tried), chance))


def read_dither(coder: DecisionDecoder, chance: int) -> int:
    """Decode what `write_dither` encoded."""
    number = 0
    while number < NO_DITHER and not coder.decode(np.array([chance]))[0]:
        number += 1
    return number
