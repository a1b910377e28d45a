"""Frames, the unit of all processing: the tokens of one picture, sentence or piece of speech, or bits of any kind."""

from dataclasses import astuple, dataclass, field, replace
from math import prod

import numpy as np

from tokcom.errors import FrameError

LOST = -1
"""Value of a token that was lost."""

MAX_CODEBOOK_SIZE = 1 << 18
MAX_TOKENS = 1 << 20
MAX_DIMENSIONS = 4
GROUP_DIMENSIONS = 3
"""Sides of the grid of a group of a video's frames, whose first side is time; without residual quantizers."""
MAX_FOLLOWS = 255
MAX_DESCRIPTION = 240
"""Bytes of the longest description: what a header's extension has room for, beside other elements."""
TOKENS, BITS = "tokens", "bits"
"""Kinds of payload."""


@dataclass(frozen=True, eq=False)
class TokenFrame:
    """Frame of tokens of a shared codebook, with the information needed to interpret them; immutable, and equal to
    other frames of the same content.

    Args:
        tokens: integers (n,), at most 2**20, each LOST or 0..codebook_size-1; the frame keeps a read-only copy, int32.
        codebook: name of the codebook (the model that made the tokens).
        codebook_size: words in the codebook, 2 to 2**18.
        grid: shape of up to 4 dimensions that the tokens fill in row-major order; (n,) for a line.
        modality: "image", "text", "speech", …
        cmi: cross-modal information, a class label; None without.
        frame_id: frame number at the source, at least 0.
        quantizers: number of residual quantizers, each with its own words; if several, they are the first axis of the
            grid.
        sizes: words of each quantizer, if they differ, the largest of them codebook_size; the frame keeps () if all are
            equal.
        follows: frames back to the one that it continues, 1 to 255, as in a video; 0 if it stands alone.
        description: cross-modal information beyond the label, as `context.description` codes it, at most 240 bytes.
        thinning: rule that says which of the tokens are sent (`packets.thinning`), serialized; empty if all are.
        companion: frames back to the one that belongs to it, 1 to 255, as a text that is a picture's caption; 0 if none
            does.

    Raises:
        FrameError: the tokens are not such an array, lie outside the codebook or do not fill the grid.
    """

    tokens: np.ndarray
    codebook: str
    codebook_size: int
    grid: tuple[int, ...] = field(default=())
    modality: str = "image"
    cmi: int | None = None
    frame_id: int = 0
    quantizers: int = 1
    sizes: tuple[int, ...] = ()
    follows: int = 0
    description: bytes = b""
    thinning: bytes = b""
    companion: int = 0

    def __post_init__(self) -> None:
        tokens = np.asarray(self.tokens)
        if tokens.ndim != 1 or not tokens.size or not np.issubdtype(tokens.dtype, np.integer):
            raise FrameError(f"tokens must be a 1-D array of integers, not {tokens.dtype} of shape {tokens.shape}")
        if tokens.size > MAX_TOKENS:
            raise FrameError(f"{tokens.size} tokens are too many for a frame, which has at most {MAX_TOKENS}")
        if not 2 <= self.codebook_size <= MAX_CODEBOOK_SIZE:
            raise FrameError(f"codebook_size is {self.codebook_size}; it must be 2 to {MAX_CODEBOOK_SIZE}")
        outside = (tokens < LOST) | (tokens >= self.codebook_size)
        if outside.any():
            place = int(outside.argmax())
            raise FrameError(
                f"token {place} is {tokens[place]}, outside codebook {self.codebook} of {self.codebook_size} words"
            )
        if self.frame_id < 0:
            raise FrameError(f"frame_id is {self.frame_id}; it must be at least 0")
        grid = tuple(int(side) for side in self.grid) or (len(tokens),)
        if prod(grid) != len(tokens) or min(grid) < 1:
            raise FrameError(f"{len(tokens)} tokens do not fill a grid of {' x '.join(map(str, grid))}")
        if len(grid) > MAX_DIMENSIONS:
            raise FrameError(f"the grid {grid} has {len(grid)} dimensions; a frame has at most {MAX_DIMENSIONS}")
        if self.quantizers not in (1, grid[0]):
            raise FrameError(f"quantizers is {self.quantizers}; it must be 1, or the first side of the grid {grid}")
        for name in ("follows", "companion"):
            if not 0 <= getattr(self, name) <= MAX_FOLLOWS:
                raise FrameError(f"{name} is {getattr(self, name)}; it must be 0 to {MAX_FOLLOWS}")
        if len(self.description) > MAX_DESCRIPTION:
            raise FrameError(
                f"the description has {len(self.description)} bytes; at most {MAX_DESCRIPTION} are allowed"
            )
        own = np.array(tokens, np.int32)
        own.flags.writeable = False
        object.__setattr__(self, "tokens", own)
        object.__setattr__(self, "grid", grid)
        object.__setattr__(self, "sizes", self._checked_sizes())
        if self.sizes and (own >= self.limits).any():
            place = int((own >= self.limits).argmax())
            raise FrameError(f"token {place} is {own[place]}; its quantizer has {self.limits[place]} words")

    def _checked_sizes(self) -> tuple[int, ...]:
        sizes = tuple(int(size) for size in self.sizes)
        if sizes and (len(sizes) != self.quantizers or min(sizes) < 2 or max(sizes) != self.codebook_size):
            raise FrameError(
                f"sizes is {sizes}; it must hold the words of each of {self.quantizers} quantizers, at least 2 and at "
                f"most {self.codebook_size}, the largest"
            )
        return sizes if len(set(sizes)) > 1 else ()

    @property
    def limits(self) -> np.ndarray:
        """int (n,): words that each token is one of."""
        return token_limits(self.sizes or (self.codebook_size,), len(self.tokens))

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, TokenFrame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple:
        return self.tokens.tobytes(), *astuple(self)[1:]

    @property
    def lost(self) -> np.ndarray:
        """Mask of lost tokens, bool (n,)."""
        return self.tokens == LOST

    def with_tokens(self, tokens: np.ndarray) -> "TokenFrame":
        """Return the same frame with other tokens."""
        return replace(self, tokens=tokens)


