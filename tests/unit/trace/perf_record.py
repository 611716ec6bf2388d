"""Makes real recordings of a load with hostile task names."""

from __future__ import annotations

import subprocess
import sys
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
