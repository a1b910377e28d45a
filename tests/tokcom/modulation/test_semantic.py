from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokcom.errors import ParameterError
from tokcom.modulation.semantic import (
    bisected_labels,
    cosine_distances,
    expected_distance,
    improved_labels,
)

SEEDS = st.integers(0, 2**32 - 1)


def a_problem(n, seed, axes=2):
    """Embeddings, places of labels and a confusion that falls with distance between places."""
    rng = np.random.default_rng(seed)
    embeddings, places = rng.standard_normal((n, 3)), rng.standard_normal((n, axes))
    confusion = np.exp(-np.linalg.norm(places[:, None] - places, axis=2))
    return embeddings, places, confusion


def cost_by_hand(labels, confusion, distance, use):
    total = 0.0
    for i in range(len(labels)):
        for j in range(len(labels)):
            if i != j:
                total += use[i] / sum(use) * confusion[labels[i]][labels[j]] * distance[i][j]
    return total


@given(n=st.integers(2, 40), seed=SEEDS)
def test_cosine_distances_are_half_the_squared_distances_of_unit_vectors(n, seed):
    vectors = np.random.default_rng(seed).standard_normal((n, 5))
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    squared = ((units[:, None] - units) ** 2).sum(axis=2)
    assert np.allclose(cosine_distances(vectors), squared / 2)


@given(n=st.integers(1, 200), axes=st.integers(1, 9), seed=SEEDS)
def test_bisection_makes_permutations(n, axes, seed):
    embeddings, places, _ = a_problem(n, seed, axes)
    labels = bisected_labels(embeddings, places)
    assert np.array_equal(np.sort(labels), np.arange(n))
    assert np.array_equal(labels, bisected_labels(embeddings, places))


def test_bisection_lays_a_plane_of_tokens_on_a_plane_of_points():
    """Tokens that lie on the grid already come to the points of the grid, up to reflection."""
    grid = np.stack(np.meshgrid(np.arange(16), np.arange(16) * 0.9), axis=2).reshape(-1, 2)
    shuffle = np.random.default_rng(3).permutation(256)
    labels = bisected_labels(np.c_[grid[shuffle], np.zeros(256)], grid)
    steps = np.abs(np.diff(grid[labels[np.argsort(shuffle)]].reshape(16, 16, 2), axis=1)).sum(axis=2)
    assert np.allclose(steps, 1)


def test_bisection_of_the_largest_codebook():
    rng = np.random.default_rng(0)
    bits = (np.arange(1 << 18)[:, None] >> np.arange(17, -1, -1)) & 1
    labels = bisected_labels(rng.standard_normal((1 << 18, 4)).astype(np.float32), bits)
    assert np.array_equal(np.sort(labels), np.arange(1 << 18))


@given(n=st.integers(2, 12), seed=SEEDS)
def test_the_expected_distance_is_the_sum_over_all_pairs(n, seed):
    rng = np.random.default_rng(seed)
    labels, use = rng.permutation(n), rng.random(n) + 0.01
    confusion, distance = rng.random((n, n)), rng.random((n, n))
    assert np.isclose(
        expected_distance(labels, confusion, distance, use), cost_by_hand(labels, confusion, distance, use)
    )
    assert np.isclose(
        expected_distance(labels, confusion, distance), cost_by_hand(labels, confusion, distance, np.ones(n))
    )


@given(n=st.integers(2, 30), seed=SEEDS, proposals=st.sampled_from((0, 50, 2000)), weighted=st.booleans())
def test_improvement_never_costs(n, seed, proposals, weighted):
    embeddings, _, confusion = a_problem(n, seed)
    rng = np.random.default_rng(seed)
    # Neither symmetric nor like anything: then the search looks at other costs than those that count.
    confusion = confusion * rng.random((n, n)) if weighted else confusion
    use = rng.random(n) + 0.01 if weighted else None
    distance, labels = cosine_distances(embeddings), rng.permutation(n)
    found = improved_labels(labels, confusion, distance, use, proposals=proposals, seed=seed)
    assert np.array_equal(np.sort(found), np.arange(n))
    before, after = (expected_distance(each, confusion, distance, use) for each in (labels, found))
    assert after <= before
    again = improved_labels(labels, confusion, distance, use, proposals=proposals, seed=seed)
    assert np.array_equal(found, again)


@pytest.mark.parametrize("seed", range(6))
def test_small_codebooks_get_the_best_of_all_permutations(seed):
    """The best of some searches; each comes close."""
    embeddings, places, confusion = a_problem(7, seed)
    distance = cosine_distances(embeddings)
    best = min(expected_distance(np.array(each), confusion, distance) for each in permutations(range(7)))
    start = bisected_labels(embeddings, places)
    found = [
        expected_distance(improved_labels(start, confusion, distance, proposals=5000, seed=k), confusion, distance)
        for k in range(8)
    ]
    assert np.isclose(min(found), best) and max(found) < 1.2 * best


def test_no_swap_of_two_labels_helps_any_more():
    embeddings, _, confusion = a_problem(24, 5)
    distance = cosine_distances(embeddings)
    found = improved_labels(np.arange(24), confusion, distance, proposals=5000)
    least = expected_distance(found, confusion, distance)
    for a in range(24):
        for b in range(a):
            other = found.copy()
            other[[a, b]] = other[[b, a]]
            assert expected_distance(other, confusion, distance) >= least * (1 - 1e-5)


def test_what_cannot_be_labelled_is_named():
    square = np.ones((3, 3))
    for call, message in (
        (lambda: cosine_distances(np.array([[1.0, 0], [0, 0]])), "embedding 1 is zero"),
        (lambda: cosine_distances(np.array([[np.nan]])), "finite matrix"),
        (lambda: bisected_labels(np.ones((3, 2)), np.ones((4, 2))), r"3 tokens need \(3, axes\)"),
        (lambda: improved_labels(np.array([0, 0, 1]), square, square), "not a permutation of 0 to 2"),
        (lambda: improved_labels(np.arange(3), np.ones((4, 4)), square), "confusion must be a finite matrix of 3 x 3"),
        (lambda: improved_labels(np.arange(5000), square, square), "5000 tokens are too many"),
    ):
        with pytest.raises(ParameterError, match=message):
            call()