@dataclass(frozen=True, eq=False)
class BitFrame:
    """Frame of bits of any kind, with a name of their content; immutable, and equal to other frames of the same
    content.

    It has the interface of a TokenFrame with a codebook of two words, in a line.

    Args:
        bits: integers (n,), at most 2**20, each 0, 1 or LOST; the frame keeps a read-only copy, int32.
        content: name of the content, whose id is in the header as for a codebook.
        frame_id: frame number at the source, at least 0.

    Raises:
        FrameError: the bits are not such an array.
    """

    bits: np.ndarray
    content: str
    frame_id: int = 0

    codebook_size, modality, cmi, quantizers, sizes, follows = 2, BITS, None, 1, (), 0
    description, thinning, companion = b"", b"", 0

    def __post_init__(self) -> None:
        outline = TokenFrame(self.bits, self.content, self.codebook_size, frame_id=self.frame_id)
        object.__setattr__(self, "bits", outline.tokens)

    @classmethod
    def of_bytes(cls, data: bytes, content: str, frame_id: int = 0) -> "BitFrame":
        """Make a frame of at most 2**17 bytes, most significant bit first."""
        return cls(np.unpackbits(np.frombuffer(data, np.uint8)).astype(np.int32), content, frame_id)

    def to_bytes(self) -> bytes:
        """Convert the bits to bytes, padded with zero bits.

        Raises:
            FrameError: bits are lost.
        """
        if self.lost.any():
            raise FrameError(f"{int(self.lost.sum())} of {len(self.bits)} bits of frame {self.frame_id} are lost")
        return np.packbits(self.bits.astype(np.uint8)).tobytes()

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, BitFrame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple:
        return self.bits.tobytes(), self.content, self.frame_id

    @property
    def tokens(self) -> np.ndarray:
        return self.bits

    @property
    def codebook(self) -> str:
        return self.content

    @property
    def grid(self) -> tuple[int, ...]:
        return (len(self.bits),)

    @property
    def lost(self) -> np.ndarray:
        """Mask of lost bits, bool (n,)."""
        return self.bits == LOST

    def with_tokens(self, tokens: np.ndarray) -> "BitFrame":
        """Return the same frame with other bits."""
        return replace(self, bits=tokens)


def token_limits(sizes: tuple[int, ...], n_tokens: int) -> np.ndarray:
    """int (n_tokens,): words that each token of a frame is one of, by the words of each of its quantizers."""
    return np.repeat(sizes, n_tokens // len(sizes))


Payload = TokenFrame | BitFrame
"""Payload of packets: a frame of tokens or of bits."""
