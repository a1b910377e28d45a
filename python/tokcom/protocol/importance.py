"""Costs of lost packets to a picture: the importance of each, beyond its surprise.

Losses add up unevenly. A packet that is easy to predict from its neighbours is not if those are lost as well, and a
token that is guessed wrong by another that looks alike costs nothing, however surprising it was. The packets to be
dropped first are therefore chosen together, by what the receiver shows without them.
"""

from collections.abc import Callable

import numpy as np

from tokcom.errors import FrameError
from tokcom.frame import LOST, TokenFrame
from tokcom.protocol.priority import CLASSES

STEPS, ROUNDS, GROUPS = 16, 4, 6
"""Steps in which packets are given back to a picture that has lost all; rounds in which they are exchanged after that,
and groups in which those that are not lost are tried in each."""


def packet_costs(
    show: Callable[[TokenFrame], np.ndarray], frame: TokenFrame, positions: np.ndarray,
    picture: np.ndarray | None = None, rounds: int = ROUNDS, seed: int = 0,
) -> np.ndarray:  # fmt: skip
    """float64 (n_packets,): what the loss of each packet costs the picture, in squared 8-bit steps per pixel of a
    patch, if a third of the packets is lost: those that cost least together. Errors of patches whose tokens are there
    count for lost ones beside them.

    The third is found by giving back to a picture that has lost everything what it misses most, step by step. Packets
    are exchanged after that, by their cost in either state, and the best third seen is kept. The number of pictures
    shown does not depend on the frame.

    Args:
        show: what the receiver shows of a frame with LOST tokens, uint8 (size, size, 3).
        frame: a whole picture, its grid rows and columns.
        positions: int (n_packets, tokens_per_packet), from `packets.layout.packet_positions`.
        picture: what the frame is of, uint8 (size, size, 3); None: what its tokens show.
        rounds: of exchanges, at least 0.
        seed: of the groups, together with the frame's number.

    Raises:
        FrameError: the frame has lost tokens, or is no picture.
    """
    if frame.lost.any():
        raise FrameError(f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; none may be")
    if len(frame.grid) != 2:
        raise FrameError(f"frame {frame.frame_id} is a grid of {frame.grid}; it must have rows and columns")
    whole = show(frame)
    reference = whole if picture is None else picture
    least = _patch_errors(whole, reference, frame.grid)
    used = positions >= 0

    def costs(lost: np.ndarray) -> tuple[np.ndarray, float]:
        """float64 (n_packets,), those of packets that are lost together, and the picture's whole cost."""
        tokens = frame.tokens.copy()
        tokens[positions[lost][used[lost]]] = LOST
        left = frame.with_tokens(tokens)
        errors = _patch_errors(show(left), reference, frame.grid) - least
        own = _shared(errors, left.lost, frame.grid)
        return np.where(used, own[positions], 0.0).sum(axis=1), float(errors.sum())

    count = len(positions) // CLASSES
    found = _given_back(costs, len(positions), count)
    rng = np.random.default_rng([seed, frame.frame_id])
    best, fewest = found, np.inf
    for number in range(rounds + 1):
        lost = np.argsort(found, kind="stable")[:count]
        now, total = costs(lost)
        if total <= fewest:
            best, fewest = found, total
        if number == rounds:
            break
        others = rng.permutation(np.setdiff1d(np.arange(len(positions)), lost))
        for group in np.array_split(others, min(GROUPS, max(len(others), 1))):
            now[group] = costs(np.concatenate([lost, group]))[0][group]
        # Half of the old costs damps exchanges to and fro.
        found = now if number == 0 else (found + now) / 2
    return best


def _given_back(
    costs: Callable[[np.ndarray], tuple[np.ndarray, float]], n_packets: int, count: int
) -> np.ndarray:  # fmt: skip
    """float64 (n_packets,): costs of packets that are given back, the costliest first, until `count` are left; those
    given back earlier cost more."""
    found, lost = np.zeros(n_packets), np.arange(n_packets)
    step = max(1, -(-(n_packets - count) // STEPS))
    while True:
        now, _ = costs(lost)
        found[lost] = now[lost]
        if len(lost) <= count:
            break
        order = np.argsort(-now[lost], kind="stable")
        lost = lost[order[min(step, len(lost) - count) :]]
    # What was given back early has to stay above what was lost to the end.
    given = np.setdiff1d(np.arange(n_packets), lost)
    found[given] = found[lost].max(initial=0.0) + np.maximum(found[given], 0.0) + 1.0
    return found


def _shared(errors: np.ndarray, lost: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """float64 (n_tokens,): errors of lost tokens, and their shares of the errors of patches beside them that are not
    lost: a decoder shows each token beyond its own patch."""
    gone = lost.reshape(grid).astype(np.float64)
    beside = _around(gone)
    spilt = np.where(lost.reshape(grid) | (beside == 0), 0.0, errors.reshape(grid) / np.maximum(beside, 1))
    return np.where(lost, errors + _around(spilt).ravel(), 0.0)


def _around(values: np.ndarray) -> np.ndarray:
    """Sum of each place and the eight beside it."""
    rows, columns = values.shape
    padded = np.pad(values, 1)
    return sum(padded[row : row + rows, column : column + columns] for row in range(3) for column in range(3))


def _patch_errors(picture: np.ndarray, reference: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """float64 (n_tokens,): mean squared error of each token's patch."""
    rows, columns = grid
    height, width = picture.shape[0] // rows, picture.shape[1] // columns
    error = np.square(picture[: rows * height, : columns * width].astype(np.float64) - reference).mean(axis=2)
    return error.reshape(rows, height, columns, width).mean(axis=(1, 3)).ravel()
