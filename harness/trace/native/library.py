"""Loads the compiled code, which is made first where the cache does not have it yet."""

from __future__ import annotations

import ctypes
import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import HostError
from harness.resources import cache_dir
from harness.trace.native import build

VARIABLE = "HARNESS_NATIVE"
Signatures = dict[str, tuple[Any, list[Any]]]  # function -> (type of its result, types of its arguments)
_ONE_AT_A_TIME = threading.Lock()


class State(NamedTuple):
    """Whether the compiled code can be used, and the file it is in or the reason why not."""

    usable: bool
    detail: str
    forbidden: bool = False


def functions(signatures: Signatures) -> ctypes.CDLL | None:
    """The library with these functions typed; None where it cannot be had or is forbidden.

    Raises HostError where it is demanded and cannot be had.
    """
    wanted = os.environ.get(VARIABLE, "")
    if wanted == "0":
        return None
    library = _found()
    if isinstance(library, HostError):
        if wanted == "1":
            what = f"the compiled code cannot be had: {library.what}"
            raise HostError(what, where=library.where, expected=f"it, because {VARIABLE}=1", hint=library.hint)
        return None
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def state() -> State:
    """Whether `functions` would give the library; it is made if need be."""
    if os.environ.get(VARIABLE) == "0":
        return State(False, f"forbidden by {VARIABLE}=0", forbidden=True)
    library = _found()
    return State(False, library.what) if isinstance(library, HostError) else State(True, library._name)


def _found() -> ctypes.CDLL | HostError:
    try:
        compiler = build.compiler()
    except HostError as error:
        return error
    with _ONE_AT_A_TIME:
        return _library(compiler)


@lru_cache(maxsize=8)
def _library(compiler: tuple[str, ...]) -> ctypes.CDLL | HostError:
    """The loaded library, or why there is none. Found out once in a process for each compiler."""
    try:
        path = cache_dir() / "native" / f"trace-{build.digest(compiler)}.so"
        return ctypes.CDLL(str(_sound(path, compiler)))
    except HostError as error:
        return error
    except OSError as error:
        return HostError(str(error))


def _sound(path: Path, compiler: tuple[str, ...]) -> Path:
    """The library's file, made if it is not there or not whole. HostError where it is not to be trusted."""
    if not path.exists() or build.refusal(path):
        build.build(path, compiler)
    if why := build.refusal(path):
        raise HostError(why, hint="remove it, or set HARNESS_CACHE to a folder that only you can write to")
    return path
