"""An event loop in a thread of its own, for blocks at the edge of a network."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class NetworkThread:
    """Runs an event loop until it is stopped.

    Parameters:
        name: of the thread.
    """

    def __init__(self, name: str):
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, what: Callable[[], Any]) -> Any:
        """The result of a function that runs within the loop; what it raises is raised here."""
        done: Future = Future()

        def run() -> None:
            try:
                done.set_result(what())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(run)
        return done.result(30)

    def begin(self, what: Callable[[], Any]) -> Any:
        """Run the first function within the loop, as `call` does; if it raises, the thread ends."""
        try:
            return self.call(what)
        except BaseException:
            self.stop()
            raise

    def wait_for(self, coroutine: Any, timeout_s: float) -> Any:
        """The result of a coroutine that runs within the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def stop(self) -> None:
        """End the loop and the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
