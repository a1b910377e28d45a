"""Pictures of which only some tokens are there: with what the receiver's model expects in place of the others."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tokcom.context.prior import Prior
from tokcom.errors import ParameterError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.thinning import sent_mask
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

if TYPE_CHECKING:
    from tokcom.tokenizers.vq import VQTokenizer

EVEN = 0.5
"""Probability of a token from which it is shown."""


def filled_picture(frame: TokenFrame, prior: Prior, tokenizer: PictureTokenizer) -> np.ndarray:
    """Decode a frame whose lost tokens are predicted: by the model's decoder for thinned or lossy pictures, if it has
    one, else as `expected_picture`, or, if the tokenizer shows only the words of its codebook, with the likeliest.

    Args:
        frame: a frame of the tokenizer's codebook and grid.
        prior: the prior of its tokens.
        tokenizer: the tokenizer.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
    """
    logs = _predicted(frame, prior)
    if logs is None:
        return tokenizer.detokenize(frame)
    if shows_mixtures(tokenizer):
        return tokenizer.decode_expected(frame.tokens, frame.lost, logs, tokenizer.decoder_of(frame))
    tokens = frame.tokens.copy()
    tokens[frame.lost] = prior.guesses(logs, np.flatnonzero(frame.lost), len(tokens))
    return tokenizer.detokenize(frame.with_tokens(tokens))


def whole_picture(
    frame: TokenFrame, tokenizer: PictureTokenizer, find_prior: Callable[[], Prior | None],
    confidence: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """Decode a received frame. Where a token is more likely wrong than right, or one of a thinned frame that was made
    whole, what the prior expects is shown rather than the receiver's guess.

    Args:
        frame: a frame of the tokenizer's codebook and grid; lost tokens are grey.
        tokenizer: the tokenizer.
        find_prior: function that returns the prior of the tokens, if there is one; called if it is needed.
        confidence: float (n_tokens,), probability of each token; 0: unknown. None: unknown for all. Of a frame that
            follows another, what that one would tell is not there, and the tokens are shown.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
        ParameterError: the frame's rule does not fit its grid, or confidence has another shape than its tokens.
    """
    guessed = _guessed(frame, confidence)
    if not guessed.any() or frame.lost.any() or not shows_mixtures(tokenizer):
        return tokenizer.detokenize(frame)
    prior = find_prior()
    if prior is None:
        return tokenizer.detokenize(frame)
    return filled_picture(frame.with_tokens(np.where(guessed, LOST, frame.tokens)), prior, tokenizer)


def _guessed(frame: TokenFrame, confidence: np.ndarray | None) -> np.ndarray:
    """Find the tokens of a frame that are rather guesses, bool (n_tokens,)."""
    guessed = ~sent_mask(frame.thinning, frame.grid)
    if confidence is None or frame.follows:
        return guessed
    if confidence.shape != frame.tokens.shape:
        raise ParameterError(f"confidence has the shape {confidence.shape}, the frame's tokens {frame.tokens.shape}")
    return guessed | ((confidence > 0) & (confidence < EVEN))


def shows_mixtures(tokenizer: PictureTokenizer) -> bool:
    """Tell whether a tokenizer can show what lies between the words of its codebook: `expected_picture` takes it."""
    return hasattr(getattr(tokenizer, "network", None), "decode_vectors")


def expected_picture(frame: TokenFrame, prior: Prior, tokenizer: "VQTokenizer") -> np.ndarray:
    """Decode a frame with the expected code vector, given the other tokens, in place of each lost token.

    The most likely tokens would look sharper and be wrong more visibly: the mean has less squared error.

    Args:
        frame: a frame of the tokenizer's codebook and grid.
        prior: the prior of its tokens.
        tokenizer: the tokenizer, in PyTorch.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
    """
    logs = _predicted(frame, prior)
    if logs is None:
        return tokenizer.detokenize(frame)
    return tokenizer.decode_expected(frame.tokens, frame.lost, logs)


def _predicted(frame: TokenFrame, prior: Prior) -> np.ndarray | None:
    """Predict the lost tokens of a frame: log-probabilities (lost tokens, words); None if none are lost."""
    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    if not frame.lost.any():
        return None
    return prior.log_probabilities(frame.tokens[None], frame.lost[None], [condition])
