"""Pictures of which only some tokens were sent: the mean of what the receiver's model expects."""

import numpy as np
import torch

from tokcom.context.prior import Prior
from tokcom.frame import TokenFrame
from tokcom.tokenizers.vq import VQTokenizer
from tokcom.tokenizers.vq_network import as_pictures


def expected_picture(frame: TokenFrame, prior: Prior, tokenizer: VQTokenizer) -> np.ndarray:
    """Decode a frame with the expected code vector, given the other tokens, in place of each lost token.

    The most likely tokens would look sharper and be wrong more visibly: the mean has the least squared error.

    Args:
        frame: a frame of the tokenizer's codebook and grid.
        prior: the prior of its tokens.
        tokenizer: the tokenizer, in PyTorch, on the CPU.

    Returns:
        uint8 (size, size, 3).

    Raises:
        ModelError: the prior does not fit the frame.
    """
    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    lost, network = frame.lost, tokenizer.network
    if not lost.any():
        return tokenizer.detokenize(frame)
    logs = prior.log_probabilities(frame.tokens[None], lost[None], [condition])
    codes = network.codebook.float()
    vectors = codes[torch.from_numpy(np.where(lost, 0, frame.tokens).astype(np.int64))]
    vectors[torch.from_numpy(lost)] = torch.from_numpy(np.exp(logs)) @ codes
    with torch.inference_mode():
        return as_pictures(network.decode_vectors(vectors.reshape(1, *frame.grid, -1)))[0].numpy()
