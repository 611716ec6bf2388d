"""events.jsonl keeps every whole line, and passes over half a line that a killed process left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import spec
from harness.store import RunFolder

DATA = {"name": "x", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "runs", spec.from_dict(DATA), [])


def test_events_are_kept_in_order_with_their_data(folder: RunFolder) -> None:
    folder.event("up", box="debian-12")
    folder.event("down", reason="a\nb é")
    events = folder.events()
    assert [event["kind"] for event in events] == ["up", "down"]
    assert events[1]["reason"] == "a\nb é"
    assert events[0]["time"].endswith("Z")


@settings(max_examples=40)
@given(cut=st.integers(1, 40))
def test_half_a_line_is_skipped_and_the_next_event_starts_a_new_line(folder: RunFolder, cut: int) -> None:
    log = folder.path / "events.jsonl"
    log.unlink(missing_ok=True)
    folder.event("whole")
    folder.event("torn")
    os.truncate(log, log.stat().st_size - cut)
    folder.event("after")
    kinds = [event["kind"] for event in folder.events()]
    assert kinds == (["whole", "torn", "after"] if cut == 1 else ["whole", "after"])
