"""Metadata that describe a frame, and the frame that they describe."""

from collections.abc import Mapping
from math import prod

import numpy as np

from tokcom import keys
from tokcom.errors import FrameError
from tokcom.frame import BITS, LOST, MAX_TOKENS, TOKENS, BitFrame, Payload, TokenFrame
from tokcom.packets.header import BurstHeader

from ._pdu import bytes_of, bytes_value, optional, required

SHARED = (
    (keys.CMI, "cmi", int, None), (keys.QUANTIZERS, "quantizers", int, 1), (keys.SIZES, "sizes", tuple, ()),
    (keys.FOLLOWS, "follows", int, 0), (keys.DESCRIPTION, "description", bytes, b""),
    (keys.THINNING, "thinning", bytes, b""), (keys.COMPANION, "companion", int, 0),
)  # fmt: skip
"""Metadata common to frames and burst headers: key, attribute, type, and the value for which there is no key."""


def frame_keys(frame: Payload) -> dict:
    """Make the metadata that describe a frame."""
    described = {
        keys.FRAME_ID: frame.frame_id,
        keys.MODALITY: frame.modality,
        keys.CODEBOOK: frame.codebook,
        keys.CODEBOOK_SIZE: frame.codebook_size,
        keys.GRID: tuple(frame.grid),
    }
    if isinstance(frame, BitFrame):
        described[keys.PAYLOAD] = BITS
    return described | shared_keys(frame)


def shared_keys(described: Payload | BurstHeader) -> dict:
    """Make the metadata of SHARED."""
    values = ((key, getattr(described, name), usual) for key, name, _, usual in SHARED)
    return {
        key: bytes_value(value) if isinstance(value, bytes) else value for key, value, usual in values if value != usual
    }


def frame_of(meta: Mapping, tokens: np.ndarray) -> Payload:
    """Make the frame of a PDU of tokens, or of bits.

    Raises:
        FrameError: keys are missing, or the tokens do not fit them.
    """
    if payload_of(meta) == BITS:
        return BitFrame(tokens, required(meta, keys.CODEBOOK, str), required(meta, keys.FRAME_ID, int))
    return TokenFrame(
        tokens,
        required(meta, keys.CODEBOOK, str),
        required(meta, keys.CODEBOOK_SIZE, int),
        required(meta, keys.GRID, tuple),
        required(meta, keys.MODALITY, str),
        frame_id=required(meta, keys.FRAME_ID, int),
        **shared_values(meta),
    )


def shared_values(meta: Mapping) -> dict[str, object]:
    """Look up the values of SHARED by attribute.

    Raises:
        FrameError: a value has another type.
    """
    return {
        name: bytes_of(meta, key) if kind is bytes else optional(meta, key, kind, usual)
        for key, name, kind, usual in SHARED
    }


def payload_of(meta: Mapping) -> str:
    """Return the payload of packets, `frame.TOKENS` by default, or `frame.BITS`.

    Raises:
        FrameError: the key has another value.
    """
    payload = optional(meta, keys.PAYLOAD, str, TOKENS)
    if payload not in (TOKENS, BITS):
        raise FrameError(f"the PDU's payload is {payload!r}; it must be {TOKENS} or {BITS}")
    return payload


def outline_of(meta: Mapping) -> Payload:
    """Make the frame that metadata describe, with all tokens lost.

    Raises:
        FrameError: keys are missing or wrong.
    """
    grid = required(meta, keys.GRID, tuple)
    if not all(isinstance(side, int) and 0 < side <= MAX_TOKENS for side in grid) or prod(grid) > MAX_TOKENS:
        raise FrameError(f"the PDU's grid is {grid!r}; a frame has at most {MAX_TOKENS} tokens")
    return frame_of(meta, np.full(prod(grid), LOST, np.int32))


def picture_of(meta: Mapping, data: np.ndarray) -> np.ndarray:
    """Make the picture of a PDU, uint8 (height, width, 3).

    Raises:
        FrameError: the values do not make a picture of the size in the metadata.
    """
    height, width = required(meta, keys.HEIGHT, int), required(meta, keys.WIDTH, int)
    if data.size != height * width * 3 or not data.size:
        raise FrameError(f"{data.size} values are not a picture of {width} x {height} RGB pixels")
    return data.reshape(height, width, 3)
