"""The progress of one step in a terminal, a log and JSON lines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
from typing import TextIO, cast

import pytest
from rich.console import Console

from harness.terminal import progress
from harness.terminal.progress import BestEffortStream, JsonView, LiveView, PlainView, QuietView, spell_seconds


def test_a_plain_log_shows_start_progress_and_duration_of_a_step() -> None:
    now, stream = iter(range(0, 1000, 10)), io.StringIO()
    with PlainView(stream, lambda: next(now)).step("x", "Build") as watcher:
        watcher.note("a first line, too early to be worth one")
        watcher.advance(1, 2)
    lines = [line.split(" ", 1)[1] for line in stream.getvalue().splitlines()]
    assert lines[0] == "Build ..."
    assert "  Build: a first line, too early to be worth one (50%)" in lines
    assert lines[-1].startswith("Build done in")


def test_a_plain_log_shows_that_a_step_failed() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="no"), PlainView(stream).step("x", "Build"):
        raise ValueError("no")
    assert "Build failed after" in stream.getvalue()


def test_json_output_is_one_object_on_each_line() -> None:
    stream = io.StringIO()
    view = JsonView(stream)
    view.show("warn", "careful\nnow")
    with view.step("x", "Build"):
        pass
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["message", "step_started", "step_done"]
    assert events[0]["text"] == "careful\nnow"
    assert events[2]["seconds"] >= 0


def test_the_quiet_view_shows_only_warnings() -> None:
    stream = io.StringIO()
    view = QuietView(stream)
    view.show("info", "hello")
    view.show("warn", "careful")
    with view.step("x", "Build") as watcher:
        watcher.note("working")
    assert stream.getvalue() == "warning: careful\n"


def test_brackets_in_a_text_are_not_read_as_markup() -> None:
    stream = io.StringIO()
    view = LiveView(Console(file=stream, force_terminal=True, width=100, highlight=False))
    with view.step("x", "Build [/b]") as watcher:
        watcher.note("[red]")
        watcher.advance(1, 3)
    view.show("warn", "[/nothing]")
    assert "Build [/b]" in stream.getvalue()
    assert "[/nothing]" in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (3599, "59 min 59 s"), (3720, "1 h 02 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


def test_work_goes_on_when_the_reader_of_the_output_is_gone() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    lost = os.fdopen(writing, "w", buffering=1)
    stream = cast(TextIO, BestEffortStream(lost))
    console = Console(file=stream, force_terminal=True, width=100)
    for view in (PlainView(stream), JsonView(stream), QuietView(stream), LiveView(console)):
        with view.step("x", "Build") as watcher:
            watcher.note("working")
        view.show("warn", "careful")
    with contextlib.suppress(BrokenPipeError):
        lost.close()


def test_a_narrow_terminal_does_not_break_a_path() -> None:
    stream = io.StringIO()
    LiveView(Console(file=stream, force_terminal=True, width=40)).show("info", f"run folder: /{'long/' * 20}")
    assert f"/{'long/' * 20}" in stream.getvalue()


NOTE = "recording: 23 of 50 guest s, 2.1 host s each; not connected"


@pytest.mark.parametrize("width", [80, 120])
def test_a_long_note_stands_whole_below_the_bar(width: int) -> None:
    stream = io.StringIO()
    view = LiveView(Console(file=stream, force_terminal=True, width=width, highlight=False, color_system=None))
    with view.step("x", "Record 003_nginx_ab, attempt 2") as watcher:
        watcher.note(NOTE)
        watcher.advance(28, 55)
    lines = stream.getvalue().splitlines()
    assert any(line.startswith(f"  {NOTE}") for line in lines)
    bar = re.compile(r"Record 003_nginx_ab, attempt 2 .* elapsed \d+:\d\d:\d\d left [-:\d]+$")
    assert any(bar.search(line.rstrip()) for line in lines), lines


def test_json_progress_has_the_note_and_the_share_that_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_INTERVAL_S", 0.0)
    stream = io.StringIO()
    with JsonView(stream).step("trial:000", "Record") as watcher:
        watcher.note(NOTE)
        watcher.advance(11, 55)
        watcher.advance(12, None)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    shown = [(event["note"], event["share"]) for event in events if event["event"] == "step_progress"]
    assert shown == [(NOTE, None), (NOTE, 0.2), (NOTE, None)]


def test_a_plain_log_shows_the_guests_seconds_and_the_share_that_is_done() -> None:
    now, stream = iter(range(0, 1000, 20)), io.StringIO()
    with PlainView(stream, lambda: next(now)).step("x", "Record 000_nginx_ab") as watcher:
        watcher.note(NOTE)
        watcher.advance(28, 56)
    assert f"  Record 000_nginx_ab: {NOTE} (50%)\n" in stream.getvalue()
