"""Loss of picture quality if a token is predicted: the importance of each token, beyond its surprise."""

import numpy as np

from tokcom.adaptation.predictability import PASSES
from tokcom.context.prior import ANY, Prior
from tokcom.context.recovery import Recovery
from tokcom.errors import FrameError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.layout import CONTIGUOUS, PADDING, SEEDS, SPREAD, packet_positions
from tokcom.protocol.priority import DROPPED_FIRST, classes_of, packet_bits
from tokcom.tokenizers.picture_tokenizer import PictureTokenizer

ROUNDS = 2
"""Times that the surest third of each layout is tried."""


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
    group = np.random.default_rng([seed, frame.frame_id]).permutation(len(frame.tokens)) % passes
    errors = np.zeros(len(frame.tokens))
    for number in range(min(passes, len(frame.tokens))):
        hidden = group == number
        shown = np.where(hidden, LOST, frame.tokens).astype(np.int32)
        tokens = frame.tokens.copy()
        tokens[hidden] = prior.log_probabilities(shown[None], hidden[None], [condition]).argmax(axis=1)
        errors[hidden] = _patch_errors(tokenizer, frame.with_tokens(tokens), whole)[hidden]
    return errors


def cheapest_layout(
    prior: Prior, tokenizer: PictureTokenizer, frame: TokenFrame, tokens_per_packet: int = 4
) -> tuple[str, np.ndarray]:  # fmt: skip
    """Find the layout in which the surest third of a picture's packets costs least if it is dropped.

    Tokens that are easy to guess lie together, in a clear sky or on a wall. Contiguous packets hold either such tokens
    or none, so that few packets cost nothing; but a whole sky without a token is hard to guess. Each layout is tried:
    its surest third is guessed as the receiver does it, and its packets are ranked again by what that cost.

    Args:
        prior, tokenizer: the receiver's.
        frame: a whole picture.
        tokens_per_packet: tokens in each packet, at least 1.

    Returns:
        The layout, and float64 (n_packets,), what each packet costs if it is guessed; with a prior that guesses tokens
        in order only, the layout "spread".

    Raises:
        FrameError, ModelError: as `guess_errors`.
    """
    errors = guess_errors(prior, tokenizer, frame)
    places = {
        layout: packet_positions(frame.grid, tokens_per_packet, layout, frame.frame_id % SEEDS)
        for layout in (SPREAD, CONTIGUOUS)
    }
    if prior.order != ANY:
        return SPREAD, packet_bits(errors, places[SPREAD])
    whole, recovery = tokenizer.detokenize(frame).astype(np.float64), Recovery(prior)
    tried: list[tuple[float, str, np.ndarray]] = []
    for layout, positions in places.items():
        costs = packet_bits(errors, positions)
        for _ in range(ROUNDS):
            dropped = classes_of(costs) == DROPPED_FIRST
            hidden = positions[dropped]
            tokens = frame.tokens.copy()
            tokens[hidden[hidden != PADDING]] = LOST
            guessed, _ = recovery.recover(frame.with_tokens(tokens))
            found = _patch_errors(tokenizer, guessed, whole)
            tried.append((float(found.sum()), layout, costs.copy()))
            costs[dropped] = np.maximum(costs, packet_bits(found, positions))[dropped]
    return min(tried, key=lambda each: each[0])[1:]


def _patch_errors(tokenizer: PictureTokenizer, frame: TokenFrame, whole: np.ndarray) -> np.ndarray:
    """float64 (n_tokens,): mean squared error of each token's patch against the picture of the whole frame."""
    rows, columns = frame.grid
    height, width = whole.shape[0] // rows, whole.shape[1] // columns
    error = np.square(tokenizer.detokenize(frame) - whole).mean(axis=2)
    return error.reshape(rows, height, columns, width).mean(axis=(1, 3)).ravel()
