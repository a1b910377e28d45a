"""Cyclic redundancy checks over bits, in batches."""

from dataclasses import dataclass

import numpy as np

from tokcom.kernels import kernel
from tokcom.tables import table_row


@dataclass(frozen=True)
class Crc:
    """CRC of `width` bits: polynomial without its leading term, register preset to `initial`, no reflection."""

    width: int
    polynomial: int
    initial: int

    @classmethod
    def named(cls, name: str) -> "Crc":
        """Look up a check in crcs.json: none, crc11, crc16, crc24a.

        Raises:
            ParameterError: no such name.
        """
        row = table_row("tokcom.packets", "crcs", "crc", name)
        return cls(row["width"], row["polynomial"], row["initial"])

    def append(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """Append the check to each row of bits (batch, n), uint8 (batch, n + width).

        Args:
            bits: uint8 (batch, n).
            presets: int64 (batch,), preset of each row's register in place of `initial`: the result of `presets` for
                preceding bits that the check also covers.
        """
        bits = np.ascontiguousarray(bits, dtype=np.uint8)
        out = np.empty((bits.shape[0], bits.shape[1] + self.width), np.uint8)
        if presets is None:
            presets = np.full(len(bits), self.initial, np.int64)
        _append(bits, self.width, self.polynomial, presets, out)
        return out

    def check(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """Test which rows of bits (batch, n + width) end with their own check, bool (batch,). With a check of no bits,
        all do."""
        if presets is None:
            presets = np.full(len(bits), self.initial, np.int64)
        ok = np.empty(len(bits), np.bool_)
        _check(bits, self.width, self.polynomial, presets, ok)
        return ok

    def presets(self, bits: np.ndarray, presets: np.ndarray | None = None) -> np.ndarray:
        """Compute the register after bits (batch, n) that precede others under the same check, int64 (batch,); it is
        preset as in `append`."""
        checks = self.append(bits, presets)[:, bits.shape[1] :].astype(np.int64)
        return checks @ (1 << np.arange(self.width - 1, -1, -1, dtype=np.int64))

    def register(self, value: int, count: int, preset: int | None = None) -> int:
        """Compute the register after the lowest `count` bits of a number, at most 63, most significant first; it is
        preset to `initial` or to `preset`."""
        preset = self.initial if preset is None else preset
        return _register(value, count, self.width, self.polynomial, preset)


@kernel
def _shifted(register, bit, width, polynomial):
    """Shift one bit into the register."""
    feedback = ((register & ((1 << width) >> 1)) != 0) != (bit != 0)
    register = (register << 1) & ((1 << width) - 1)
    return register ^ polynomial if feedback else register


@kernel
def _register(value, count, width, polynomial, register):
    for i in range(count - 1, -1, -1):
        register = _shifted(register, (value >> i) & 1, width, polynomial)
    return register


@kernel
def _check(bits, width, polynomial, presets, ok):
    count = bits.shape[1] - width
    for row in range(bits.shape[0]):
        register = presets[row]
        for i in range(count):
            register = _shifted(register, bits[row, i], width, polynomial)
        told = 0
        for i in range(width):
            told = told << 1 | bits[row, count + i]
        ok[row] = told == register


@kernel
def _append(bits, width, polynomial, presets, out):
    count = bits.shape[1]
    for row in range(bits.shape[0]):
        register = presets[row]
        for i in range(count):
            out[row, i] = bits[row, i]
            register = _shifted(register, bits[row, i], width, polynomial)
        for i in range(width):
            out[row, count + i] = (register >> (width - 1 - i)) & 1
