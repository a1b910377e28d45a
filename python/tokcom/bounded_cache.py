"""What is kept to be used again, up to a number of bytes."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedCache(Generic[Value]):
    """Keeps what was made; what was asked for longest ago goes first. Threads may share it.

    Args:
        max_bytes: what it may hold; the latest entry is kept, whatever it holds.
        size_of: bytes that an entry holds now; they may grow.
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
        """Bytes of all entries."""
        with self._turn:
            return sum(map(self._size_of, self._entries.values()))

    def find(self, key: Hashable) -> Value | None:
        """The entry of a key; None where there is none."""
        with self._turn:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The entry of a key; where there is none, it is made, and others are forgotten for it. None is no entry."""
        with self._turn:
            if (known := self.find(key)) is not None:
                return known
            value = self._entries[key] = make()
            while len(self._entries) > 1 and self.bytes_held > self.max_bytes:
                self._entries.popitem(last=False)
            return value
