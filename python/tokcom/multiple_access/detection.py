"""Detection of the tokens sent in each slot, jointly for all transmitters of a slot.

The log-likelihood of a pair (a, b) is

    2 Re(u_a^H H1^H y) + 2 Re(u_b^H H2^H y) - 2 Re(u_a^H H1^H H2 u_b)

over the noise, up to a constant: for two transmitters every pair of words is weighed. For three and four, pairs take
turns while the others are known as well as they are, and lists of the likeliest words are weighed exactly in the end.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import combinations

import numpy as np

from tokcom.errors import ParameterError
from tokcom.kernels import kernel
from tokcom.processors import usable_processors

REACH = 25.0
"""Nepers below the best pair from which pairs do not count."""
LIST_WORDS = {3: 24, 4: 12}
"""Words of each transmitter that are weighed in all combinations, by the number of transmitters."""
LIKELY = 128
"""Words of each transmitter that pairs are made of once all were weighed."""
TURNS = 3
"""Times that every pair is decided where there are more than two."""
LEAST = np.float32(-80)
"""Log-probability of what no combination within REACH has."""
SLOTS_PER_TASK = 8
ROWS = 32
"""Words of the first transmitter that are paired with all of the second at a time."""
MAX_USERS = 4


def tuple_posteriors(
    values: np.ndarray, channels: np.ndarray, noise: np.ndarray, vectors: np.ndarray, log_priors: np.ndarray,
    among: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Posteriors of every transmitter's token in every slot, given what was received and all priors.

    Args:
        values: complex64 (slots, length), received.
        channels: complex64 (users, slots, length), 1 to 4 users.
        noise: float32 (slots, length), variance of the noise.
        vectors: complex64 (words, length), the codebook of modulation vectors.
        log_priors: float32 (users, slots, words), natural logarithms.
        among: bool (users, slots, words), words that pairs are made of; None: all. More than two users ignore it.

    Returns:
        float32 (users, slots, words), natural log-probabilities. For one and two users exact but for words all of
        whose pairs are e**-25 times less likely than the best.

    Raises:
        ParameterError: there are more than four users.
    """
    users, slots = channels.shape[:2]
    if not 1 <= users <= MAX_USERS:
        raise ParameterError(f"{users} transmitters in a slot; joint detection takes 1 to {MAX_USERS}")
    out = np.empty((users, slots, len(vectors)), np.float32)
    scale = 1 / np.sqrt(noise)
    y, h = values * scale, channels * scale

    def work(part: slice) -> None:
        for slot in range(*part.indices(slots)):
            words = h[:, slot, None] * vectors
            flat = np.ascontiguousarray(words).view(np.float32)
            received = np.ascontiguousarray(y[slot]).view(np.float32)
            chosen = None if among is None else among[:, slot]
            out[:, slot] = _slot_posteriors(flat, received, log_priors[:, slot], chosen)

    tasks = [slice(first, first + SLOTS_PER_TASK) for first in range(0, slots, SLOTS_PER_TASK)]
    if len(tasks) == 1:
        work(tasks[0])
    else:
        list(_pool(os.getpid()).map(work, tasks))
    return out


def _slot_posteriors(
    words: np.ndarray, received: np.ndarray, log_priors: np.ndarray, among: np.ndarray | None
) -> np.ndarray:
    """Detect one slot: words are float32 (users, words, 2 * length), whitened and through the channels."""
    single = 2 * words @ received - (words**2).sum(axis=2) + log_priors
    if len(words) == 1:
        return _normalized(single)
    if len(words) == 2:
        if among is None:
            return np.stack(_pair(words[0], words[1], single[0], single[1]))
        places = [np.flatnonzero(each) for each in among]
        chosen = [each[some] for each, some in zip((*words, *single), places * 2, strict=True)]
        out = np.full(log_priors.shape, LEAST, np.float32)
        for user, found in enumerate(_pair(*chosen)):
            out[user, places[user]] = found
        return out
    return _more(words, received, log_priors)


