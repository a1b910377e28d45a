"""Processes that work side by side, and end with the one that starts them."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context


@contextmanager
def workers(
    count: int | None = None, prepare: Callable[..., None] | None = None, *arguments: object,
    start: str | None = "spawn",
) -> Iterator[ProcessPoolExecutor]:  # fmt: skip
    """Start processes that run functions side by side.

    If an exception leaves the block, as Ctrl-C and SIGTERM do (`tokcom.interruption.end_in_order`), they are ended,
    whatever they are doing.

    Args:
        count: number of processes; None for that of the processors.
        prepare: function that each calls first, with `arguments`.
        start: method of `multiprocessing`; None for the platform's own. A process that is forked after its parent has
            used threads of OpenMP hangs in list decoding.
    """
    others = active_children()
    pool = ProcessPoolExecutor(count, get_context(start), _begin, (prepare, arguments))
    try:
        yield pool
    except BaseException:
        for process in active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(prepare: Callable[..., None] | None, arguments: tuple[object, ...]) -> None:
    """Leave Ctrl-C to the main process, which ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if prepare is not None:
        prepare(*arguments)
