"""Jobs for the tests of `harness.workers`; worker processes import them by name."""

from __future__ import annotations

import os
import signal
import time

from harness.workers import Report


def double(number: int, report: Report) -> int:
    """Return twice the number."""
    report(1, 2, f"doubling {number}")
    return 2 * number


def fail_on_three(number: int, report: Report) -> int:
    """Return twice the number, or fail if it is three."""
    if number == 3:
        raise ValueError("three")
    return double(number, report)


def report_often(times: int, report: Report) -> int:
    """Report so often that a pipe which nobody reads fills up."""
    for done in range(times):
        report(done, times, "x" * 100)
    return times


def die(number: int, report: Report) -> int:
    """End the process as the out-of-memory killer would."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def write_pid_and_sleep(path: str, report: Report) -> None:
    """Write the worker's pid to a file, then sleep."""
    with open(path, "w") as sink:
        sink.write(f"{os.getpid()}\n")
    time.sleep(300)


def threads(_: int, report: Report) -> str:
    """Return the number of threads that the numeric libraries may use."""
    return os.environ["OMP_NUM_THREADS"]
