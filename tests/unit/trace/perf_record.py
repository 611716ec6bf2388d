"""Makes real recordings of a load with hostile task names."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

BUSY = Path(__file__).with_name("busy.py")
MORE_EVENTS = ("-e", "sched:sched_process_exec", "-e", "sched:sched_process_exit", "-e", "sched:sched_wakeup")


def record(target: Path, *options: str, rounds: int = 20) -> Path:
    """Record `busy.py` with `perf sched record`, from the folder of `target`."""
    return _run(target, target.name, options, rounds, subprocess.DEVNULL)


def record_to_pipe(target: Path, *options: str, rounds: int = 20) -> Path:
    """As `record`, through a pipe. What perf leaves unsaid when its output is a pipe stays unsaid."""
    with target.open("wb") as out:
        return _run(target, "-", options, rounds, out)


def record_overrun(target: Path) -> Path:
    """A recording that lost events: its one page of buffer per CPU fills faster than perf empties it."""
    load = ["perf", "bench", "sched", "messaging", "-g", "2", "-l", "300", "-p"]
    command = ["perf", "sched", "record", "-m", "1", "-o", target.name, "--", *load]
    subprocess.run(command, cwd=target.parent, capture_output=True, check=True, timeout=120)
    return target


def record_killed(target: Path) -> Path:
    """A recording whose recorder was killed while it recorded."""
    command = ["perf", "sched", "record", "-m", "8", "-o", target.name, "--", sys.executable, str(BUSY), "3000"]
    recorder = subprocess.Popen(command, cwd=target.parent, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 30
    while (not target.exists() or target.stat().st_size < 1_000_000) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(recorder.pid, signal.SIGKILL)
    recorder.wait(timeout=30)
    return target


def _run(target: Path, output: str, options: tuple[str, ...], rounds: int, stdout: int | IO[bytes]) -> Path:
    load = ["--", sys.executable, str(BUSY), str(rounds)]
    done = subprocess.run(
        ["perf", "sched", "record", "-o", output, *options, *load],
        cwd=target.parent,
        stdout=stdout,
        stderr=subprocess.PIPE,
        timeout=120,
    )
    made = target.is_dir() or (target.exists() and target.stat().st_size > 0)
    assert made, f"perf made no recording (these tests need root and perf): {done.stderr.decode(errors='replace')}"
    return target
