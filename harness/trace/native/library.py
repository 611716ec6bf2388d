"""Loads the compiled code, which is made first where the cache does not have it yet."""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import TraceError
from harness.resources import cache_dir
from harness.trace.native import build

VARIABLE = "HARNESS_NATIVE"
Signatures = dict[str, tuple[Any, list[Any]]]  # function -> (type of its result, types of its arguments)


class State(NamedTuple):
    """Whether the compiled code can be used, and the file it is in or the reason why not."""

    usable: bool
    detail: str


def functions(signatures: Signatures) -> ctypes.CDLL | None:
    """The library with these functions typed; None where it cannot be had or is forbidden.

    Raises TraceError where it is demanded and cannot be had.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        return None
    library, why = _library(build.compiler())
    if library is None:
        if wanted == "1":
            raise TraceError(f"the compiled code cannot be had: {why}", expected=f"it, because {VARIABLE}=1")
        return None
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def state() -> State:
    """Whether `functions` would give the library; it is made if need be."""
    if os.environ.get(VARIABLE) == "0":
        return State(False, f"forbidden by {VARIABLE}=0")
    library, why = _library(build.compiler())
    return State(False, why) if library is None else State(True, library._name)


@lru_cache(maxsize=8)
def _library(compiler: str | None) -> tuple[ctypes.CDLL | None, str]:
    """The loaded library, or the reason why there is none. Found out once in a process for each compiler."""
    if compiler is None:
        return None, "no C compiler (`cc`) is installed"
    path = _place(compiler)
    try:
        if not path.exists():
            build.build(path, compiler)
        return ctypes.CDLL(str(path)), ""
    except TraceError as error:
        return None, error.what
    except OSError as error:
        return None, str(error)


def _place(compiler: str) -> Path:
    return cache_dir() / "native" / f"trace-{build.digest(compiler)}.so"
