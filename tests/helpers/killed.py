"""A process that is killed (SIGKILL) at the n-th moment at which it is about to change a folder.

A change is the opening of a file for writing, a rename, a removal, or a new folder.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import harness

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")
CHANGING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
CODE = str(Path(harness.__file__).parent)


def moments(action: Callable[[], object], folder: Path, within: str = "") -> list[int]:
    """Carry out `action` in a process and return the moments in it; of those with the same place, the first.

    `within`: only those whose place has this text.
    """
    all_places = places(action, folder)
    first = [number for number, place in enumerate(all_places, 1) if place not in all_places[: number - 1]]
    return [number for number in first if within in all_places[number - 1]]


def places(action: Callable[[], object], folder: Path) -> list[str]:
    """Carry out `action` in a process and return the place of each moment in it."""
    return _run(action, folder, 0)


def run_killed(action: Callable[[], object], folder: Path, number: int) -> str:
    """Carry out `action` in a process that is killed at this moment; return the place of it in the code."""
    return _run(action, folder, number)[number - 1]


def _run(action: Callable[[], object], folder: Path, number: int) -> list[str]:
    """Return the places that the process reached; it has ended as it was to, or this raises AssertionError."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        _become(action, str(folder), number, writing)
    os.close(writing)
    with os.fdopen(reading) as lines:
        told = lines.read().splitlines()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert ended == (-signal.SIGKILL if number else 0), told[-20:]
    return told


def _become(action: Callable[[], object], folder: str, number: int, pipe: int) -> None:
    reached = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal reached
        changes = event in EVENTS and (event != "open" or int(str(arguments[2])) & CHANGING)
        if not changes or folder not in str(arguments[0]) or (place := _place()).startswith("temporary.py"):
            return  # of an empty temporary file nothing depends, whether it is there or gone
        reached += 1
        os.write(pipe, f"{event} {place}\n".encode())
        if reached == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    try:
        action()
    except BaseException:
        os.write(pipe, traceback.format_exc().encode())
        os._exit(1)
    os._exit(0)


def _place() -> str:
    """Return the line of `harness` that leads here, and the lines of the campaign that lead to that."""
    frame, lines = sys._getframe(), []
    while frame := frame.f_back:  # type: ignore[assignment]
        if frame.f_code.co_filename.startswith(CODE):
            lines.append(f"{frame.f_code.co_filename[len(CODE) + 1 :]}:{frame.f_lineno}")
    return " < ".join([*lines[:1], *(line for line in lines[1:] if line.startswith("campaign/"))])
