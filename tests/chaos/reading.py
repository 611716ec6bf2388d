"""Runs `fuzz` for every kind of input in processes of their own, and counts what came of it, also of dead processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz import LIMIT_CPU_S, PLACE
from inputs import KINDS

MILLION = sum(kind.share for kind in KINDS.values())
PATIENCE_S = 20 * LIMIT_CPU_S  # beyond its time, on a busy host: it starts, and may be in the middle of one input
MOST_TIMES = 3  # as long as others may one kind take, if its files take long to read
MIN_SECONDS = 15.0  # of one process, whose start takes some of them


@dataclass
class Reading:
    """What came of the inputs of one kind."""

    kind: str
    read: int = 0
    refused: int = 0
    problems: list[dict[str, Any]] = field(default_factory=list)

    def add(self, counts: dict[str, Any]) -> None:
        """Add the counts of one process."""
        self.read += counts["read"]
        self.refused += counts["refused"]
        self.problems += counts["problems"]


def read_damaged(inputs: int, seconds: float, first: int = 0) -> Iterator[list[Reading]]:
    """Read up to `inputs` damaged files in about so many seconds, in turns; yield all counts after each turn."""
    readings = {name: Reading(name) for name in KINDS}
    turns = max(1, round(seconds / len(KINDS) / MIN_SECONDS))
    end, left = time.monotonic() + seconds, turns * len(KINDS)
    for turn in range(turns):
        for name, kind in KINDS.items():
            count = max(1, round(kind.share * inputs / MILLION / turns))
            longest = MOST_TIMES * max(0.0, end - time.monotonic()) / left
            readings[name].add(fuzz(name, first + turn * count, count, longest))
            left -= 1
            yield list(readings.values())


def fuzz(kind: str, first: int, count: int, seconds: float) -> dict[str, Any]:
    """Run one process; if it dies or hangs, that is a problem of the input that it was reading."""
    with tempfile.TemporaryDirectory(dir=_fast_folder()) as name:
        folder = Path(name)
        command = [sys.executable, str(Path(__file__).with_name("fuzz.py")), kind, str(first), str(count), str(seconds)]
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "TMPDIR": name,
            "HARNESS_CACHE": name,
            "HARNESS_STATE": name,
        }
        try:
            done = subprocess.run(
                [*command, name],
                env=environment,
                capture_output=True,
                text=True,
                timeout=seconds + PATIENCE_S,
                check=False,
            )
            why = f"exit status {done.returncode}: {done.stderr[-1500:]}"
            if done.returncode == 0:
                return dict(json.loads(done.stdout))
        except subprocess.TimeoutExpired:
            why = "it hung"
        place = json.loads((folder / PLACE).read_text()) if (folder / PLACE).exists() else {"read": 0, "refused": 0}
        problem = {"number": place.get("number"), "what": why}
        return {**place, "problems": [*place.get("problems", []), problem]}


def _fast_folder() -> str | None:
    """Return a folder in memory, where flushing a file costs nothing; None where there is none with room."""
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() and shutil.disk_usage(shared).free > 1 << 30 else None
