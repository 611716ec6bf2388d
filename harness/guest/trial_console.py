"""Runs inside the guest: writes the phases of a trial to the serial console. Python 3.6, standard library only."""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import os
import time
from typing import Any, Dict

from .trial_command import Failure


def open_console(config: Dict[str, Any]) -> int:
    """Open the serial console so that a write never waits: what a stuck console does not take is lost.

    It stays open until the script ends, because closing it waits until all is sent. Raises Failure.
    """
    try:
        return os.open(config["console"], os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        raise Failure("the serial console {}: {}".format(config["console"], error.strerror)) from None


def phase_line(config: Dict[str, Any], phase: str) -> str:
    """Return the line that names a phase; it begins with a newline, because the last line may be incomplete."""
    return "\nharness-trial {} {}\n".format(config["label"], phase)


def announce(config: Dict[str, Any], phase: str, times: int = 1) -> None:
    """Write a phase to the console, `times` times, because a message of the kernel may cut a line. Raises Failure."""
    console = open_console(config)
    for _ in range(times):
        with contextlib.suppress(OSError):
            os.write(console, phase_line(config, phase).encode("ascii"))
        time.sleep(0.1 if times > 1 else 0)
