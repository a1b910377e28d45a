"""Format of the frames of a stream: announced once when a session begins, named by a number in each section."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from tokcom.errors import DatagramError, ParameterError
from tokcom.frame import BITS, LOST, MAX_DIMENSIONS, MAX_TOKENS, TOKENS, BitFrame, Payload, TokenFrame
from tokcom.packets.bits import bits_per_token
from tokcom.packets.codebook import Codebook, codebook_id
from tokcom.packets.layout import CONTIGUOUS, LAYOUTS, SEEDS, SPREAD, packet_positions
from tokcom.protocol.frame_elements import NO_ELEMENTS, FrameElements

MAX_FORMATS = 16
UNKNOWN = "unknown-"
"""Beginning of the names of codebooks that are not known here; their id in 8 hexadecimal digits follows."""
MAX_PACKETS = 1 << 16
MAX_TOKENS_PER_PACKET = 2048
MAX_TOKEN_BITS = 18
MAX_KEPT_TOKENS = 4096
"""Tokens of the largest frames whose layouts are kept."""
_HEAD = struct.Struct(">BIBHBB")
_KINDS = (TOKENS, BITS)


@dataclass(frozen=True)
class FrameFormat:
    """The outline that the frames of a stream share.

    Args:
        codebook_id: `packets.codebook.codebook_id` of their codebook's name.
        token_bits: bits of each token, 1 to 18.
        grid: shape of the tokens, of up to 4 dimensions; empty: a line whose length each section tells.
        tokens_per_packet: 1 to 2048.
        layout: which tokens travel together, one of `packets.layout.LAYOUTS`.
        payload: `frame.TOKENS` or `frame.BITS`.
        quantizers: residual quantizers, which the grid's first axis counts; 1 where there are none.

    Raises:
        ParameterError: a parameter is out of its range.
    """

    codebook_id: int
    token_bits: int
    grid: tuple[int, ...]
    tokens_per_packet: int = 4
    layout: str = SPREAD
    payload: str = TOKENS
    quantizers: int = 1

    def __post_init__(self) -> None:
        limits = {
            "codebook_id": (0, (1 << 32) - 1), "token_bits": (1, MAX_TOKEN_BITS),
            "tokens_per_packet": (1, MAX_TOKENS_PER_PACKET), "quantizers": (1, 255),
        }  # fmt: skip
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ParameterError(f"{name} is {getattr(self, name)}; it must be {low} to {high}")
        if self.layout not in LAYOUTS:
            raise ParameterError(f"layout is {self.layout!r}; it must be one of {', '.join(LAYOUTS)}")
        if self.payload not in _KINDS:
            raise ParameterError(f"payload is {self.payload!r}; it must be one of {', '.join(_KINDS)}")
        if len(self.grid) > MAX_DIMENSIONS or not all(1 <= side <= MAX_TOKENS for side in self.grid):
            raise ParameterError(
                f"grid is {self.grid}; it must have at most {MAX_DIMENSIONS} sides of 1 to {MAX_TOKENS}"
            )
        if self.grid:
            self.packets(prod(self.grid))
        if self.quantizers != 1 and (not self.grid or self.quantizers != self.grid[0]):
            raise ParameterError(
                f"quantizers is {self.quantizers}; it must be 1 or the first side of the grid {self.grid}"
            )

    @classmethod
    def of_frame(cls, frame: Payload, tokens_per_packet: int = 4, layout: str = SPREAD) -> "FrameFormat":
        """The format of a frame's stream; a line of tokens leaves its length to the sections."""
        bits = isinstance(frame, BitFrame)
        grid = () if len(frame.grid) == 1 else frame.grid
        return cls(
            codebook_id(frame.codebook), bits_per_token(frame.codebook_size), grid, tokens_per_packet,
            CONTIGUOUS if bits else layout, BITS if bits else TOKENS, frame.quantizers,
        )  # fmt: skip

    @property
    def packet_bytes(self) -> int:
        """Bytes of a packet's tokens, the last of which is filled up with zero bits."""
        return -(-self.tokens_per_packet * self.token_bits // 8)

    def packets(self, n_tokens: int) -> int:
        """Number of packets of a frame of `n_tokens` tokens.

        Raises:
            ParameterError: they are more than a frame may have.
        """
        n_packets = -(-n_tokens // self.tokens_per_packet)
        if not 1 <= n_tokens <= MAX_TOKENS or n_packets > MAX_PACKETS:
            raise ParameterError(
                f"a frame has {n_tokens} tokens in {n_packets} packets; it must have 1 to {MAX_TOKENS} tokens, in at "
                f"most {MAX_PACKETS} packets"
            )
        return n_packets

    def positions(self, grid: tuple[int, ...], seed: int) -> np.ndarray:
        """int32 (n_packets, tokens_per_packet): which tokens each packet of a frame carries; read-only."""
        outline = grid, self.tokens_per_packet, self.layout, seed % SEEDS, self.quantizers
        # Frames of a stream have the same layouts again and again; those of large frames would take too much memory.
        return _kept_positions(*outline) if prod(grid) <= MAX_KEPT_TOKENS else packet_positions(*outline)

    def empty_frame(
        self, grid: tuple[int, ...], codebook: Codebook | None, label: int | None, frame_id: int,
        elements: FrameElements = NO_ELEMENTS,
    ) -> Payload:  # fmt: skip
        """A frame of this format without a token yet; of a codebook that is not known here, under a name that tells its
        id.

        Raises:
            DatagramError: the codebook known under this id has tokens of another width.
        """
        name = f"{UNKNOWN}{self.codebook_id:08x}" if codebook is None else codebook.name
        tokens = np.full(prod(grid), LOST, np.int32)
        if self.payload == BITS:
            return BitFrame(tokens, name, frame_id)
        size = 1 << self.token_bits if codebook is None else codebook.size
        if bits_per_token(size) != self.token_bits:
            raise DatagramError(
                f"tokens of codebook {name} take {bits_per_token(size)} bits, and the sender's take {self.token_bits}: "
                "both ends must hold the same model"
            )
        modality = "unknown" if codebook is None else codebook.modality
        return TokenFrame(
            tokens, name, size, grid, modality, label, frame_id, self.quantizers, follows=elements.follows,
            description=elements.description, companion=elements.companion,
        )  # fmt: skip

    def encode(self) -> bytes:
        """Bytes of the format in a request to connect."""
        head = _HEAD.pack(
            _KINDS.index(self.payload) << 4 | LAYOUTS.index(self.layout), self.codebook_id, self.token_bits,
            self.tokens_per_packet, self.quantizers, len(self.grid),
        )  # fmt: skip
        return head + b"".join(side.to_bytes(3, "big") for side in self.grid)

    @classmethod
    def decode(cls, data: bytes) -> tuple["FrameFormat", int]:
        """The format at the beginning of bytes, and the bytes that it takes.

        Raises:
            DatagramError: there is none.
        """
        if len(data) < _HEAD.size:
            raise DatagramError(f"a format takes {_HEAD.size} bytes and {len(data)} are left")
        kind, codebook, token_bits, per_packet, quantizers, dimensions = _HEAD.unpack_from(data)
        end = _HEAD.size + 3 * dimensions
        if dimensions > MAX_DIMENSIONS or len(data) < end:
            raise DatagramError(f"a format has {dimensions} dimensions in {len(data)} bytes; at most {MAX_DIMENSIONS}")
        grid = tuple(int.from_bytes(data[i : i + 3], "big") for i in range(_HEAD.size, end, 3))
        try:
            layout, payload = LAYOUTS[kind & 15], _KINDS[kind >> 4]
            return cls(codebook, token_bits, grid, per_packet, layout, payload, quantizers), end
        except (IndexError, ParameterError) as error:
            raise DatagramError(f"a format is absurd: {error}") from None


@lru_cache(maxsize=SEEDS)
def _kept_positions(*outline: object) -> np.ndarray:
    positions = packet_positions(*outline)
    positions.flags.writeable = False
    return positions
