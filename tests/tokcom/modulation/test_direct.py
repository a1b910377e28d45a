import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from tokcom.channel.awgn import awgn, noise_variance
from tokcom.errors import ParameterError
from tokcom.modulation.constellation import Constellation
from tokcom.modulation.direct import SCHEMES, DirectMapping, likeliest_tokens, symbol_points


@pytest.mark.parametrize("bits", [1, 2, *range(4, 13)])
@pytest.mark.parametrize("kind", ["qam", "psk"])
def test_points_are_distinct_of_unit_energy_and_centred(bits, kind):
    if (bits, kind) == (1, "qam"):
        return
    points = symbol_points(f"{1 << bits}{kind}")
    assert len(points) == len(np.unique(points.round(9))) == 1 << bits
    assert np.isclose(np.mean(np.abs(points) ** 2), 1) and np.isclose(points.mean(), 0)
    if kind == "psk":
        assert np.allclose(np.abs(points), 1)


@pytest.mark.parametrize("name", ["bpsk", "qpsk", "16qam", "64qam", "256qam"])
def test_points_are_those_of_the_coded_constellations_in_another_order(name):
    ours, theirs = symbol_points(name), Constellation(name).points
    nearest = np.abs(ours[:, None] - theirs).min(axis=1)
    assert nearest.max() < 1e-6


def test_the_cross_is_a_square_without_corners():
    points = symbol_points("32qam")
    scaled = points * np.sqrt(20)
    assert set(scaled.real.round().astype(int)) == set(range(-5, 6, 2))
    assert not any(np.isclose(abs(p.real), 5) and np.isclose(abs(p.imag), 5) for p in scaled)
    assert np.allclose(scaled, scaled.round())


@pytest.mark.parametrize("scheme", [*SCHEMES, "bpsk 8psk 64qam"])
def test_labels_come_back_from_the_nearest_point(scheme):
    mapping = DirectMapping(scheme, 1000)
    labels = np.arange(1000)
    tokens, _ = likeliest_tokens(mapping.log_likelihoods(mapping.map(labels), 1e-3), labels)
    assert np.array_equal(tokens, labels)


@given(seed=st.integers(0, 2**32 - 1), scheme=st.sampled_from(("16qam", "8psk 4psk", "qpsk bpsk qpsk", "32qam")))
def test_map_detection_is_that_of_all_tokens_one_by_one(seed, scheme):
    rng = np.random.default_rng(seed)
    size = int(rng.integers(9, 17))
    mapping, labels = DirectMapping(scheme, size), rng.permutation(size)
    sent = rng.integers(0, size, 5)
    symbols = awgn(mapping.map(labels[sent]), 5, rng)
    variance = noise_variance(5) * rng.uniform(0.5, 2, symbols.shape)
    priors = np.log(rng.dirichlet(np.ones(size), 5))
    tokens, posterior = likeliest_tokens(mapping.log_likelihoods(symbols, variance), labels, priors)
    for row in range(5):
        metric = np.array([
            priors[row, token]
            - sum(abs(symbols[row, k] - mapping.points[labels[token], k]) ** 2 / variance[row, k]
                  for k in range(mapping.n_symbols))
            for token in range(size)
        ])  # fmt: skip
        assert tokens[row] == metric.argmax()
        assert np.allclose(posterior[row], np.exp(metric - logsumexp(metric)), atol=1e-4)


@pytest.mark.parametrize(("scheme", "esn0_db"), [("16qam", 12), ("64qam", 14), ("qpsk 16qam", 9)])
def test_confusion_of_squares_is_what_the_channel_does(scheme, esn0_db):
    mapping = DirectMapping(scheme, 16 if scheme == "16qam" else 64)
    rng = np.random.default_rng(4)
    sent = np.repeat(np.arange(mapping.size), 1500)
    symbols = awgn(mapping.map(sent), esn0_db, rng)
    received, _ = likeliest_tokens(mapping.log_likelihoods(symbols, noise_variance(esn0_db)), np.arange(mapping.size))
    counted = np.zeros((mapping.size, mapping.size))
    np.add.at(counted, (sent, received), 1 / 1500)
    confusion = mapping.confusion(esn0_db)
    assert np.allclose(confusion.sum(axis=1), 1)
    # Five standard deviations of a share counted on 1500.
    assert (np.abs(counted - confusion) < 5 * np.sqrt(confusion / 1500) + 1e-3).all()


@pytest.mark.parametrize(("scheme", "esn0_db"), [("8psk", 12), ("32qam", 18)])
def test_confusion_of_others_holds_their_symbol_error_rate_within_the_union_bound(scheme, esn0_db):
    mapping = DirectMapping(scheme, int(scheme[:-3]))
    confusion = mapping.confusion(esn0_db)
    assert np.allclose(confusion.sum(axis=1), 1)
    rng = np.random.default_rng(4)
    sent = rng.integers(0, mapping.size, 100_000)
    symbols = awgn(mapping.map(sent), esn0_db, rng)
    received, _ = likeliest_tokens(mapping.log_likelihoods(symbols, noise_variance(esn0_db)), np.arange(mapping.size))
    rate = np.mean(received != sent)
    assert 0.9 * rate < 1 - np.mean(np.diag(confusion)) < 1.4 * rate


def test_bad_schemes_and_symbols_are_named():
    mapping = DirectMapping("16qam", 16)
    for call, message in (
        (lambda: symbol_points("8qam"), "'8qam'"), (lambda: symbol_points("12qam"), "'12qam'"),
        (lambda: symbol_points("0psk"), "'0psk'"), (lambda: symbol_points("pam"), "'pam'"),
        (lambda: DirectMapping("16qam", 17), "'16qam' has 16 labels; 17 tokens"),
        (lambda: DirectMapping("16qam", 1), "1 tokens"),
        (lambda: mapping.map(np.array([16])), "0 to 15"),
        (lambda: mapping.log_likelihoods(np.ones((3, 2)), 1.0), r"needs \(n, 1\)"),
        (lambda: mapping.log_likelihoods(np.ones((3, 1)), 0.0), "positive"),
        (lambda: DirectMapping("8192qam", 8192).confusion(20), "8192 labels are too many"),
    ):  # fmt: skip
        with pytest.raises(ParameterError, match=message):
            call()
