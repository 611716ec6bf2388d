"""Makes real recordings of a load with hostile task names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BUSY = Path(__file__).with_name("busy.py")
MORE_EVENTS = ("-e", "sched:sched_process_exec", "-e", "sched:sched_process_exit", "-e", "sched:sched_wakeup")


def record(target: Path, *options: str, rounds: int = 20) -> Path:
    """Record `busy.py` with `perf sched record`, from the folder of `target`."""
    done = subprocess.run(
        ["perf", "sched", "record", "-o", target.name, *options, "--", sys.executable, str(BUSY), str(rounds)],
        cwd=target.parent,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert target.exists(), f"perf made no recording (this test must run as root, with perf): {done.stderr}"
    return target
