"""The compiled tracker touches no memory but its own, whatever the events are, and refuses what it cannot do."""

from __future__ import annotations

import gc
import random
import subprocess
from collections.abc import Callable

import numpy as np
import pytest
from any_events import any_tables
from locations import HELPERS

from harness.errors import TraceError
from harness.trace.runqueue.tracker import EventBatch, Tracker


def any_batch(wants: int = 400, group: int = 400) -> EventBatch:
    tables = any_tables(random.Random(1), 400, 0, in_order=True)
    return EventBatch(*tables, np.ones(wants, bool), np.ones(group, np.uint8))


@pytest.mark.slow
def test_any_events_stay_within_bounds(run_sanitised: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = run_sanitised(HELPERS / "any_events.py", "150")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 10_000


def test_sets_that_would_not_fit_are_refused() -> None:
    with pytest.raises(TraceError, match="runnable sets of this recording"):
        Tracker(False, 10, most_values=500).feed(any_batch())


def test_sets_outlive_the_tracker_that_made_them() -> None:
    held = [Tracker(False, 10).feed(any_batch()).sets[0] for _ in range(2)]
    expected = held[0].to_pylist()
    gc.collect()
    others = [Tracker(True, 10).feed(any_batch()).sets[0] for _ in range(4)]  # these take memory that was freed
    assert [sets.to_pylist() for sets in held] == [expected] * 2
    assert len(others) == 4


@pytest.mark.parametrize(("wants", "group"), [(399, 400), (400, 399), (400, 401), (400, 0)])
def test_marks_that_are_not_as_many_as_the_switches_are_refused(wants: int, group: int) -> None:
    with pytest.raises(ValueError, match=f"{wants} and {group} marks for 400 switches, 400 of them settled"):
        Tracker(False, 10).feed(any_batch(wants, group))
