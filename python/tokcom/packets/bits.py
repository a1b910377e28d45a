"""Tokens as bits, most significant first."""

import numpy as np

from tokcom.errors import FrameError


def bits_per_token(codebook_size: int) -> int:
    """Compute the number of bits that address every word of a codebook."""
    return max(1, (codebook_size - 1).bit_length())


def tokens_to_bits(tokens: np.ndarray, width: int) -> np.ndarray:
    """Convert tokens to bits.

    Args:
        tokens: int array (..., n), each 0..2**width-1.
        width: bits per token.

    Returns:
        uint8 array (..., n * width) of 0 and 1.

    Raises:
        FrameError: a token does not fit in `width` bits.
    """
    tokens = np.asarray(tokens)
    if tokens.size and (tokens.min() < 0 or tokens.max() >> width):
        bad = tokens.min() if tokens.min() < 0 else tokens.max()
        raise FrameError(f"token {bad} does not fit in {width} bits")
    octets = np.ascontiguousarray(tokens, ">u4" if width <= 32 else ">u8")[..., None].view(np.uint8)
    bits = np.unpackbits(octets, axis=-1)
    return bits[..., bits.shape[-1] - width :].reshape(*tokens.shape[:-1], tokens.shape[-1] * width)


def bits_to_tokens(bits: np.ndarray, width: int) -> np.ndarray:
    """Convert bits (..., n * width) to int32 tokens (..., n): the inverse of `tokens_to_bits`."""
    if bits.shape[-1] % width:
        raise FrameError(f"{bits.shape[-1]} bits are not a whole number of {width}-bit tokens")
    words = bits.reshape(*bits.shape[:-1], bits.shape[-1] // width, width)
    return words @ (1 << np.arange(width - 1, -1, -1, dtype=np.int32))
