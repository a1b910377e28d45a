"""Convolutional codes: trellis tables, encoding, puncturing."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from tokcom.errors import ParameterError
from tokcom.kernels import kernel
from tokcom.tables import table_row

MAX_CONSTRAINT_LENGTH = 15
MAX_OUTPUTS = 6


@dataclass(frozen=True)
class ConvolutionalCode:
    """A feed-forward code of rate 1/n, punctured where wanted.

    Args:
        constraint_length: K, 2 to 15: the newest bit and K-1 before it decide the output.
        generators: one polynomial per output, 2 to 6 of them; the most significant of the K bits is the newest bit's
            tap, as in the octal tables (0o133, 0o171).
        terminated: K-1 zero bits follow each packet and bring the code back to state 0.
        keep: puncturing pattern, one row per output, one column per bit of the period: 1 is sent, 0 is not.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    constraint_length: int
    generators: tuple[int, ...]
    terminated: bool = True
    keep: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        length = self.constraint_length
        if not 2 <= length <= MAX_CONSTRAINT_LENGTH:
            raise ParameterError(f"constraint_length is {length}; it must be 2 to {MAX_CONSTRAINT_LENGTH}")
        if not 2 <= len(self.generators) <= MAX_OUTPUTS:
            raise ParameterError(f"{len(self.generators)} generators given; there must be 2 to {MAX_OUTPUTS}")
        for generator in self.generators:
            if not 0 < generator < 1 << length:
                raise ParameterError(f"generator {generator:o} (octal) does not fit a constraint length of {length}")
        keep = self.keep or ((1,),) * len(self.generators)
        if (
            len(keep) != len(self.generators)
            or len(set(map(len, keep))) != 1
            or not all(map(any, zip(*keep, strict=True)))
        ):
            raise ParameterError(
                f"keep is {keep}; it must have one row for each of {len(self.generators)} outputs, rows of one length "
                "and a 1 in every column"
            )
        object.__setattr__(self, "keep", keep)

    @classmethod
    def named(cls, name: str, rate: str = "1/2") -> "ConvolutionalCode":
        """Look up a code in codes.json and puncture it by a row of punctures.json.

        Raises:
            ParameterError: no such name or rate.
        """
        row = table_row("tokcom.coding", "codes", "code", name)
        keep = table_row("tokcom.coding", "punctures", "rate", rate)["keep"]
        generators = tuple(int(octal, 8) for octal in row["generators"])
        return cls(row["constraint_length"], generators, row["terminated"], tuple(map(tuple, keep)))

    @property
    def tail(self) -> int:
        """Zero bits that follow each packet."""
        return self.constraint_length - 1 if self.terminated else 0

    @cached_property
    def outputs(self) -> np.ndarray:
        """int64 (states, 2): the code word, first output in the most significant bit, that each input bit produces in
        each state. A state holds the last K-1 bits, the newest in its least significant bit."""
        length = self.constraint_length
        taps = [int(f"{generator:0{length}b}"[::-1], 2) for generator in self.generators]
        register = np.arange(1 << length)
        words = np.zeros(1 << length, dtype=np.int64)
        for tap in taps:
            parity = register & tap
            for shift in (8, 4, 2, 1):
                parity ^= parity >> shift
            words = words << 1 | parity & 1
        return words.reshape(-1, 2)

    def kept(self, n_bits: int) -> np.ndarray:
        """int64 indices, in order, of the mother code's bits that are sent for `n_bits` bits of payload."""
        return _kept(self.keep, n_bits + self.tail)

    def coded_length(self, n_bits: int) -> int:
        """Bits sent for `n_bits` bits of payload, tail included."""
        return len(self.kept(n_bits))

    def encode(self, bits: np.ndarray) -> np.ndarray:
        """Encode bits.

        Args:
            bits: uint8 array (batch, n) of 0 and 1.

        Returns:
            uint8 array (batch, coded_length(n)).
        """
        bits = np.ascontiguousarray(bits, dtype=np.uint8)
        coded = np.empty((bits.shape[0], (bits.shape[1] + self.tail) * len(self.generators)), np.uint8)
        _encode(bits, self.outputs, len(self.generators), coded)
        return coded if self._whole else coded[:, self.kept(bits.shape[1])]

    def depuncture(self, llrs: np.ndarray, n_bits: int) -> np.ndarray:
        """Return the LLRs of the mother code, (batch, stages * n), zero where nothing was sent.

        Raises:
            ParameterError: the LLRs are not (batch, coded_length(n_bits)).
        """
        if llrs.ndim != 2 or llrs.shape[1] != self.coded_length(n_bits):
            raise ParameterError(
                f"llrs have shape {llrs.shape}; {n_bits} bits need (batch, {self.coded_length(n_bits)}) with this code"
            )
        llrs = np.ascontiguousarray(llrs, dtype=np.float32)
        if self._whole:
            return llrs
        full = np.zeros((llrs.shape[0], (n_bits + self.tail) * len(self.generators)), np.float32)
        full[:, self.kept(n_bits)] = llrs
        return full

    @property
    def pairwise(self) -> bool:
        """Whether every step of the trellis sends exactly two bits."""
        return self._whole and len(self.generators) == 2

    @cached_property
    def _whole(self) -> bool:
        return all(map(all, self.keep))


@lru_cache(maxsize=256)
def _kept(keep: tuple[tuple[int, ...], ...], stages: int) -> np.ndarray:
    pattern = np.array(keep, dtype=bool).T
    return np.flatnonzero(np.tile(pattern, (-(-stages // len(pattern)), 1))[:stages])


@kernel
def _encode(bits, outputs, n_outputs, coded):
    mask = outputs.shape[0] - 1
    stages = coded.shape[1] // n_outputs
    for row in range(bits.shape[0]):
        state = 0
        for t in range(stages):
            bit = bits[row, t] if t < bits.shape[1] else 0
            word = outputs[state, bit]
            for i in range(n_outputs):
                coded[row, t * n_outputs + i] = (word >> (n_outputs - 1 - i)) & 1
            state = ((state << 1) | bit) & mask
