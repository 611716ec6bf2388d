"""Loads the compiled code, which is made first where the cache does not have it yet."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import HostError
from harness.paths import cache_dir
from harness.trace.native import build

VARIABLE = "HARNESS_NATIVE"
RETRY_AFTER_S = 24 * 3600.0  # a compiler may work again without being another: its headers were missing, it was late
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
    library = _found(again=wanted == "1")
    if isinstance(library, HostError):
        if wanted == "1":
            what = f"the compiled code cannot be had: {library.what}"
            raise HostError(what, where=library.where, expected=f"it, because {VARIABLE}=1", hint=library.hint)
        return None
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def state(again: bool = False) -> State:
    """Whether `functions` would give the library; it is made if need be.

    A compiler that failed within the last day is not tried, unless `again` or HARNESS_NATIVE=1 asks for it.
    """
    if os.environ.get(VARIABLE) == "0":
        return State(False, f"forbidden by {VARIABLE}=0", forbidden=True)
    library = _found(again or os.environ.get(VARIABLE) == "1")
    return State(False, library.what) if isinstance(library, HostError) else State(True, library._name)


def _found(again: bool) -> ctypes.CDLL | HostError:
    try:
        compiler = build.compiler()
    except HostError as error:
        return error
    with _ONE_AT_A_TIME:
        return _library(compiler, again)


@lru_cache(maxsize=8)
def _library(compiler: tuple[str, ...], again: bool) -> ctypes.CDLL | HostError:
    """The loaded library, or why there is none. Found out once in a process for each compiler."""
    try:
        path = cache_dir() / "native" / f"trace-{build.digest(compiler)}.so"
        return ctypes.CDLL(str(_sound(path, compiler, again)))
    except HostError as error:
        return error
    except OSError as error:
        return HostError(str(error))


def _sound(path: Path, compiler: tuple[str, ...], again: bool) -> Path:
    """The library's file, made if it is not there or not whole. HostError where it is not to be trusted."""
    if not path.exists() or build.refusal(path):
        _build(path, compiler, again)
    if why := build.refusal(path):
        raise HostError(why, hint="remove it, or set HARNESS_CACHE to a folder that only you can write to")
    return path


def _build(path: Path, compiler: tuple[str, ...], again: bool) -> None:
    """Make the library; where that failed lately, only if it is to be tried `again`.

    A failure is noted under the library's own name: it holds for these sources and flags, and for this compiler, alone.
    """
    note = path.with_suffix(".failed")
    if not again and (why := _noted(note)):
        raise HostError(f"{why} (noted in {note}; {VARIABLE}=1 tries again)", where=compiler[0])
    try:
        build.build(path, compiler)
    except HostError as error:
        with suppress(OSError):
            note.write_text(error.what, "utf-8")
        raise
    note.unlink(missing_ok=True)


def _noted(note: Path) -> str:
    """Why the library could not be made, if that was within the last day; else nothing."""
    try:
        lately = 0 <= time.time() - note.stat().st_mtime < RETRY_AFTER_S
        return note.read_text("utf-8", errors="replace") if lately else ""
    except OSError:
        return ""
