"""What the workers of the engine's tests do; they import it by name."""

from __future__ import annotations

import os
import signal
import time

from harness.workers import Report


def double(number: int, report: Report) -> int:
    """Twice the number."""
    report(1, 2, f"doubling {number}")
    return 2 * number


def fail_on_three(number: int, report: Report) -> int:
    """Twice the number, unless it is three."""
    if number == 3:
        raise ValueError("three")
    return double(number, report)


def tell_often(times: int, report: Report) -> int:
    """Say so often that a pipe nobody empties is full."""
    for done in range(times):
        report(done, times, "x" * 100)
    return times


def die(number: int, report: Report) -> int:
    """End the process as the out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def tell_pid_and_sleep(path: str, report: Report) -> None:
    """Leave the worker's pid behind and stay."""
    with open(path, "w") as sink:
        sink.write(f"{os.getpid()}\n")
    time.sleep(300)


def threads(_: int, report: Report) -> str:
    """How many threads the numeric libraries were told to use."""
    return os.environ["OMP_NUM_THREADS"]
