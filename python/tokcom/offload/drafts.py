"""Drafts of words: a small causal model on a device proposes them, a large one at the edge accepts or corrects them.

A drafted word travels as 64 bits: up to 8 words that the device drew from, their probabilities in 32nds, and which of
them it drew. The large model settles it in one of two ways.

- IDENTICAL: the word must be the one that the large model draws by itself, with the same seed. What comes out is what
  the large model alone would have written. The device draws with the same noise, so that both often draw the same word.
- IN_LAW: the word is accepted with probability min(1, p/q), or replaced by one drawn from the positive part of p - q
  (Leviathan et al., ICML 2023; arXiv 2211.17192). What comes out follows the large model's probabilities, whatever the
  device drew from; more is accepted. q is the distribution that travels, in 32nds, and the device draws from it (as in
  arXiv 2507.00605).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np

from tokcom.context.causal import Paths
from tokcom.context.sampling import Sampling
from tokcom.errors import MessageError

IDENTICAL, IN_LAW = 0, 1
MAX_CANDIDATES, SHARES = 8, 32
"""Words of a draft at most, and the units in which their probabilities are."""
RECORD_BITS = 64
MAX_WORDS = 1 << 18
"""Largest codebook."""
_CHOICE, _VERDICT = 1, 2
"""Streams of random numbers: the device's choice, and the server's."""


@dataclass(frozen=True)
class Draft:
    """A drafted word, and what it was drawn from.

    Attributes:
        words: the candidates, rising, at most MAX_CANDIDATES.
        shares: their probabilities in units of 1 / SHARES, each at least 1, which sum to SHARES.
        chosen: which of them was drawn.
    """

    words: tuple[int, ...]
    shares: tuple[int, ...]
    chosen: int

    @property
    def word(self) -> int:
        """The word that was drawn."""
        return self.words[self.chosen]

    @property
    def record(self) -> int:
        """The draft as a number below 2^64."""
        count = len(self.words)
        cuts = np.cumsum(self.shares)[:-1] - 1
        number = _rank(self.words) * comb(SHARES - 1, count - 1) + _rank(cuts.tolist())
        return (number * count + self.chosen) * MAX_CANDIDATES + count - 1

    @classmethod
    def of_record(cls, record: int, codebook_size: int) -> "Draft":
        """Read a record.

        Raises:
            MessageError: it names words beyond the codebook.
        """
        number, count = record // MAX_CANDIDATES, record % MAX_CANDIDATES + 1
        number, chosen = divmod(number, count)
        number, cuts = divmod(number, comb(SHARES - 1, count - 1))
        if number >= comb(codebook_size, count):
            raise MessageError(f"a draft names words beyond the {codebook_size} of its codebook")
        ends = [0, *(each + 1 for each in _set(cuts, count - 1, SHARES - 1)), SHARES]
        return cls(tuple(_set(number, count, codebook_size)), tuple(np.diff(ends).tolist()), chosen)


def drafted(log_probabilities: np.ndarray, sampling: Sampling, place: int, rule: int) -> Draft:
    """Draft the word at a place.

    Args:
        log_probabilities: float (words,), of the small model.
        sampling: how the large model draws; its temperature must be above 0 for IN_LAW.
        place: number of words before it.
        rule: IDENTICAL or IN_LAW.
    """
    if rule == IDENTICAL:
        return Draft((sampling.draw(log_probabilities, place),), (SHARES,), 0)
    logs = sampling.tempered(log_probabilities)
    words = _candidates(logs)
    shares = _shares(np.exp(logs[words]))
    chosen = int(sampling.rng(place, _CHOICE).choice(len(words), p=shares / SHARES))
    return Draft(tuple(map(int, words)), tuple(map(int, shares)), chosen)


def judged(
    paths: Paths, pending: Sequence[int], drafts: Sequence[Draft], place: int, sampling: Sampling, rule: int
) -> tuple[list[int], Paths]:  # fmt: skip
    """Accept drafts as long as they agree with the large model, and add one word of its own behind them.

    Args:
        paths: one path of the large model.
        pending: words that it has not yet followed.
        drafts: the drafts of the words behind these.
        place: number of words before the first draft.
        sampling: how words are drawn.
        rule: IDENTICAL or IN_LAW.

    Returns:
        The words, between one and one more than there are drafts, of which the last is not a draft's; and the path that
        has followed all but the last.
    """
    states = paths.traced(np.array([*pending, *(each.word for each in drafts)], np.int64))[len(pending) :]
    made: list[int] = []
    for number, draft in enumerate([*drafts, None]):
        logs = states[number].log_probabilities[0]
        made.append(_settled(logs, draft, place + number, sampling, rule))
        if draft is None or made[-1] != draft.word:
            break
    return made, states[len(made) - 1]


def _settled(logs: np.ndarray, draft: Draft | None, place: int, sampling: Sampling, rule: int) -> int:
    """Return the word at a place; behind the last draft, where there is no draft, the large model draws alone."""
    if rule == IDENTICAL:
        return sampling.draw(logs, place)
    own = np.exp(sampling.tempered(logs))
    rng = sampling.rng(place, _VERDICT)
    if draft is not None:
        if rng.random() < acceptance(own, draft)[draft.chosen]:
            return draft.word
        own = residual(own, draft)
    return int(rng.choice(len(own), p=own))


def acceptance(own: np.ndarray, draft: Draft) -> np.ndarray:
    """Compute the probability with which each candidate is accepted if it was drawn, float64 (candidates,).

    Args:
        own: float64 (words,), probabilities of the large model.
        draft: the draft.
    """
    return np.minimum(1.0, own[list(draft.words)] * SHARES / np.array(draft.shares))


def residual(own: np.ndarray, draft: Draft) -> np.ndarray:
    """Compute the probabilities of words in place of a draft that is not accepted, float64 (words,); arguments as for
    `acceptance`."""
    left = own.copy()
    left[list(draft.words)] -= np.array(draft.shares) / SHARES
    left = np.maximum(left, 0.0)
    total = left.sum()
    # Both are the same distribution but for rounding: then nothing is ever replaced.
    return left / total if total > 0 else own / own.sum()


def _candidates(logs: np.ndarray) -> np.ndarray:
    """Choose words to draw from, rising: as much probability as 64 bits can name.

    A set of words costs as many bits as its largest number asks for, so that each of the likeliest is tried as that.
    """
    count = min(MAX_CANDIDATES, len(logs))
    likeliest = np.argpartition(logs, -count)[-count:]
    likeliest = likeliest[np.argsort(-logs[likeliest], kind="stable")]
    best, most = likeliest[:1], -np.inf
    for last in likeliest:
        below = [int(each) for each in likeliest if each < last and np.isfinite(logs[each])]
        chosen = [int(last), *below[: _room(int(last)) - 1]]
        mass = float(np.exp(logs[chosen]).sum())
        if mass > most:
            best, most = np.array(chosen), mass
    return np.sort(best)


def _room(last: int) -> int:
    """Compute how many words, the largest of which is `last`, a record has room for."""
    for count in range(min(MAX_CANDIDATES, last + 1), 1, -1):
        if comb(last + 1, count) * comb(SHARES - 1, count - 1) * count * MAX_CANDIDATES <= 1 << RECORD_BITS:
            return count
    return 1


def _shares(probabilities: np.ndarray) -> np.ndarray:
    """Round probabilities (n,) to units of 1 / SHARES: at least one each, the largest remainders up."""
    wanted = probabilities / probabilities.sum() * (SHARES - len(probabilities))
    shares = np.floor(wanted).astype(np.int64)
    up = np.argsort(shares - wanted, kind="stable")[: SHARES - len(probabilities) - shares.sum()]
    shares[up] += 1
    return shares + 1


def _rank(chosen: Sequence[int]) -> int:
    """Number a set of rising numbers among all sets of its size, by the largest first (combinatorial number system)."""
    return sum(comb(each, place + 1) for place, each in enumerate(chosen))


def _set(rank: int, count: int, size: int) -> list[int]:
    """Return the set of `count` of `size` numbers that `_rank` has numbered, rising."""
    found, high = [], size
    for place in range(count, 0, -1):
        low = place - 1  # the largest number whose sets begin at or below the rank, by bisection
        while high - low > 1:
            middle = (low + high) // 2
            if comb(middle, place) <= rank:
                low = middle
            else:
                high = middle
        found.append(low)
        rank -= comb(low, place)
        high = low
    return found[::-1]
