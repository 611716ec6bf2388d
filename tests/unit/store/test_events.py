"""events.jsonl keeps every whole line, and passes over half a line that a killed process left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import spec
from harness.store import RunFolder, manifest

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


def test_no_control_character_of_a_reason_is_in_the_files_that_cat_prints(folder: RunFolder) -> None:
    reason = "\x1b]52;c;aGk=\x07\x9b31m\u202eé"
    folder.event("down", reason=reason)
    folder.begin("record")
    folder.fail("record", RuntimeError(reason))
    for name in ("events.jsonl", "manifest.json"):
        raw = (folder.path / name).read_bytes()
        assert raw.isascii()
        assert not set(raw) & ({*range(0x20)} - {0x0A})
    assert next(event for event in folder.events() if event["kind"] == "down")["reason"] == reason
    assert reason in RunFolder.open(folder.path).manifest["steps"]["record"]["error"]


def test_files_of_a_version_that_wrote_unicode_as_it_is_are_still_read_and_keep_their_seal(folder: RunFolder) -> None:
    folder.event("down", reason="é\x9b")
    folder.begin("record")
    folder.fail("record", RuntimeError("é\x9b"))
    for name in ("events.jsonl", "manifest.json"):
        content = (folder.path / name).read_text()
        assert "\\u00e9\\u009b" in content
        (folder.path / name).write_text(content.replace("\\u00e9\\u009b", "é\x9b"))
    read = RunFolder.open(folder.path)
    assert "é\x9b" in read.manifest["steps"]["record"]["error"]
    assert "é\x9b" in [event.get("reason") for event in read.events()]
    assert not manifest.is_edited(json.loads((folder.path / "manifest.json").read_text()))
