"""What is shown of a received frame: its tokens, and what the model expects in place of guesses."""

from dataclasses import replace

import numpy as np
import pytest

from tokcom.errors import ParameterError
from tokcom.frame import LOST
from tokcom.models.zoo import load_context, load_tokenizer
from tokcom.source.chooser import TokenChooser
from tokcom.source.filling import expected_picture, whole_picture


@pytest.fixture
def received(tiny_model):
    """A frame of 16 tokens, its tokenizer, and its context model."""
    tokenizer = load_tokenizer(str(tiny_model), 0, "cpu")
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    return tokenizer.tokenize(picture), tokenizer, load_context(str(tiny_model), "cpu")


def no_prior():
    raise AssertionError("nothing is to be predicted")


def test_tokens_that_are_likelier_wrong_than_right_are_shown_as_expected(received):
    frame, tokenizer, prior = received
    confidence = np.full(16, 0.5, np.float32)
    confidence[[3, 8]] = 0.49, 0.01
    shown = whole_picture(frame, tokenizer, lambda: prior, confidence)
    without = frame.with_tokens(np.where(confidence < 0.5, LOST, frame.tokens))
    np.testing.assert_array_equal(shown, expected_picture(without, prior, tokenizer))
    assert not np.array_equal(shown, tokenizer.detokenize(frame))
    alone = whole_picture(frame, tokenizer, lambda: None, confidence)
    np.testing.assert_array_equal(alone, tokenizer.detokenize(frame))


@pytest.mark.parametrize("confidence", [None, np.zeros(16), np.full(16, 0.5), np.ones(16)])
def test_tokens_that_are_not_doubted_are_shown(received, confidence):
    """0 stands for a confidence that is unknown."""
    frame, tokenizer, _ = received
    np.testing.assert_array_equal(
        whole_picture(frame, tokenizer, no_prior, confidence), tokenizer.detokenize(frame)
    )  # fmt: skip


def test_a_frame_that_follows_another_and_one_with_losses_show_their_tokens(received):
    frame, tokenizer, _ = received
    low = np.full(16, 0.1, np.float32)
    follows, lossy = replace(frame, follows=1), frame.with_tokens(np.where(np.arange(16) % 5, frame.tokens, LOST))
    for each in (follows, lossy):
        np.testing.assert_array_equal(whole_picture(each, tokenizer, no_prior, low), tokenizer.detokenize(each))


def test_what_was_not_sent_is_a_guess_as_well(received):
    frame, tokenizer, prior = received
    thinned = TokenChooser("spread").thin(frame, 12)
    guessed = thinned.with_tokens(np.where(thinned.lost, 3, thinned.tokens))
    confidence = np.ones(16, np.float32)
    confidence[np.flatnonzero(~thinned.lost)[0]] = 0.2
    shown = whole_picture(guessed, tokenizer, lambda: prior, confidence)
    without = frame.with_tokens(np.where(thinned.lost | (confidence < 0.5), LOST, frame.tokens))
    np.testing.assert_array_equal(shown, expected_picture(without, prior, tokenizer))


def test_a_confidence_of_other_tokens_is_refused(received):
    frame, tokenizer, prior = received
    with pytest.raises(ParameterError, match=r"confidence has the shape \(3,\), the frame's tokens \(16,\)"):
        whole_picture(frame, tokenizer, lambda: prior, np.full(3, 0.1))
