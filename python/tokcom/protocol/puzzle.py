"""Packets of which no place is known, put in order like a jigsaw puzzle.

The prior tells for each token how it changes the probabilities of its neighbours, wherever it stands. Each two packets
at each two places then fit together well or badly, and simulated annealing (Kirkpatrick, Gelatt and Vecchi, 1983)
solves the quadratic assignment problem of which this is the objective.
"""

from itertools import product

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import Prior
from tokcom.frame import LOST
from tokcom.kernels import kernel
from tokcom.packets.layout import PADDING

REACH = 2
"""Steps of the grid over which tokens tell of each other."""
WEIGHTS = {1: 0.8, 2: 0.2, 4: 0.1, 5: 0.1, 8: 0.1}
"""Weights of what two tokens tell of each other, by the square of their distance: a token's neighbours tell much the
same of it, and each counts."""
MAX_PLACES = 64
"""Packets of the largest puzzle: what is computed for it takes memory by their fourth power."""
STARTS, SWEEPS, HOT, COLD = 2, 800, 8.0, 1.0
"""Runs of the annealing, its length in tried exchanges of each two packets, and first and last temperature."""
FORBIDDEN = -1e4


def is_puzzle(grid: tuple[int, ...], positions: np.ndarray) -> bool:
    """Whether packets of a frame can be arranged: it is a picture, neither too small nor of too many packets."""
    return len(grid) == 2 and min(grid) > 2 * REACH and len(positions) <= MAX_PLACES


def arrange(
    prior: Prior, grid: tuple[int, int], condition: Condition, packets: np.ndarray, positions: np.ndarray,
    allowed: np.ndarray, seed: int,
) -> np.ndarray:  # fmt: skip
    """int (n,): a place for each packet, each place at most once.

    Args:
        prior: of the packets' tokens.
        grid: of the frame; `is_puzzle` holds.
        condition: what the prior is told.
        packets: int (n, tokens_per_packet), at most as many as there are places.
        positions: int (n_places, tokens_per_packet), which tokens each place carries.
        allowed: bool (n, n_places), where each may be; the best of what is found may break that if nothing else fits.
        seed: of the annealing.

    Raises:
        ModelError: the prior does not fit the frame.
    """
    words, own = np.unique(packets, return_inverse=True)
    own = own.reshape(packets.shape)
    alone, gains = _gains(prior, grid, condition, words)
    used = positions != PADDING
    n_places = len(positions)
    # Places that stay empty are filled with packets that fit everywhere equally well.
    at_place = np.zeros((n_places, n_places), np.float32)
    logs = alone[np.where(used, positions, 0)][:, :, own].transpose(2, 0, 1, 3)  # packet, place, slot of both
    at_place[: len(packets)] = np.einsum("npss,ps->np", logs, used.astype(np.float32))
    at_place[: len(packets)][~allowed] = FORBIDDEN
    together = _together(gains, grid, own, positions)
    rng = np.random.default_rng(seed)
    starts = [rng.permutation(n_places) for _ in range(STARTS)]
    found = [_anneal(together, at_place, start, rng) for start in starts]
    return max(found, key=lambda each: each[1])[0][: len(packets)]


