"""Blocks of losslessly coded tokens, each decodable without the others.

A block holds some positions of one frame, or of several frames of one grid, which are coded in parallel turns. It may
begin with bits that state these positions. The next bit tells whether it is coded; then come a hash of the tokens and
the range coder's bits: the numbers of the dithers first, then, turn by turn and frame by frame, the decisions. If that
is not shorter than the tokens themselves, the tokens follow uncoded.
"""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tokcom.context.condition import Condition
from tokcom.context.prior import ANY, Prior
from tokcom.errors import ModelError, ParameterError, SourceError
from tokcom.frame import LOST, TokenFrame
from tokcom.packets.bits import bits_per_token, bits_to_tokens, tokens_to_bits
from tokcom.source.decisions import Decisions
from tokcom.source.dither import MARGIN, probabilities
from tokcom.source.information import predicted, stored_condition
from tokcom.source.order import split_turns
from tokcom.source.range_coder import DecisionDecoder, DecisionEncoder
from tokcom.source.sections import Sections

MAX_TURNS = 255
MAX_BLOCKS = 255
CHECK_BITS = 16
NO_CMI = 0xFFFFFFFF
NOTHING_AHEAD = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class SourceSettings:
    """Settings of lossless coding.

    Args:
        turns: evaluations of the context model per frame, 1 to 255. Both ends must use the same number; more turns give
            fewer bits and take longer.
        blocks: blocks per frame, 1 to 255, each decodable without the others. Both ends must use the same number; with
            more blocks a lost block costs fewer tokens, but all need more bits.
        margin: largest difference between the decoder's and the encoder's log-odds.

    Raises:
        ParameterError: a value is out of its range.
    """

    turns: int = 16
    blocks: int = 1
    margin: float = MARGIN

    def __post_init__(self) -> None:
        for name, highest in (("turns", MAX_TURNS), ("blocks", MAX_BLOCKS)):
            if not 1 <= getattr(self, name) <= highest:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be 1 to {highest}")
        if not 0 <= self.margin < 0.1:
            raise ParameterError(f"margin is {self.margin}; it must be at least 0 and below .1")


DEFAULTS = SourceSettings()


def require_fit(prior: Prior, frames: Sequence[TokenFrame]) -> None:
    """Raise ModelError unless a prior can code frames."""
    if prior.order != ANY:
        raise ModelError(f"a prior of order {prior.order!r} cannot code blocks; it must be {ANY!r}")
    for frame in frames:
        prior.require_fit(frame, stored_condition(frame))


def require_codable(prior: Prior, frames: Sequence[TokenFrame], places: np.ndarray) -> None:
    """Raise ModelError unless a prior can code frames, and SourceError if a token at these positions is lost."""
    require_fit(prior, frames)
    for frame in frames:
        if frame.lost[places].any():
            raise SourceError(f"frame {frame.frame_id} lacks {frame.lost.sum()} tokens; only whole frames can be coded")


def raw_bytes(tokens: int, width: int, ahead: int = 0) -> int:
    """Upper bound on the bytes of a block of `tokens` tokens of `width` bits, with `ahead` bits ahead of it."""
    return (ahead + 1 + tokens * width + 7) // 8


def encode_block(
    frames: Sequence[TokenFrame], places: np.ndarray, prior: Prior, settings: SourceSettings,
    ahead: np.ndarray = NOTHING_AHEAD,
) -> bytes:  # fmt: skip
    """Encode some positions of frames of one grid as one block.

    Args:
        frames: at least one frame, none with lost tokens at these positions.
        places: int (n,), positions in the order of coding.
        prior: what predicts tokens; it sees only these positions of each frame.
        settings: settings of coding; `blocks` is ignored.
        ahead: uint8 (n,), bits with which the block begins; its hash covers them.

    Raises:
        ModelError: the prior has another codebook or grid.
        SourceError: a token of the frame is lost; constriction is not installed.
    """
    require_codable(prior, frames, places)
    tokens = np.stack([frame.tokens for frame in frames])
    raw = tokens_to_bits(tokens[:, places].ravel(), bits_per_token(prior.codebook_size))
    check = tokens_to_bits(np.array([_check(frames, tokens[:, places], ahead)]), CHECK_BITS)
    code = _code(tokens, list(map(stored_condition, frames)), places, prior, settings)
    coded = np.concatenate([[1], check, code])
    own = coded if len(coded) < 1 + len(raw) else np.concatenate([[0], raw])
    return np.packbits(np.concatenate([ahead, own]).astype(np.uint8)).tobytes()


