"""Pictures of which only some tokens are there: the mean of what the receiver's model expects."""

from typing import TYPE_CHECKING

import numpy as np

from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

if TYPE_CHECKING:
    from tokcom.tokenizers.vq import VQTokenizer


def filled_picture(frame: TokenFrame, prior: Prior, tokenizer: PictureTokenizer) -> np.ndarray:
    """Decode a frame whose lost tokens are predicted: as `expected_picture`, or, if the tokenizer shows only the words
    of its codebook, with the likeliest of them.

    Args:
        frame: a frame of the tokenizer's codebook and grid.
        prior: the prior of its tokens.
        tokenizer: the tokenizer.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
    """
    if shows_mixtures(tokenizer):
        return expected_picture(frame, prior, tokenizer)
    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    lost, tokens = frame.lost, frame.tokens.copy()
    if lost.any():
        logs = prior.log_probabilities(tokens[None], lost[None], [condition])
        tokens[lost] = prior.guesses(logs, np.flatnonzero(lost), len(tokens))
    return tokenizer.detokenize(frame.with_tokens(tokens))


def shows_mixtures(tokenizer: PictureTokenizer) -> bool:
    """Tell whether a tokenizer can show what lies between the words of its codebook: `expected_picture` takes it."""
    return hasattr(getattr(tokenizer, "network", None), "decode_vectors")


def expected_picture(frame: TokenFrame, prior: Prior, tokenizer: "VQTokenizer") -> np.ndarray:
    """Decode a frame with the expected code vector, given the other tokens, in place of each lost token.

    The most likely tokens would look sharper and be wrong more visibly: the mean has the least squared error.

    Args:
        frame: a frame of the tokenizer's codebook and grid.
        prior: the prior of its tokens.
        tokenizer: the tokenizer, in PyTorch.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
    """
    # Receivers may do without PyTorch.
    import torch

    from tokcom.tokenizers.vq_network import as_pictures

    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    lost, network = frame.lost, tokenizer.network
    if not lost.any():
        return tokenizer.detokenize(frame)
    logs = prior.log_probabilities(frame.tokens[None], lost[None], [condition])
    codes = network.codebook.float()
    vectors = codes[torch.from_numpy(np.where(lost, 0, frame.tokens).astype(np.int64)).to(codes.device)]
    vectors[torch.from_numpy(lost).to(codes.device)] = torch.from_numpy(np.exp(logs)).to(codes.device) @ codes
    with torch.inference_mode():
        shown = network.decode_vectors(vectors.to(network.codebook.dtype).reshape(1, *frame.grid, -1))
        return as_pictures(shown.float())[0].cpu().numpy()
