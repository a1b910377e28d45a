"""What belongs to codebooks (recoveries, tokenizers), found by their content and loaded when first asked for."""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from tokcom.bounded_cache import BoundedCache
from tokcom.packets.codebook import Codebook, by_id, codebook_id

Part = TypeVar("Part")


class ByCodebook(Generic[Part]):
    """Parts of several models, one for each codebook.

    Of one model the part is loaded at once: what is wrong with it shows before the first frame, which need not wait for
    it. Of several, each is loaded with its first frame, and what was used longest ago is let go where all do not fit.

    Args:
        loaders: what is known of, and what loads its part.
        size_of: bytes that a part holds in memory.
        max_bytes: what all may hold; the latest is kept, whatever it holds.

    Raises:
        ParameterError: two codebooks that differ have one id.
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

    @property
    def loaded(self) -> tuple[str, ...]:
        """Names of the codebooks whose parts are in memory."""
        return tuple(each.name for number, each in self.codebooks.items() if number in self._loaded)

    @property
    def bytes_held(self) -> int:
        """What they hold there."""
        return self._loaded.bytes_held

    def find(self, codebook: str) -> Part | None:
        """The part of a codebook, by the codebook's name; None where it is not known.

        Raises:
            ModelError: it is known and cannot be loaded.
        """
        number = codebook_id(codebook)
        load = self._loaders.get(number)
        return None if load is None else self._loaded.get(number, load)

    def known(self) -> str:
        """The codebooks in words, for messages."""
        return ", ".join(each.name for each in self.codebooks.values()) or "none"
