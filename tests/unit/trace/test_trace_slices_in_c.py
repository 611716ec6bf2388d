"""The compiled tracker touches no memory but its own, whatever the events are: run under the compiler's sanitizers."""

from __future__ import annotations

import ctypes
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from command_line import LIMIT_S

from harness.errors import TraceError
from harness.trace.native import build, functions
from harness.trace.runqueue import native_tracker
from harness.trace.runqueue.native_tracker import FUNCTIONS, CompiledTracker
from harness.trace.runqueue.tracker import Tracker
from harness.trace.runqueue.waits import Fed

SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DRAW = """
import sys
from test_trace_slices_in_c import feed_anything, load
print(feed_anything(load(sys.argv[1]), rounds=150))
"""


def load(path: str) -> ctypes.CDLL:
    native = ctypes.CDLL(path)
    for name, (result, arguments) in FUNCTIONS.items():
        function = getattr(native, name)
        function.restype, function.argtypes = result, arguments
    return native


def any_tables(draw: random.Random, rows: int, first_ns: int, in_order: bool) -> list[pa.Table]:
    """Switches, wakeups and migrations of few or many tasks and CPUs, in the order of time or in none."""
    tids = draw.choice(
        [[0, 1, 2, 3], list(range(200)), [-(1 << 31), -1, 0, (1 << 31) - 1], list(range(0, 1 << 20, 257))]
    )
    cpus = draw.choice([[0], [0, 1], [-32768, -1, 32767]])

    def times() -> np.ndarray:
        found = np.array([first_ns + draw.randrange(rows + 1) for _ in range(rows)], np.int64)
        return np.sort(found) if in_order else found

    def some(of: list[int], kind: str) -> np.ndarray:
        return np.array(draw.choices(of, k=rows), kind)

    switches = {"time_ns": times(), "cpu": some(cpus, "i2"), "prev_tid": some(tids, "i4"), "next_tid": some(tids, "i4")}
    wakeups = {"time_ns": times(), "tid": some(tids, "i4"), "target_cpu": some(cpus, "i2")}
    moves = {"time_ns": times(), "tid": some(tids, "i4"), "dest_cpu": some(cpus, "i2")}
    return [pa.table(columns) for columns in (switches, wakeups, moves)]


def feed_anything(native: ctypes.CDLL, rounds: int) -> int:
    """How many values the sets of streams that are drawn hold; all of them are read."""
    draw, values = random.Random(7), 0
    for _ in range(rounds):
        tracker = CompiledTracker(native, draw.random() < 0.3, draw.choice([0, 3, 1000]))
        in_order = draw.random() < 0.7
        for block in range(3):
            rows = draw.choice([0, 1, 5, 400])
            tables = any_tables(draw, rows, block * 1000, in_order)
            before_ns = draw.choice([None, block * 1000 + rows // 2])
            settled = rows if before_ns is None else int(np.searchsorted(tables[0]["time_ns"].to_numpy(), before_ns))
            wants, group = np.array(draw.choices([True, False], k=rows), bool), draw.choices([0, 1, 1, 2, 3], k=settled)
            picks = tracker.feed(Fed(*tables, wants, np.array(group, np.uint8)), before_ns)
            values += sum(int(np.sum(sets.flatten().to_numpy() * 0 + 1)) for sets in picks.sets)
    return values


def test_any_events_stay_within_bounds(tmp_path: Path) -> None:
    compiler = build.compiler()
    build.build(tmp_path / "sanitized.so", compiler, [*build.FLAGS, *SANITIZED])
    asan = subprocess.run([*compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    path = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[2])))
    more = {"LD_PRELOAD": asan.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path / "sanitized.so")],
        env=os.environ | more,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10_000


def test_sets_that_would_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_tracker, "MAX_VALUES", 500)
    native = functions(FUNCTIONS)
    assert native is not None
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    with pytest.raises(TraceError, match="runnable sets of this recording"):
        CompiledTracker(native, False, 10).feed(Fed(*tables, np.ones(400, bool), np.ones(400, np.uint8)))


def test_a_slicer_that_is_dropped_leaves_its_sets_behind() -> None:
    native = functions(FUNCTIONS)
    assert native is not None
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    fed = Fed(*tables, np.ones(400, bool), np.ones(400, np.uint8))
    compiled, plain = CompiledTracker(native, False, 10).feed(fed), Tracker(False, 10).feed(fed)
    assert compiled.sets[0].to_pylist() == plain.sets[0].to_pylist()


@pytest.mark.parametrize(("wants", "group"), [(399, 400), (400, 399), (400, 401), (400, 0)])
def test_marks_that_are_not_as_many_as_the_switches_are_refused(wants: int, group: int) -> None:
    native = functions(FUNCTIONS)
    assert native is not None
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    with pytest.raises(ValueError, match=f"{wants} and {group} marks for 400 switches, 400 of them told of"):
        CompiledTracker(native, False, 10).feed(Fed(*tables, np.ones(wants, bool), np.ones(group, np.uint8)))
