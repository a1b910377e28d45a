"""A secret check of packets that is linear in their bits, as a CRC is, so that lists and trellises may use it as one.

Two packets that differ have tags that differ in a given way with a chance of exactly 2**-width over the secret bits: a
Toeplitz matrix (H. Krawczyk, LFSR-based Hashing and Authentication, CRYPTO '94). With a secret preset that is used
once, it is a Wegman-Carter authenticator.
"""

import numpy as np

from tokcom.kernels import kernel


class UniversalHash:
    """A check of `width` bits over a fixed number of bits; `append` and `check` are those of `packets.crc.Crc`.

    Args:
        secret: uint8, bytes that hold n_bits + width - 1 secret bits, the first in the most significant place. Bit j of
            a packet, where it is 1, adds bits j to j + width - 1 of the secret to the tag, the first as the most
            significant.
        width: bits of a tag, at most 62.
        n_bits: bits of a packet.
    """

    initial = 0

    def __init__(self, secret: np.ndarray, width: int, n_bits: int):
        self.width = width
        self.columns = _windows(secret, width, n_bits)

    def append(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """uint8 bits (batch, n + width): the bits (batch, n), each row followed by its tag.

        Args:
            bits: uint8 (batch, n).
            presets: int64 (batch,), what is added to each row's tag; None: nothing.
        """
        bits = np.ascontiguousarray(bits, np.uint8)
        out = np.empty((len(bits), bits.shape[1] + self.width), np.uint8)
        _append(bits, self.columns, self.width, np.zeros(len(bits), np.int64) if presets is None else presets, out)
        return out

    def check(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """bool (batch,): which rows of bits (batch, n + width) end with their own tag."""
        n = bits.shape[1] - self.width
        return (self.append(bits[:, :n], presets)[:, n:] == bits[:, n:]).all(axis=1)


@kernel
def _windows(secret, width, n_bits):
    columns, window = np.empty(n_bits, np.int64), 0
    for i in range(n_bits + width - 1):
        window = (window << 1 | (secret[i >> 3] >> (7 - (i & 7))) & 1) & ((1 << width) - 1)
        if i >= width - 1:
            columns[i - width + 1] = window
    return columns


@kernel
def _append(bits, columns, width, presets, out):
    count = bits.shape[1]
    for row in range(bits.shape[0]):
        tag = presets[row]
        for i in range(count):
            out[row, i] = bits[row, i]
            if bits[row, i]:
                tag ^= columns[i]
        for i in range(width):
            out[row, count + i] = (tag >> (width - 1 - i)) & 1
