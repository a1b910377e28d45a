"""Goodness of fit: whether any code word explains the received signal.

Posteriors compare code words only with each other. If the payload does not match the assumed noise variance (another
burst collides, samples are lost, the transmitter stops), one of them still wins, and by far. Therefore the noise of a
burst is re-estimated relative to its closest code words. Then every packet's winner must pass two tests: the noise must
account for its distance, and it must explain the received signal better than the hypothesis of no code word.
"""

from dataclasses import dataclass

import numpy as np

from tokcom.errors import ParameterError

LARGEST_DEVIATE = 3.3
"""Standard normal deviate of a code word's distance that noise of the assumed variance exceeds only once in 2000."""
SLACK = 1.2
"""Factor by which the noise may exceed the receiver's estimate, whose error in an undisturbed burst can be this
large."""
NOTHING_ODDS = 12.0
"""Prior log-odds of a code word against none: the smallest, in steps of 2, that lose no correct packet out of 14,400 of
training photographs through AWGN, EPA and EVA at 1 to 10 dB, in mode list or context."""
RAISED_NOTHING_ODDS = -10.0
"""The same for packets whose noise was raised."""
RAISED_DOUBT = 4.5
"""Nepers by which posteriors are lowered if the noise was raised, because its cause need not be Gaussian."""


@dataclass(frozen=True)
class GoodnessOfFit:
    """Fit of code words to the packets of a burst.

    Attributes:
        n_symbols: int (n_packets,), number of symbols counted per packet.
        nearest: float (n_packets,), summed |received - nearest point|^2 over the noise variance.
        nothing: float (n_packets,), nepers by which the symbols, as noise alone of unknown power, are less likely than
            noise at its most likely.
        noise: float (n_packets,), at least 1, factor by which the noise must exceed the receiver's estimate.
    """

    n_symbols: np.ndarray
    nearest: np.ndarray
    nothing: np.ndarray
    noise: np.ndarray

    @classmethod
    def of_burst(cls, n_symbols: np.ndarray, misfit: np.ndarray, closest: np.ndarray) -> "GoodnessOfFit":
        """Estimate the noise of a burst relative to its closest code words.

        They are at least as close as those sent, so if even they are too far off, the noise is stronger: in the whole
        burst, or in one of its packets.

        Args:
            n_symbols: int (n_packets,), 0 for packets that were not sent.
            misfit: float (n_packets, 2), from `link.packets.MixedPackets.misfit`.
            closest: float (n_packets,), distance of the closest code words beyond that of the nearest points.

        Raises:
            ParameterError: the misfit does not have two values per packet.
        """
        misfit = np.asarray(misfit, np.float64)
        if misfit.shape != (len(n_symbols), 2):
            raise ParameterError(
                f"misfit has shape {misfit.shape}; {len(n_symbols)} packets need ({len(n_symbols)}, 2)"
            )
        distance, total = misfit[:, 0] + closest, max(n_symbols.sum(), 1)
        burst = distance.sum() / total if distance.sum() > largest_distance(total) else 1.0
        own = np.where(distance > largest_distance(n_symbols), distance / np.maximum(n_symbols, 1), 1.0)
        return cls(n_symbols, misfit[:, 0], misfit[:, 1], np.maximum(own, burst))

    def of_winners(self, rows: np.ndarray, beyond: np.ndarray) -> "WinnersFit":
        """Goodness of fit of packets' winners to this transmission.

        Args:
            rows: int (n,), the packets.
            beyond: float (n,), how much further than the nearest points their winners are.
        """
        n, noise = self.n_symbols[rows], self.noise[rows]
        distance = (self.nearest[rows] + beyond) / noise
        return WinnersFit(n, distance, self.nothing[rows] - distance - n * np.log(noise), noise > 1)


@dataclass(frozen=True)
class WinnersFit:
    """Goodness of fit of packets' likeliest code words to what was received, in one transmission or several.

    Attributes:
        n_symbols: int (n,), symbols that count.
        distance: float (n,), summed |received - code word|^2 over the variance that the noise has.
        gain: float (n,), nepers by which the code words explain what was received better than noise alone does.
        raised: bool (n,), whether the noise was found stronger than the receiver believed.
    """

    n_symbols: np.ndarray
    distance: np.ndarray
    gain: np.ndarray
    raised: np.ndarray

    def __add__(self, other: "WinnersFit") -> "WinnersFit":
        """Goodness of fit of two transmissions together."""
        return WinnersFit(
            self.n_symbols + other.n_symbols, self.distance + other.distance, self.gain + other.gain,
            self.raised | other.raised,
        )  # fmt: skip

    def code_word_odds(self, log_prior: np.ndarray) -> np.ndarray:
        """Log-odds of the winners against no code word at all.

        Args:
            log_prior: float (n,), of the winners' tokens.

        Returns:
            float64 (n,), -inf if the noise does not account for the distance, inf if nothing was sent.
        """
        odds = log_prior + self.gain + np.where(self.raised, RAISED_NOTHING_ODDS, NOTHING_ODDS)
        fits = self.distance <= largest_distance(self.n_symbols)
        return np.where(self.n_symbols == 0, np.inf, np.where(fits, odds, -np.inf))

    def believed(self, log_odds: np.ndarray, code_word_odds: np.ndarray) -> np.ndarray:
        """Log-odds of the winners against other code words and none: float64 (n,)."""
        lowered = log_odds - np.where(self.raised, RAISED_DOUBT, 0)
        return -np.logaddexp(-lowered, -code_word_odds)


def largest_distance(n_symbols: np.ndarray) -> np.ndarray:
    """Compute the largest acceptable sum of |noise|^2 over its assumed variance for n_symbols symbols, float64 of their
    shape.

    The sum is gamma-distributed; the approximation of Wilson and Hilferty (1931), with LARGEST_DEVIATE and SLACK.
    """
    n = np.maximum(n_symbols, 1)
    return np.where(
        np.asarray(n_symbols) > 0, SLACK * n * (1 - 1 / (9 * n) + LARGEST_DEVIATE / (3 * np.sqrt(n))) ** 3, 0.0
    )
