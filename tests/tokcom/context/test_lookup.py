"""The prior of words seen before, against counts word by word."""

import numpy as np
import pytest

from tokcom.context.condition import NOTHING
from tokcom.context.lookup import LONGEST, TRUST, LookupPrior
from tokcom.context.sampling import Sampling, continued
from tokcom.errors import ParameterError

SHARES = np.array([0.4, 0.3, 0.2, 0.1])


def reference(seen, text, shares):
    """Probabilities of the next word, by counting."""
    whole, found = [*seen, *text], list(shares)
    for count in range(1, min(LONGEST, len(text)) + 1):
        followers = [
            whole[end] for end in range(count, len(whole)) if whole[end - count : end] == list(text[-count:])
        ]  # fmt: skip
        if not followers:
            break
        weight = len(followers) / (len(followers) + TRUST)
        for word in range(len(shares)):
            found[word] = (1 - weight) * found[word] + weight * followers.count(word) / len(followers)
    return found


@pytest.mark.parametrize("length", [0, 1, 5, 40])
def test_probabilities_are_those_of_the_counts(length):
    rng = np.random.default_rng(length)
    seen, text = rng.integers(0, 4, 60), rng.integers(0, 4, length)
    paths = LookupPrior("words", SHARES, seen).paths(NOTHING)
    followed = paths.follow(text)
    found = np.exp(paths.log_probabilities[0].astype(float))
    assert np.allclose(found, reference(seen.tolist(), text.tolist(), SHARES), atol=1e-6)
    assert found.sum() == pytest.approx(1, abs=1e-6)
    expected = sum(np.log(reference(seen.tolist(), text[:i].tolist(), SHARES)[text[i]]) for i in range(length))
    assert followed[0] == pytest.approx(expected, abs=1e-4)


def test_a_text_that_repeats_goes_on_as_before():
    words = np.full(50, 1 / 50)
    text = np.tile(np.arange(7), 3)
    found = continued(LookupPrior("words", words), text, 10, Sampling())
    assert np.array_equal(found, np.arange(10) % 7)


def test_paths_go_apart_and_a_fork_leaves_its_origin():
    prior = LookupPrior("words", SHARES, np.array([0, 1, 2, 3, 0, 1]))
    paths = prior.paths(NOTHING)
    paths.follow(np.array([0]))
    fork = paths.fork()
    fork.branch(np.array([0, 0]), np.array([1, 3]))
    assert paths.log_probabilities.shape == (1, 4)
    alone = prior.paths(NOTHING)
    alone.follow(np.array([0, 3]))
    assert np.array_equal(fork.log_probabilities[1], alone.log_probabilities[0])
    fork.select(np.array([1]))
    assert np.array_equal(fork.log_probabilities, alone.log_probabilities)


@pytest.mark.parametrize(
    ("shares", "seen", "said"),
    [([0.5, 0.0], None, "above 0"), ([[0.5]], None, "one per word"), ([np.inf, 1], None, "finite"),
     ([0.5, 0.5], [2], "beyond the 2"), ([0.5, 0.5], [-1], "beyond the 2")],
)  # fmt: skip
def test_frequencies_and_words_out_of_range_are_refused(shares, seen, said):
    with pytest.raises(ParameterError, match=said):
        LookupPrior("words", np.array(shares), seen)