def _gains(
    prior: Prior, grid: tuple[int, int], condition: Condition, words: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Log-probabilities of words where nothing is known, float32 (n_tokens, words), and what a word that is known adds
    to them around it, float32 (words, 2 REACH + 1, 2 REACH + 1, words)."""
    empty = np.full(grid, LOST, np.int32)
    everywhere = np.ones((1, empty.size), bool)
    alone = prior.log_probabilities(empty.reshape(1, -1), everywhere, [condition])[:, words]
    # Several words are tried at once, out of reach of each other.
    axes = [(side // 4, side - 1 - side // 4) if side // 4 >= REACH and side > 4 * REACH + 1 else (side // 2,)
            for side in grid]  # fmt: skip
    anchors = list(product(*axes))
    frames, wanted = [], []
    for start in range(0, len(words), len(anchors)):
        frame, asked = empty.copy(), np.zeros(grid, bool)
        for word, (row, column) in zip(words[start : start + len(anchors)], anchors, strict=False):
            asked[row - REACH : row + REACH + 1, column - REACH : column + REACH + 1] = True
            frame[row, column] = word
        frames.append(frame.ravel())
        wanted.append((asked & (frame == LOST)).ravel())
    width = 2 * REACH + 1
    gains = np.zeros((len(words), width, width, len(words)), np.float32)
    for number in range(0, len(frames), prior.at_once):
        part = slice(number, number + prior.at_once)
        shown, asked = np.stack(frames[part]), np.stack(wanted[part])
        logs = prior.log_probabilities(shown, asked, [condition] * len(shown))[:, words]
        table = np.zeros((*shown.shape, len(words)), np.float32)
        table[asked] = logs - np.broadcast_to(alone, table.shape)[asked]
        table = table.reshape(len(shown), *grid, len(words))
        for offset in range(len(shown)):
            first = (number + offset) * len(anchors)
            for word, (row, column) in zip(range(first, min(first + len(anchors), len(words))), anchors, strict=False):
                around = slice(row - REACH, row + REACH + 1), slice(column - REACH, column + REACH + 1)
                gains[word] = table[offset][around]
    return alone, gains


def _together(gains: np.ndarray, grid: tuple[int, int], own: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """float32 (n_places, n_places, n_places, n_places): how packet i at place p and packet j at place q fit together,
    by i, p, j, q; 0 for packets beyond those that came."""
    n_places, count = len(positions), len(own)
    rows, columns = np.divmod(positions, grid[1])
    fit = np.zeros((n_places,) * 4, np.float32)
    for first, second in product(range(positions.shape[1]), repeat=2):
        down = rows[None, :, second] - rows[:, None, first]
        right = columns[None, :, second] - columns[:, None, first]
        near = (np.maximum(np.abs(down), np.abs(right)) <= REACH) & ~np.eye(n_places, dtype=bool)
        near &= (positions[:, None, first] != PADDING) & (positions[None, :, second] != PADDING)
        for here, there in np.argwhere(near):
            steps = int(down[here, there]), int(right[here, there])
            told = gains[own[:, first], steps[0] + REACH, steps[1] + REACH][:, own[:, second]]
            # Each of the two tells of the other.
            told = told * np.float32(WEIGHTS[steps[0] ** 2 + steps[1] ** 2] / 2)
            fit[:count, here, :count, there] += told
            fit[:count, there, :count, here] += told.T
    return fit


@kernel
def _anneal(
    fit: np.ndarray, at_place: np.ndarray, start: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, float]:
    """The best arrangement that comes about by exchanging packets, int (n,), and its score."""
    count, place = len(start), start.copy()
    # Score of each packet at each place, as all others are.
    scores = at_place.copy()
    for other in range(count):
        told = fit[other, place[other]]
        for packet in range(count):
            if packet != other:
                for where in range(count):
                    scores[packet, where] += told[packet, where]
    total = 0.0
    for packet in range(count):
        total += (scores[packet, place[packet]] + at_place[packet, place[packet]]) / 2
    best, most = place.copy(), total
    for sweep in range(SWEEPS):
        temperature = HOT * (COLD / HOT) ** (sweep / max(SWEEPS - 1, 1))
        for _ in range(count * count // 2):
            one, two = rng.integers(0, count), rng.integers(0, count)
            here, there = place[one], place[two]
            if one == two:
                continue
            gain = scores[one, there] - fit[one, there, two, there] + scores[two, here] - fit[two, here, one, here]
            gain += fit[one, here, two, there] + fit[one, there, two, here] - scores[one, here] - scores[two, there]
            if gain < 0 and rng.random() >= np.exp(gain / temperature):
                continue
            place[one], place[two] = there, here
            total += gain
            for packet in range(count):
                for where in range(count):
                    change = np.float32(0)
                    if packet != one:
                        change += fit[one, there, packet, where] - fit[one, here, packet, where]
                    if packet != two:
                        change += fit[two, here, packet, where] - fit[two, there, packet, where]
                    scores[packet, where] += change
            if total > most:
                most = total
                best[:] = place
    return best, most