def _code(
    tokens: np.ndarray, conditions: Sequence[Condition], places: np.ndarray, prior: Prior,
    settings: SourceSettings,
) -> np.ndarray:  # fmt: skip
    """Encode decisions with the range coder."""
    turns = split_turns(places, settings.turns)
    seen = np.full_like(tokens, LOST)
    odds, went = [], []
    for turn in turns:
        found = [
            Decisions(logs).of_tokens(tokens[frame, turn]) for frame, logs in predicted(prior, seen, conditions, turn)
        ]
        odds.append(np.stack([each for each, _ in found]))
        went.append(np.stack([each for _, each in found]))
        seen[:, turn] = tokens[:, turn]
    sections = Sections(len(places), went[0].shape[2])
    dithers = np.array([sections.find(own, settings.margin) for own in np.concatenate(odds, axis=1)])
    coder = DecisionEncoder()
    for own in dithers:
        sections.write(coder, own)
    spread = sections.spread(dithers)
    done = 0
    for turn_odds, turn_bits in zip(odds, went, strict=True):
        count = turn_odds.shape[1]
        table = probabilities(turn_odds, spread[:, done : done + count, None])
        # Bit by bit, in the order of the decoder.
        coder.encode(turn_bits.transpose(0, 2, 1).ravel(), table.transpose(0, 2, 1).ravel())
        done += count
    return coder.finish()


def decode_block(
    data: bytes, outlines: Sequence[TokenFrame], places: np.ndarray, prior: Prior, settings: SourceSettings,
    ahead: int = 0,
) -> np.ndarray:  # fmt: skip
    """Decode the tokens of a block.

    Args:
        data: a block from `encode_block`; zeros may follow.
        outlines: frames of the same codebook, grid and labels; their tokens are ignored.
        places: positions, as at the encoder.
        prior: the prior, as at the encoder.
        settings: settings, with `turns` as at the encoder.
        ahead: number of bits with which the block begins.

    Returns:
        int32 (frames, n), in the order of `places`.

    Raises:
        ModelError: the prior has another codebook or grid.
        SourceError: the block is not the encoder's, or the prior is not.
    """
    require_fit(prior, outlines)
    width, count = bits_per_token(prior.codebook_size), len(outlines) * len(places)
    most = raw_bytes(count, width, ahead)
    if not data or any(data[most:]):
        raise SourceError(f"it has {len(data)} bytes; {count} tokens of {width} bits take 1 to {most}")
    stated, bits = np.split(np.unpackbits(np.frombuffer(data[:most], np.uint8)), [ahead])
    if not len(bits):
        raise SourceError(f"it ends after {len(data)} bytes, within the bits ahead of its tokens")
    if not bits[0]:
        return _raw_tokens(bits[1:], count, width, prior.codebook_size).reshape(len(outlines), -1)
    if len(bits) < 1 + CHECK_BITS:
        raise SourceError(f"it ends after {len(data)} bytes, within its check")
    tokens = _decoded(bits[1 + CHECK_BITS :], outlines, places, prior, settings)
    if _check(outlines, tokens, stated) != bits_to_tokens(bits[1 : 1 + CHECK_BITS], CHECK_BITS)[0]:
        raise SourceError("its check fails: it is corrupt, or was coded with another model")
    return tokens


def _raw_tokens(bits: np.ndarray, count: int, width: int, codebook_size: int) -> np.ndarray:
    if len(bits) < count * width:
        raise SourceError(f"it ends after {len(bits)} of the {count * width} bits of its tokens")
    tokens = bits_to_tokens(bits[: count * width], width)
    if tokens.max() >= codebook_size:
        raise SourceError(f"it holds token {tokens.max()}, outside the codebook of {codebook_size} words")
    return tokens.astype(np.int32)


def _decoded(
    bits: np.ndarray, outlines: Sequence[TokenFrame], places: np.ndarray, prior: Prior, settings: SourceSettings
) -> np.ndarray:  # fmt: skip
    coder = DecisionDecoder(bits)
    width = bits_per_token(prior.codebook_size)
    sections = Sections(len(places), width)
    spread = sections.spread(np.array([sections.read(coder) for _ in outlines]))
    conditions = list(map(stored_condition, outlines))
    seen = np.full((len(outlines), len(outlines[0].tokens)), LOST, np.int32)
    done = 0
    for turn in split_turns(places, settings.turns):
        dither = spread[:, done : done + len(turn)]
        now = np.zeros((len(outlines), len(turn)), np.int32)
        for frame, logs in predicted(prior, seen, conditions, turn):
            decisions = Decisions(logs)
            for depth in range(width):
                table = probabilities(decisions.log_odds(now[frame], depth), dither[frame])
                now[frame] = 2 * now[frame] + coder.decode(table)
        if now.max() >= prior.codebook_size:
            raise SourceError(
                f"it decodes to token {now.max()}, outside the codebook of {prior.codebook_size} words: it is corrupt, "
                "or was coded with another model"
            )
        seen[:, turn] = now
        done += len(turn)
    return seen[:, places]


def _check(outlines: Sequence[TokenFrame], tokens: np.ndarray, ahead: np.ndarray) -> int:
    """Hash tokens (frames, n) with the identity of their frames, and the bits ahead of them, to CHECK_BITS bits."""
    hashed = hashlib.blake2b(outlines[0].codebook.encode(), digest_size=CHECK_BITS // 8)
    for outline, own in zip(outlines, tokens, strict=True):
        hashed.update(struct.pack("<I", NO_CMI if outline.cmi is None else outline.cmi))
        hashed.update(own.astype("<i4").tobytes())
    hashed.update(np.packbits(ahead).tobytes())
    return int.from_bytes(hashed.digest(), "big")
