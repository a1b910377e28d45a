"""Parts that belong to codebooks (recoveries, tokenizers), found by content and loaded on first use."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from tokcom.bounded_cache import BoundedCache
from tokcom.packets.codebook import Codebook, by_id, codebook_id

Part = TypeVar("Part")


class ByCodebook(Generic[Part]):
    """Parts of several models, one per codebook.

    The part of a single model is loaded at once, so that errors show early and the first frame need not wait. With
    several models, each part is loaded with its first frame, and the least recently used are released if they do not
    all fit.

    Args:
        loaders: known codebooks, each with a function that loads its part.
        size_of: function that returns a part's bytes in memory.
        max_bytes: limit on the bytes of all parts; the latest is kept whatever its size.

    Raises:
        ParameterError: two different codebooks have the same id.
    """

    def __init__(
        self, loaders: Iterable[tuple[Codebook, Callable[[], Part]]], size_of: Callable[[Part], int], max_bytes: int
    ):
        loaders = list(loaders)
        self.codebooks = by_id(codebook for codebook, _ in loaders)
        self._loaders = {codebook.id: load for codebook, load in loaders}
        self._loaded: BoundedCache[Part] = BoundedCache(max_bytes, size_of)
        if len(self._loaders) == 1:
            self.find(loaders[0][0].name)

    def add(self, codebook: Codebook, load: Callable[[], Part]) -> None:
        """Add a codebook, with a function that loads its part on first use; one that is known stays as it is.

        Raises:
            ParameterError: another codebook has the same id.
        """
        self.codebooks = by_id([*self.codebooks.values(), codebook])
        self._loaders.setdefault(codebook.id, load)

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the codebooks whose parts are in memory."""
        return tuple(each.name for number, each in self.codebooks.items() if number in self._loaded)

    @property
    def bytes_held(self) -> int:
        """Bytes of these parts."""
        return self._loaded.bytes_held

    def find(self, codebook: str) -> Part | None:
        """Find the part of a codebook by the codebook's name; None if the codebook is unknown.

        Raises:
            ModelError: the part cannot be loaded.
        """
        number = codebook_id(codebook)
        load = self._loaders.get(number)
        return None if load is None else self._loaded.get(number, load)

    def known(self) -> str:
        """List the names of the codebooks, for messages."""
        return ", ".join(each.name for each in self.codebooks.values()) or "none"
