"""Ctrl-C and SIGTERM as an event or an exception, for work that ends in order."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
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


def end_in_order(end: Callable[[], None] = lambda: sys.exit(128 + signal.SIGTERM)) -> None:
    """Let SIGTERM end this program by an exception, as Ctrl-C does, so that it ends the processes that it has started,
    too; a second one ends it at once. Main thread only.

    Args:
        end: function that raises the exception.
    """
    own = os.getpid()

    def on_signal(number: int, _: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        if os.getpid() != own:  # a fork has inherited this handler
            os.kill(os.getpid(), number)
        end()

    signal.signal(signal.SIGTERM, on_signal)
