"""Cache bounded in bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Least-recently-used cache, bounded in bytes; thread-safe.

    Args:
        max_bytes: limit on the bytes of all entries; the latest is kept whatever its size.
        size_of: function that returns an entry's present size in bytes, which may grow.
    """

    def __init__(self, max_bytes: int, size_of: Callable[[Value], int]):
        self.max_bytes, self._size_of = max_bytes, size_of
        self._entries: OrderedDict[Hashable, Value] = OrderedDict()
        self._turn = RLock()

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._entries

    @property
    def bytes_held(self) -> int:
        """Total bytes of all entries."""
        with self._turn:
            return sum(map(self._size_of, self._entries.values()))

    def find(self, key: Hashable) -> Value | None:
        """Find the entry of a key; None if there is none."""
        with self._turn:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the entry of a key, making it if missing and evicting others if needed. None cannot be an entry."""
        with self._turn:
            if (known := self.find(key)) is not None:
                return known
            value = self._entries[key] = make()
            while len(self._entries) > 1 and self.bytes_held > self.max_bytes:
                self._entries.popitem(last=False)
            return value
