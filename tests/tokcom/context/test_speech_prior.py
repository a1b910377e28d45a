"""Prior of speech: the frame before, lengths, and its use in recovery."""

import numpy as np
import pytest
import torch

from tokcom.context.condition import NOTHING, Condition
from tokcom.context.recovery import Recovery, RecoverySettings
from tokcom.context.speech_prior import SpeechPrior
from tokcom.context.speech_prior_network import SpeechPriorConfig, SpeechPriorNetwork
from tokcom.errors import ModelError
from tokcom.frame import LOST, TokenFrame

CONFIG = SpeechPriorConfig(codebook_size=16, quantizers=3, frames=6, width=16, depth=1, heads=2)


@pytest.fixture(scope="module")
def prior():
    torch.manual_seed(0)
    network = SpeechPriorNetwork(CONFIG).eval().requires_grad_(False)
    torch.nn.init.normal_(network.heads, std=1.0)
    torch.nn.init.normal_(network.token_embedding.weight, std=1.0)
    return SpeechPrior(network, "speech@00000000")


def frame(words, book="speech@00000000"):
    words = np.asarray(words)
    return TokenFrame(words.ravel(), book, 16, words.shape, "speech", quantizers=len(words))


def test_probabilities_are_of_the_words_wanted(prior):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 16, (2, 12)).astype(np.int32)
    wanted = rng.random((2, 12)) < 0.5
    found = prior.log_probabilities(tokens, wanted, [NOTHING] * 2)
    assert found.shape == (wanted.sum(), 16) and np.allclose(np.exp(found).sum(1), 1, atol=1e-5)
    # What is wanted is not looked at.
    hidden = np.where(wanted, LOST, tokens)
    assert np.array_equal(found, prior.log_probabilities(hidden, wanted, [NOTHING] * 2))


def test_a_frame_after_another_is_the_end_of_both_together(prior):
    words = np.random.default_rng(1).integers(0, 16, (3, 6))
    wanted = np.zeros((3, 6), bool)
    wanted[:, 4:] = True
    together = prior.log_probabilities(words.reshape(1, -1), wanted.reshape(1, -1), [NOTHING])
    before = Condition(before=frame(words[:, :4]))
    apart = prior.log_probabilities(np.full((1, 6), LOST), np.ones((1, 6), bool), [before])
    assert np.allclose(together, apart, atol=1e-6)
    alone = prior.log_probabilities(np.full((1, 6), LOST), np.ones((1, 6), bool), [NOTHING])
    assert not np.allclose(apart, alone, atol=1e-3)
    # A frame of another codebook says nothing.
    other = Condition(before=frame(words[:, :4], "other@00000000"))
    assert np.array_equal(alone, prior.log_probabilities(np.full((1, 6), LOST), np.ones((1, 6), bool), [other]))


def test_frames_that_do_not_fit_are_refused(prior):
    for bad in (frame(np.zeros((3, 7), int)), frame(np.zeros((2, 6), int)), frame(np.zeros((3, 2), int), "x@00000000")):
        with pytest.raises(ModelError):
            prior.require_fit(bad, NOTHING)
    with pytest.raises(ModelError, match="label"):
        prior.require_fit(frame(np.zeros((3, 2), int)), Condition(label=1))


def test_lost_words_are_filled_in(prior):
    words = np.random.default_rng(2).integers(0, 16, (3, 5))
    words[:, 2] = LOST
    whole, confidence = Recovery(prior, RecoverySettings(steps=2)).recover(frame(words))
    known = words.ravel() != LOST
    assert not whole.lost.any() and np.array_equal(whole.tokens[known], words.ravel()[known])
    assert (confidence[known] == 1).all() and (confidence[~known] < 1).all()


def test_guesses_of_the_envelope_show_the_least_error_on_average(prior):
    """Against a search over all words by their expected squared error."""
    rng = np.random.default_rng(5)
    network, config = prior.network, CONFIG
    codes = rng.normal(size=(config.quantizers - 1, config.codebook_size, 3)).astype(np.float32)
    guessing, columns = SpeechPrior(network, "speech@00000000", codes), 5
    places = rng.permutation(config.quantizers * columns)[:12]
    logs = np.log(rng.dirichlet(np.full(config.codebook_size, 0.3), 12)).astype(np.float32)
    found = guessing.guesses(logs, places, config.quantizers * columns)
    for place, log, guess in zip(places, logs, found, strict=True):
        stage = place // columns - 1
        if stage < 0:
            assert guess == log.argmax()
            continue
        between = np.square(codes[stage][:, None] - codes[stage][None]).sum(-1)
        assert guess == (between @ np.exp(log)).argmin()
    np.testing.assert_array_equal(prior.guesses(logs, places, 15), logs.argmax(1))
