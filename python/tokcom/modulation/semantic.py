"""Assignment of labels to tokens, so that labels the channel confuses stand for tokens of similar meaning.

The numbering of a codebook is arbitrary: words with neighbouring numbers have nothing in common. Sending token *i*
under a label *l(i)*, a permutation, costs nothing, and the expected distance between the token sent and the one
received,

    sum over tokens i, j of use(i) · confusion(l(i), l(j)) · distance(i, j),

falls if labels that are easily confused belong to tokens that lie close together (paper, section V-B and Fig. 3b;
Zeger and Gersho, "Pseudo-Gray coding", IEEE Trans. Commun. 38, 1990). The best permutation is a quadratic assignment
problem, intractable for any real codebook: this module has an O(n log n) start and annealing that improves it.
"""

from collections.abc import Callable

import numpy as np

from tokcom.errors import ParameterError
from tokcom.kernels import kernel

LARGEST_IMPROVED = 4096
"""Largest codebook whose labels can be improved: confusion and distance of every pair are held in memory."""
ROUND = 1 << 15
"""Proposals per call of `progress`."""
HOTTEST, COLDEST = 0.5, 1e-3
"""Temperatures at the start and the end, relative to the mean expected distance of a token under the initial labels."""
MOST_SWEEPS = 100


def cosine_distances(embeddings: np.ndarray) -> np.ndarray:
    """Compute 1 minus the cosine similarity of every pair of embeddings (n, dimension), float64 (n, n).

    For unit vectors that is half the squared Euclidean distance.

    Raises:
        ParameterError: the embeddings are not a matrix, or one of them is zero or not finite.
    """
    vectors = _checked_embeddings(embeddings)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ParameterError(f"embedding {int(np.argmin(lengths))} is zero; cosine similarity needs a direction")
    vectors = vectors / lengths
    distances = np.clip(1 - vectors @ vectors.T, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def bisected_labels(embeddings: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Assign labels by recursively bisecting tokens and labels together: the fast start.

    Labels are split at the median of the coordinate in which they spread widest; tokens are split at the median of the
    principal axis with the same number, so that neighbours on the first principal axes get neighbouring labels.

    Args:
        embeddings: float (n, dimension), of each token.
        places: float (n, axes), position of each label: the coordinates of its constellation point, or its bits.

    Returns:
        int32 (n,), the label of each token: a permutation of 0 to n - 1.

    Raises:
        ParameterError: the arrays do not fit together.
    """
    vectors = _checked_embeddings(embeddings)
    places = np.asarray(places, np.float64)
    if places.ndim != 2 or len(places) != len(vectors):
        raise ParameterError(f"places have shape {places.shape}; {len(vectors)} tokens need ({len(vectors)}, axes)")
    axes = min(places.shape[1], vectors.shape[1])
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :axes]
    # The sign of an eigenvector is arbitrary: make its largest entry positive.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(axes)])
    coordinates = centred @ directions
    labels = np.empty(len(vectors), np.int32)
    open_halves = [(np.arange(len(vectors)), np.arange(len(vectors)))]
    while open_halves:
        tokens, slots = open_halves.pop()
        if len(tokens) == 1:
            labels[tokens] = slots
            continue
        axis = int(np.ptp(places[slots, :axes], axis=0).argmax())
        tokens = tokens[np.argsort(coordinates[tokens, axis], kind="stable")]
        slots = slots[np.argsort(places[slots, axis], kind="stable")]
        middle = len(tokens) // 2
        open_halves += [(tokens[:middle], slots[:middle]), (tokens[middle:], slots[middle:])]
    return labels


def expected_distance(
    labels: np.ndarray, confusion: np.ndarray, distance: np.ndarray, use: np.ndarray | None = None
) -> float:
    """Compute the mean distance between the token sent and the one received.

    Args:
        labels: int (n,), the label of each token.
        confusion: float (n, n), probability that the second label is received when the first was sent; the diagonal is
            ignored.
        distance: float (n, n), between tokens.
        use: float (n,), how often each token is sent; None for uniform.
    """
    share = np.full(len(labels), 1 / len(labels)) if use is None else np.asarray(use) / np.sum(use)
    each = np.einsum("ij,ij->i", confusion[np.ix_(labels, labels)], distance, dtype=np.float64)
    return float(share @ (each - np.diag(confusion)[labels] * np.diag(distance)))


def improved_labels(
    labels: np.ndarray, confusion: np.ndarray, distance: np.ndarray, use: np.ndarray | None = None, *,
    proposals: int = 20_000_000, seed: int = 0, progress: Callable[[int], None] = lambda done: None,
) -> np.ndarray:  # fmt: skip
    """Lower the expected distance of labels: annealing by swaps of two labels, then greedy swaps until none helps.

    The same seed gives the same labels, and they are never worse than those given.

    Args:
        labels: int (n,), the initial permutation.
        confusion, distance, use: as in `expected_distance`.
        proposals: swaps tried while annealing; 0 for greedy swaps only.
        seed: seed of the swaps.
        progress: called with the number of proposals done since the last call.

    Returns:
        int32 (n,).

    Raises:
        ParameterError: the arrays do not fit together, or the codebook is larger than LARGEST_IMPROVED.
    """
    n = len(labels)
    if n > LARGEST_IMPROVED:
        raise ParameterError(
            f"{n} tokens are too many to improve their labels pair by pair; at most {LARGEST_IMPROVED} fit. For larger "
            "codebooks use the labels of bisection alone"
        )
    if not np.array_equal(np.sort(labels), np.arange(n)):
        raise ParameterError(f"the labels are not a permutation of 0 to {n - 1}")
    for name, matrix in (("confusion", confusion), ("distance", distance)):
        if matrix.shape != (n, n) or not np.isfinite(matrix).all():
            raise ParameterError(f"{name} must be a finite matrix of {n} x {n}, but has shape {matrix.shape}")
    share = np.ones(n) if use is None else np.asarray(use) / np.mean(use)
    # If one factor is symmetric, the cost depends only on the symmetric part of the other. Make both symmetric:
    # confusions are, except at the constellation's edge, and distances weighted by use become the mean of both
    # directions.
    rates, weights = _symmetric(confusion), _symmetric(distance * share[:, None])
    tokens = np.argsort(labels)
    cost = np.ascontiguousarray(weights[np.ix_(tokens, tokens)])
    typical = float(np.vdot(rates, cost)) / n
    given = np.asarray(labels, np.int32)
    if not typical > 0:
        return given
    rng = np.random.default_rng(seed)
    done = 0
    while done < proposals:
        count = min(ROUND, proposals - done)
        pairs = rng.integers(0, n, (count, 2))
        heat = typical * HOTTEST * (COLDEST / HOTTEST) ** ((done + np.arange(count)) / proposals)
        # Accepted with probability exp(-increase / heat).
        _swap(rates, cost, tokens, pairs, heat * rng.standard_exponential(count))
        done += count
        progress(count)
    # Remove the rounding errors of a million swaps before the last descent.
    cost = np.ascontiguousarray(weights[np.ix_(tokens, tokens)])
    order = np.array(np.triu_indices(n, 1)).T
    for _ in range(MOST_SWEEPS):
        if not _swap(rates, cost, tokens, order, np.full(len(order), -1e-6 * typical)):
            break
    found = np.argsort(tokens).astype(np.int32)
    before, after = (expected_distance(each, confusion, distance, use) for each in (given, found))
    return found if after < before else given


def _checked_embeddings(embeddings: np.ndarray) -> np.ndarray:
    vectors = np.asarray(embeddings, np.float64)
    if vectors.ndim != 2 or not len(vectors) or not np.isfinite(vectors).all():
        raise ParameterError(f"embeddings must be a finite matrix (n, dimension), but have shape {vectors.shape}")
    return vectors


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    """Symmetrise a matrix and zero its diagonal, float32."""
    half = ((matrix + matrix.T) / 2).astype(np.float32)
    np.fill_diagonal(half, 0)
    return half


@kernel(fastmath=True)
def _swap(rates, cost, tokens, pairs, limits):
    """Swap the tokens of pairs of labels where that raises the cost by at most the pair's limit; return the number of
    swaps.

    `cost` holds the weights in the order of the labels, so that a proposal reads four rows sequentially.
    """
    n, swapped = len(tokens), 0
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        if a == b:
            continue
        rate_a, rate_b, cost_a, cost_b = rates[a], rates[b], cost[a], cost[b]
        change = np.float32(0)
        for c in range(n):
            change += (rate_a[c] - rate_b[c]) * (cost_b[c] - cost_a[c])
        # The distance between the two labels themselves does not change.
        change += np.float32(2) * rate_a[b] * cost_a[b]
        if 2 * change > limits[k]:
            continue
        swapped += 1
        tokens[a], tokens[b] = tokens[b], tokens[a]
        for c in range(n):
            cost[a, c], cost[b, c] = cost[b, c], cost[a, c]
        for c in range(n):
            cost[c, a], cost[c, b] = cost[c, b], cost[c, a]
    return swapped
