"""Bounded queue for work that a block cannot do immediately."""

from collections import deque

from tokcom.errors import ParameterError

DROP_POLICIES = ("oldest", "newest")


class BoundedQueue(deque):
    """First-in, first-out queue of limited size.

    Parameters:
        size: entries that may wait, at least 1.
        drop: "oldest" or "newest": which is dropped when the queue is full.
    """

    def __init__(self, size: int, drop: str):
        super().__init__()
        if size < 1:
            raise ParameterError(f"queue_size is {size}; it must be at least 1")
        if drop not in DROP_POLICIES:
            raise ParameterError(f"drop is {drop!r}; it must be one of {', '.join(DROP_POLICIES)}")
        self.size, self.drop = size, drop

    def put(self, entry: object) -> bool:
        """Append an entry; return whether one was dropped for it."""
        full = len(self) >= self.size
        if full and self.drop == "oldest":
            self.popleft()
        if not full or self.drop == "oldest":
            self.append(entry)
        return full
