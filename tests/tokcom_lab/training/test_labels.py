import numpy as np
import pytest

from tokcom.models.codebooks import load_labels
from tokcom.models.folders import DEFAULT_MODEL
from tokcom.models.zoo import load_tokenizer
from tokcom.modulation.direct import SCHEMES, DirectMapping
from tokcom.modulation.semantic import cosine_distances, expected_distance
from tokcom_lab.training.labels import (
    BHATTACHARYYA,
    coded_confusion,
    confused_by_code,
    contextual_labels,
    error_patterns,
    mean_confusion,
    semantic_labels,
)


def test_error_patterns_are_shares_and_the_code_s_weak_places_come_first():
    patterns = error_patterns(10, 6.0, packets=4000)
    assert np.isclose(patterns.sum(), 1) and 0.85 < patterns[0] < 0.98
    # A token's last bit alone, where an error event ends, against one in the middle.
    assert patterns[1] > 4 * patterns[1 << 5]
    assert np.array_equal(patterns, error_patterns(10, 6.0, packets=4000))
    assert error_patterns(10, 3.0, packets=500)[0] < patterns[0]


def test_confusion_by_patterns_is_the_same_from_every_label():
    confusion = coded_confusion(16)
    assert np.allclose(np.diag(confusion), 0) and np.allclose(confusion.sum(), 16)
    assert np.allclose(np.sort(confusion, axis=1), np.sort(confusion[0]))


def test_confusions_at_several_esn0_count_alike():
    tables = [DirectMapping("16qam", 16).confusion(value) for value in (5, 15)]
    mean = mean_confusion(tables)
    off = ~np.eye(16, dtype=bool)
    assert np.allclose(mean[off], sum(8 * table / table[off].sum() for table in tables)[off])


@pytest.mark.parametrize("size", [50, 520])
def test_every_purpose_of_that_size_gets_labels_better_than_random(size):
    embeddings = np.random.default_rng(0).standard_normal((size, 3))
    seen = {}
    labels, figures = semantic_labels(
        embeddings, None, 20_000, progress=lambda purpose, done: seen.update({purpose: seen.get(purpose, 0) + done})
    )
    purposes = {"coded"} if size == 50 else {"coded", *SCHEMES}
    assert set(labels) == set(figures) == set(seen) == purposes and set(seen.values()) == {20_000}
    assert all(np.array_equal(np.sort(each), np.arange(size)) for each in labels.values())
    assert all(figure < 0.9 for figure in figures.values())


def test_labels_are_told_apart_by_the_coded_bits_in_which_they_differ():
    """A single bit alone gives the code's free distance, 10, or more: the weight of both generators."""
    confusion = confused_by_code(16)
    weights = np.round(np.log(confusion[0, 1:]) / np.log(BHATTACHARYYA)).astype(int)
    one_bit = bin(0o133).count("1") + bin(0o171).count("1")
    assert [weights[(1 << bit) - 1] for bit in range(4)] == [one_bit] * 4 and weights.min() == 10
    assert np.array_equal(confusion, confusion.T) and not np.diag(confusion).any()
    assert np.array_equal(confusion[5], confusion[0][np.arange(16) ^ 5])


def test_contextual_labels_keep_apart_what_competes():
    """Tokens that compete in pairs alone: no pair is left at the code's smallest distance."""
    competition = np.eye(32) + np.kron(np.eye(16), 1 - np.eye(2))
    labels, figure = contextual_labels(competition, 20_000)
    confusion = confused_by_code(32)
    between = confusion[labels[0::2], labels[1::2]]
    assert np.array_equal(np.sort(labels), np.arange(32)) and figure < 0.5
    assert between.max() < BHATTACHARYYA**13


def test_a_large_codebook_has_the_fast_start_alone():
    labels, figures = semantic_labels(np.random.default_rng(0).standard_normal((5000, 3)), None, 1000)
    assert set(labels) == {"coded"} and not figures
    assert np.array_equal(np.sort(labels["coded"]), np.arange(5000))


def test_the_model_s_labels_halve_the_distance_after_errors():
    """Without the token use that they were made with, over Es/N0 from 16 to 30 dB."""
    labels = load_labels(DEFAULT_MODEL)
    distance = cosine_distances(load_tokenizer(DEFAULT_MODEL).network.codebook.numpy())
    mapping = DirectMapping("1024qam", 1024)
    random = np.random.default_rng(1).permutation(1024)
    for value in (17, 20, 25, 30):
        confusion = mapping.confusion(value)
        ours, natural, drawn = (
            expected_distance(each, confusion, distance)
            for each in (labels["1024qam"].of_tokens, np.arange(1024), random)
        )
        assert ours < 0.5 * min(natural, drawn)