def _pair(
    first: np.ndarray, second: np.ndarray, score_1: np.ndarray, score_2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Logs of the two marginals of exp(score_1[a] + score_2[b] - 2 first[a] second[b]), float32."""
    doubled, other = -2 * first, np.ascontiguousarray(second.T)
    row_best, column_best = np.empty(len(first), np.float32), np.full(len(second), -np.inf, np.float32)
    # A few rows at a time stay in the processor's cache.
    cross, here = np.empty((ROWS, len(second)), np.float32), np.empty(len(second), np.float32)
    for start in range(0, len(first), ROWS):
        part = slice(start, start + ROWS)
        some = np.matmul(doubled[part], other, out=cross[: len(doubled[part])])
        _best_of(some, score_1[part], score_2, row_best[part], here)
        np.maximum(column_best, here, out=column_best)
    best = row_best.max()
    rows, columns = (np.flatnonzero(each > best - REACH) for each in (row_best, column_best))
    # Within reach is usually a small block of all pairs.
    block = doubled[rows] @ second[columns].T
    block += (score_1[rows] - best)[:, None]
    block += score_2[columns]
    np.exp(block, out=block)
    out = np.full(len(first), LEAST, np.float32), np.full(len(second), LEAST, np.float32)
    for each, places, axis in ((out[0], rows, 1), (out[1], columns, 0)):
        share = block.sum(axis=axis)
        each[places] = np.maximum(np.log(np.maximum(share, 1e-37)) - np.log(share.sum()), LEAST)
    return out


def _more(words: np.ndarray, received: np.ndarray, log_priors: np.ndarray) -> np.ndarray:
    """Three or four transmitters: all words in the first turn, later those that were likely."""
    posterior = log_priors.copy()
    every = np.arange(words.shape[1])
    moments = [_moments(*each) for each in zip(words, posterior, strict=True)]
    for turn in range(TURNS):
        kept = [
            every if turn == 0 or len(every) <= LIKELY else np.argpartition(-each, LIKELY)[:LIKELY]
            for each in posterior
        ]
        for pair in combinations(range(len(words)), 2):
            others = [user for user in range(len(words)) if user not in pair]
            # What is not known of the others is noise; half of a complex variance of 1 is the receiver's own.
            scale = 1 / np.sqrt(1 + 2 * sum(moments[user][1] for user in others))
            left = (received - sum(moments[user][0] for user in others)) * scale
            chosen = [words[user][kept[user]] * scale for user in pair]
            single = [
                2 * each @ left - (each**2).sum(axis=1) + log_priors[user, kept[user]]
                for user, each in zip(pair, chosen, strict=True)
            ]
            for user, found in zip(pair, _pair(*chosen, *single), strict=True):
                posterior[user] = LEAST
                posterior[user, kept[user]] = found
                moments[user] = _moments(words[user][kept[user]], found)
    return _listed(words, received, log_priors, posterior)


def _listed(words: np.ndarray, received: np.ndarray, log_priors: np.ndarray, posterior: np.ndarray) -> np.ndarray:
    """All combinations of the likeliest words of each transmitter."""
    count = min(LIST_WORDS[len(words)], words.shape[1])
    lists = np.argpartition(-posterior, count - 1, axis=1)[:, :count]
    rows = np.arange(len(words))[:, None]
    chosen = words[rows, lists]
    total = np.zeros((1,) * len(words), np.float32)
    for user in range(len(words)):
        single = 2 * chosen[user] @ received - (chosen[user] ** 2).sum(axis=1) + log_priors[user, lists[user]]
        total = total + _along(single, (user,), len(words))
    for one, two in combinations(range(len(words)), 2):
        total = total - 2 * _along(chosen[one] @ chosen[two].T, (one, two), len(words))
    weights = np.exp(total - total.max())
    out = np.full(posterior.shape, LEAST, np.float32)
    for user in range(len(words)):
        share = weights.sum(axis=tuple(other for other in range(len(words)) if other != user))
        out[user, lists[user]] = np.maximum(np.log(np.maximum(share / share.sum(), 1e-35)), LEAST)
    return out


def _along(array: np.ndarray, axes: tuple[int, ...], count: int) -> np.ndarray:
    """The array with its axes at these places of `count`."""
    shape = [1] * count
    for axis, side in zip(axes, array.shape, strict=True):
        shape[axis] = side
    return array.reshape(shape)


def _moments(words: np.ndarray, log_probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each real coordinate."""
    weights = np.exp(log_probability - log_probability.max())
    weights /= weights.sum()
    mean = weights @ words
    return mean, np.maximum(weights @ words**2 - mean**2, 0)


def _normalized(scores: np.ndarray) -> np.ndarray:
    peak = scores.max(axis=-1, keepdims=True)
    return np.maximum(scores - peak - np.log(np.exp(scores - peak).sum(axis=-1, keepdims=True)), LEAST)


@kernel(fastmath=True)
def _best_of(cross, score_1, score_2, row_best, column_best):
    """The best sum in each row and each column."""
    column_best[:] = -3e38
    for a in range(cross.shape[0]):
        here, own = np.float32(-3e38), score_1[a]
        for b in range(cross.shape[1]):
            value = cross[a, b] + score_2[b]
            here = max(here, value)
            column_best[b] = max(column_best[b], value + own)
        row_best[a] = here + own


@lru_cache(maxsize=1)
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process: a fork has none of its parent's."""
    return ThreadPoolExecutor(usable_processors(), "multiple-access")
