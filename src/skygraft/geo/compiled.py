"""Loops that numba compiles, once for all processes where the compiled code can be kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from types import FunctionType
from typing import Any, TypeVar, cast

import numba
from numba.core.dispatcher import Dispatcher

_Loop = TypeVar("_Loop", bound=Callable[..., Any])


def compiled(loop: _Loop) -> _Loop:
    """Compiles a function at its first call and keeps the machine code beside its source, or in the user's cache folder.

    numba writes that file whole or not at all, and looks at the source's time and size and at the processor before it takes it up. Where
    neither folder can be written, each process compiles for itself. Compiled functions that call each other stand in one module: numba does
    not see a change in another. Only what never changes may stand apart (:mod:`skygraft.geo.splitmix`).
    """
    try:
        return cast(_Loop, numba.njit(cache=True, nogil=True)(loop))
    except RuntimeError:
        # numba has found no folder that it may write.
        return cast(_Loop, numba.njit(nogil=True)(loop))


def interpreted(loop: _Loop) -> _Loop:
    """The same function run by Python, with those of its module that it calls: where compiling would take longer than the work."""
    return cast(_Loop, _interpreted(loop))


@lru_cache
def _interpreted(loop: Any) -> Any:
    scope = dict(loop.py_func.__globals__)
    for name, value in list(scope.items()):
        if isinstance(value, Dispatcher):
            scope[name] = FunctionType(value.py_func.__code__, scope, name, value.py_func.__defaults__)
    return scope[loop.__name__]
