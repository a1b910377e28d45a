"""Cyclic redundancy checks over bits, in batches."""

from dataclasses import dataclass

import numba
import numpy as np

from tokcom.tables import table_row


@dataclass(frozen=True)
class Crc:
    """A check of `width` bits: polynomial without its leading term, register preset to `initial`, nothing reflected."""

    width: int
    polynomial: int
    initial: int

    @classmethod
    def named(cls, name: str) -> "Crc":
        """A check of the table crcs.json: none, crc11, crc16, crc24a.

        Raises:
            ParameterError: no such name.
        """
        row = table_row("tokcom.packets", "crcs", "crc", name)
        return cls(row["width"], row["polynomial"], row["initial"])

    def append(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """uint8 bits (batch, n + width): the bits (batch, n), each row followed by its check.

        Args:
            bits: uint8 (batch, n).
            presets: int64 (batch,), what each row's register is preset to, in place of `initial`: what `presets` made
                of bits that the check covers, too, ahead of these.
        """
        bits = np.ascontiguousarray(bits, dtype=np.uint8)
        out = np.empty((bits.shape[0], bits.shape[1] + self.width), np.uint8)
        if presets is None:
            presets = np.full(len(bits), self.initial, np.int64)
        _append(bits, self.width, self.polynomial, presets, out)
        return out

    def check(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """bool (batch,): which rows of bits (batch, n + width) end with their own check. Without a check, all do."""
        expected = self.append(bits[:, : bits.shape[1] - self.width], presets)
        return (expected == bits).all(axis=1)

    def presets(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """int64 (batch,): the register behind bits (batch, n) that are ahead of others under the same check; it was
        itself preset as in `append`."""
        checks = self.append(bits, presets)[:, bits.shape[1] :].astype(np.int64)
        return checks @ (1 << np.arange(self.width - 1, -1, -1, dtype=np.int64))


@numba.njit(cache=True, nogil=True)
def _append(bits, width, polynomial, presets, out):
    top, mask = (1 << width) >> 1, (1 << width) - 1
    count = bits.shape[1]
    for row in range(bits.shape[0]):
        register = presets[row]
        for i in range(count):
            out[row, i] = bits[row, i]
            feedback = ((register & top) != 0) != (bits[row, i] != 0)
            register = (register << 1) & mask
            if feedback:
                register ^= polynomial
        for i in range(width):
            out[row, count + i] = (register >> (width - 1 - i)) & 1
