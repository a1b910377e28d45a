"""Loss of picture quality if a token is predicted: the importance of each token, beyond its surprise."""

import numpy as np

from tokcom.adaptation.predictability import PASSES
from tokcom.context.prior import Prior
from tokcom.errors import FrameError
from tokcom.frame import LOST, TokenFrame
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer


def guess_errors(
    prior: Prior, tokenizer: PictureTokenizer, frame: TokenFrame, passes: int = PASSES, seed: int = 0
) -> np.ndarray:  # fmt: skip
    """float64 (n_tokens,): mean squared error of each token's patch where the prior guesses it, in squared 8-bit steps.

    A token that is guessed wrong by another that looks alike costs nothing, however surprising it was. The tokens are
    dealt at random into as many groups as there are passes; each is guessed once, from all others.

    Args:
        prior: the receiver's.
        tokenizer: shows the tokens.
        frame: a whole picture.
        passes: of prior and tokenizer, at least 1.
        seed: of the groups, together with the frame's number.

    Raises:
        FrameError: the frame has lost tokens, or is of another codebook or grid than the tokenizer's.
        ModelError: the prior does not fit the frame.
    """
    if frame.lost.any():
        raise FrameError(f"{int(frame.lost.sum())} tokens of frame {frame.frame_id} are lost; none may be")
    condition = prior.told_with(frame)
    prior.require_fit(frame, condition)
    whole = tokenizer.detokenize(frame).astype(np.float64)
    rows, columns = frame.grid
    height, width = whole.shape[0] // rows, whole.shape[1] // columns
    group = np.random.default_rng([seed, frame.frame_id]).permutation(len(frame.tokens)) % passes
    errors = np.zeros(len(frame.tokens))
    for number in range(min(passes, len(frame.tokens))):
        hidden = group == number
        shown = np.where(hidden, LOST, frame.tokens).astype(np.int32)
        tokens = frame.tokens.copy()
        tokens[hidden] = prior.log_probabilities(shown[None], hidden[None], [condition]).argmax(axis=1)
        error = np.square(tokenizer.detokenize(frame.with_tokens(tokens)) - whole).mean(axis=2)
        patches = error.reshape(rows, height, columns, width).mean(axis=(1, 3)).ravel()
        errors[hidden] = patches[hidden]
    return errors
