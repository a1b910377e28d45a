"""Ctrl-C and SIGTERM as an event, for work that ends in order."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruption() -> Iterator[threading.Event]:
    """Set an event at SIGINT or SIGTERM in place of what they otherwise do, until the block ends; main thread only."""
    asked = threading.Event()
    handlers = {
        number: signal.signal(number, lambda *_: asked.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }  # fmt: skip
    try:
        yield asked
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
