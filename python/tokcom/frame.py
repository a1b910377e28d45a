"""The unit that travels through every room: the tokens of one picture, sentence or piece of speech."""

from dataclasses import astuple, dataclass, field, replace
from math import prod

import numpy as np

from tokcom.errors import FrameError

LOST = -1
"""Stands in a frame for a token that the channel lost."""

MAX_CODEBOOK_SIZE = 1 << 18


@dataclass(frozen=True, eq=False)
class TokenFrame:
    """Tokens of a shared codebook, and what is needed to understand them: a value, which nobody can change, and which
    equals another frame of the same content.

    Args:
        tokens: integers (n,), each LOST or 0..codebook_size-1; the frame keeps a read-only copy, int32.
        codebook: name of the codebook (the model that made the tokens).
        codebook_size: words in the codebook, 2 to 2**18.
        grid: shape that the tokens fill in row-major order; (n,) where they form a line.
        modality: "image", "text", "speech", …
        cmi: cross-modal information, a class label; None where there is none.
        frame_id: running number at the source, at least 0.

    Raises:
        FrameError: the tokens are no such array, lie outside the codebook or do not fill the grid.
    """

    tokens: np.ndarray
    codebook: str
    codebook_size: int
    grid: tuple[int, ...] = field(default=())
    modality: str = "image"
    cmi: int | None = None
    frame_id: int = 0

    def __post_init__(self) -> None:
        tokens = np.asarray(self.tokens)
        if tokens.ndim != 1 or not tokens.size or not np.issubdtype(tokens.dtype, np.integer):
            raise FrameError(f"tokens are a line of integers, not {tokens.dtype} of shape {tokens.shape}")
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
        own = np.array(tokens, np.int32)
        own.flags.writeable = False
        object.__setattr__(self, "tokens", own)
        object.__setattr__(self, "grid", grid)

    def __eq__(self, other: object) -> bool:
        return self._content() == other._content() if isinstance(other, TokenFrame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._content())

    def _content(self) -> tuple:
        return self.tokens.tobytes(), *astuple(self)[1:]

    @property
    def lost(self) -> np.ndarray:
        """bool array (n,): which tokens the channel lost."""
        return self.tokens == LOST

    def with_tokens(self, tokens: np.ndarray) -> "TokenFrame":
        """The same frame holding other tokens."""
        return replace(self, tokens=tokens)
