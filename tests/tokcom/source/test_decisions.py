import numpy as np
import pytest

from tokcom.source.decisions import LIMIT, Decisions


@pytest.mark.parametrize("size", [2, 5, 48, 64])
def test_decisions_multiply_to_the_tokens_probability(size):
    rng = np.random.default_rng(size)
    logs = np.log(rng.dirichlet(np.full(size, 0.5), 30))
    tokens = rng.integers(0, size, 30)
    odds, bits = Decisions(logs.astype(np.float32)).of_tokens(tokens)
    likely = -np.logaddexp(0, np.where(bits, -odds, odds)).sum(axis=1)
    exact = logs[np.arange(30), tokens]
    within = (np.abs(odds) < LIMIT).all(axis=1)
    np.testing.assert_allclose(likely[within], exact[within], atol=1e-4)
    assert within.mean() > 0.5 or size in (5, 48)


def test_a_decoder_asks_for_the_same():
    logs = np.random.default_rng(0).normal(0, 3, (20, 37)).astype(np.float32)
    tokens = np.random.default_rng(1).integers(0, 37, 20)
    decisions = Decisions(logs)
    odds, bits = decisions.of_tokens(tokens)
    prefixes = np.zeros(20, np.int64)
    for depth in range(decisions.width):
        np.testing.assert_array_equal(decisions.log_odds(prefixes, depth), odds[:, depth])
        prefixes = 2 * prefixes + bits[:, depth]
    np.testing.assert_array_equal(prefixes, tokens)


def test_impossible_words_leave_finite_odds():
    logs = np.full((1, 4), -np.inf, np.float32)
    logs[0, 1] = 0
    odds, _ = Decisions(logs).of_tokens(np.array([3]))
    np.testing.assert_array_equal(odds, [[-LIMIT, 0]])
