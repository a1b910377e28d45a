"""Hot loops that Numba compiles and keeps on disk."""

import hashlib
from collections.abc import Callable
from functools import cached_property

import numba
import numpy as np
from numba.core.caching import FunctionCache
from numba.core.dispatcher import Dispatcher

CONSTANTS = bool | int | float | complex | str | bytes | tuple | np.ndarray | np.generic
"""Kinds of globals whose values Numba compiles into a kernel."""


def kernel(function: Callable | None = None, **options: object) -> Callable:
    """Let Numba compile a function, without the interpreter's lock, and keep the result for the next process.

    Numba by itself takes what it kept as long as the function's own file is as it was. Here it is also compiled again
    where a kernel or a constant that it uses has changed in another file.

    Args:
        function: the function; None: a decorator is returned.
        options: further ones of `numba.njit`.
    """

    def compiled(function: Callable) -> Callable:
        dispatcher = numba.njit(cache=True, nogil=True, **options)(function)
        if isinstance(dispatcher, Dispatcher):  # NUMBA_DISABLE_JIT leaves the function as it is
            dispatcher._cache = _Cache(dispatcher)
        return dispatcher

    return compiled if function is None else compiled(function)


class _Cache(FunctionCache):
    """Numba's, its entries keyed by the content of everything that a kernel was compiled from."""

    def __init__(self, dispatcher: Dispatcher):
        super().__init__(dispatcher.py_func)
        self._dispatcher = dispatcher

    @cached_property
    def _content(self) -> str:
        return hashlib.sha256(repr(_content(self._dispatcher, set())).encode()).hexdigest()

    def _index_key(self, sig: object, codegen: object) -> tuple:
        return (*super()._index_key(sig, codegen), self._content)


def _content(dispatcher: Dispatcher, seen: set[Dispatcher]) -> list:
    """Sources that a kernel is compiled from, its own and those of the kernels that it calls, each once."""
    if dispatcher in seen:
        return []
    seen.add(dispatcher)
    function = dispatcher.py_func
    code, known = function.__code__, function.__globals__
    found = [code.co_code, code.co_names, repr(code.co_consts), sorted(map(repr, dispatcher.targetoptions.items()))]
    for name in code.co_names:
        value = known.get(name)
        if isinstance(value, Dispatcher):
            found += [name, _content(value, seen)]
        elif isinstance(value, np.ndarray):
            found += [name, value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()]
        elif isinstance(value, CONSTANTS):
            found += [name, repr(value)]
    return found
