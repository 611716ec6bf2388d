"""The compiled tracker touches no memory but its own, whatever the events are: run under the compiler's sanitizers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from any_events import any_tables
from command_line import LIMIT_S
from locations import HELPERS, ROOT

from harness.errors import TraceError
from harness.trace.native import build, functions
from harness.trace.runqueue import native_tracker
from harness.trace.runqueue.native_tracker import FUNCTIONS, CompiledTracker
from harness.trace.runqueue.tracker import Tracker
from harness.trace.runqueue.waits import EventBatch

SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
DRAW = """
import sys
from any_events import feed_anything, load
print(feed_anything(load(sys.argv[1]), rounds=150))
"""


def test_any_events_stay_within_bounds(tmp_path: Path) -> None:
    compiler = build.compiler()
    build.build(tmp_path / "sanitized.so", compiler, [*build.FLAGS, *SANITIZED])
    asan = subprocess.run([*compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    path = os.pathsep.join(map(str, (HELPERS, ROOT)))
    more = {"LD_PRELOAD": asan.strip(), "ASAN_OPTIONS": "detect_leaks=0", "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(tmp_path / "sanitized.so")],
        env=os.environ | more,
        cwd=ROOT,
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
        CompiledTracker(native, False, 10).feed(EventBatch(*tables, np.ones(400, bool), np.ones(400, np.uint8)))


def test_a_slicer_that_is_dropped_leaves_its_sets_behind() -> None:
    native = functions(FUNCTIONS)
    assert native is not None
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    fed = EventBatch(*tables, np.ones(400, bool), np.ones(400, np.uint8))
    compiled, plain = CompiledTracker(native, False, 10).feed(fed), Tracker(False, 10).feed(fed)
    assert compiled.sets[0].to_pylist() == plain.sets[0].to_pylist()


@pytest.mark.parametrize(("wants", "group"), [(399, 400), (400, 399), (400, 401), (400, 0)])
def test_marks_that_are_not_as_many_as_the_switches_are_refused(wants: int, group: int) -> None:
    native = functions(FUNCTIONS)
    assert native is not None
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    with pytest.raises(ValueError, match=f"{wants} and {group} marks for 400 switches, 400 of them told of"):
        CompiledTracker(native, False, 10).feed(EventBatch(*tables, np.ones(wants, bool), np.ones(group, np.uint8)))
