"""Packets of which no place is known, of pictures whose order is known."""

import numpy as np
import pytest

from tokcom.context.condition import NOTHING
from tokcom.context.prior import Prior
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.layout import PADDING, packet_positions
from tokcom.protocol.puzzle import _anneal, arrange, is_puzzle
from tokcom.protocol.unordered import Placement

GRID, SIZE = (8, 8), 128


class Slope(Prior):
    """Expects tokens that rise by 1 to the right and by 8 downwards, as the nearest known token has it."""

    codebook, codebook_size, grid = "slope", SIZE, GRID

    def log_probabilities(self, tokens, wanted, conditions):
        rows = []
        for row, want in zip(tokens, wanted, strict=True):
            known = np.flatnonzero(row != LOST)
            for place in np.flatnonzero(want):
                p = np.full(SIZE, 0.2 / SIZE)
                if len(known):
                    apart = np.abs(np.subtract(np.divmod(known, 8), np.reshape(np.divmod(place, 8), (2, 1)))).sum(
                        axis=0
                    )
                    near = known[apart.argmin()]
                    p[(row[near] + place - near) % SIZE] += 0.8
                else:
                    p[:] = 1 / SIZE
                rows.append(np.log(p / p.sum()))
        return np.array(rows, np.float32)


FRAME = TokenFrame(np.arange(64, dtype=np.int32) + 37, "slope", SIZE, GRID)
POSITIONS = packet_positions(GRID, 4, seed=5)


@pytest.mark.parametrize("lost", [0, 3])
def test_a_picture_without_any_known_place_is_put_together(lost):
    order = np.random.default_rng(1).permutation(16)[lost:]
    packets, allowed = FRAME.tokens[POSITIONS[order]], np.ones((len(order), 16), bool)
    found = arrange(Slope(), GRID, NOTHING, packets, POSITIONS, allowed, 0)
    assert found.tolist() == order.tolist()
    outline = FRAME.with_tokens(np.full(64, LOST, np.int32))
    assert Placement(Slope(), outline, POSITIONS).place(packets, allowed).tolist() == order.tolist()


def test_forbidden_places_stay_empty_and_padding_is_passed_over():
    positions = packet_positions(GRID, 6, seed=5)
    assert (positions == PADDING).any()
    order = np.random.default_rng(2).permutation(len(positions) - 1)
    packets = FRAME.tokens[positions[order]]
    allowed = np.ones((len(order), len(positions)), bool)
    allowed[:, -1] = False
    assert arrange(Slope(), GRID, NOTHING, packets, positions, allowed, 0).tolist() == order.tolist()


def test_annealing_finds_the_best_of_all_arrangements():
    from itertools import permutations

    rng, count = np.random.default_rng(3), 5
    fit = rng.normal(size=(count,) * 4).astype(np.float32)
    fit += fit.transpose(2, 3, 0, 1)
    at_place = rng.normal(size=(count, count)).astype(np.float32)

    def score(order):
        pairs = [fit[i, order[i], j, order[j]] for i in range(count) for j in range(i)]
        return sum(pairs) + at_place[range(count), order].sum()

    best = max(permutations(range(count)), key=score)
    found, most = _anneal(fit, at_place, rng.permutation(count), rng)
    assert found.tolist() == list(best) and most == pytest.approx(score(best), abs=1e-3)


def test_only_pictures_of_few_packets_are_puzzles():
    assert is_puzzle((16, 16), np.zeros((64, 4)))
    assert not is_puzzle((16, 16), np.zeros((65, 4)))
    assert not is_puzzle((4, 64), np.zeros((64, 4)))
    assert not is_puzzle((256,), np.zeros((64, 4)))
