"""The progress of a campaign: a live terminal, plain lines, JSON lines, or warnings only.

Each view writes to the console or stream that it is given; `harness.cli.output` chooses the view.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from harness.progress import SilentWatcher, Watcher
from harness.terminal.line import line, message
from harness.visible import visible, visible_message

WIDE = 100  # columns
LINE_INTERVAL_S = 15.0  # shortest time between two progress lines of one step
MARKS = {"info": ("-", "dim"), "warn": ("!", "yellow"), "good": ("✓", "green")}


class BestEffortStream:
    """A text stream whose reader may disappear.

    A closed terminal or pipe must neither end a campaign nor stop its clean-up: the run folder holds everything anyway.
    """

    def __init__(self, stream: TextIO, before: Callable[[], None] = lambda: None) -> None:
        self._stream, self._before = stream, before

    def write(self, text: str) -> int:
        """Call `before` and write the text, or drop it if the reader is gone."""
        self._before()
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, unless the reader is gone."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Bars(Progress):
    """The bar of a step and, on a line of its own, what it does: beside the bar it would not fit 80 columns."""

    def get_renderables(self) -> Iterable[RenderableType]:
        """Yield both lines."""
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if note := task.fields["note"]:
                yield Text(f"  {visible(note)}", "dim", no_wrap=True, overflow="ellipsis")


class LiveView:
    """A bar for the running step with a line below it, and one line for each step that has ended."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Watcher]:
        """Show `title` with a bar until the step ends."""
        bars = _Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24 if self._console.width >= WIDE else 8),
            TextColumn("elapsed", "dim", markup=False),
            TimeElapsedColumn(),
            TextColumn("left", "dim", markup=False),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        started = time.monotonic()
        with bars:
            task = bars.add_task(visible(title), total=None, note="")
            watcher = _BarWatcher(bars, task, lambda text: self.show("warn", text))
            try:
                yield watcher
            except BaseException:
                self._close(("✗", "red"), title, started)
                raise
        self._close(("✓", "green"), title, started)

    def show(self, kind: str, text: str) -> None:
        """Print one line above the bars."""
        self._console.print(line(MARKS[kind], " ").append_text(message(text)), soft_wrap=True)

    def _close(self, mark: tuple[str, str], title: str, started: float) -> None:
        took = spell_seconds(time.monotonic() - started)
        self._console.print(line(mark, f" {title} ", (took, "dim")), soft_wrap=True)


class _BarWatcher:
    def __init__(self, bars: Progress, task: TaskID, warn: Callable[[str], None]) -> None:
        self._bars, self._task, self.warn = bars, task, warn

    def note(self, text: str) -> None:
        self._bars.update(self._task, note=" ".join(text.split()))

    def advance(self, done: float, total: float | None) -> None:
        self._bars.update(self._task, completed=done, total=total)


class PlainView:
    """Plain lines with the time, for logs and pipes."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Watcher]:
        """Print the start of the step, its progress now and then, and its end."""
        started = self._clock()
        title = visible(title)
        self._line(f"{title} ...")
        try:
            yield _LineWatcher(
                lambda note, share: self._line(f"  {title}: {note}" + ("" if share is None else f" ({share:.0%})")),
                lambda text: self.show("warn", text),
                self._clock,
            )
        except BaseException:
            self._line(f"{title} failed after {spell_seconds(self._clock() - started)}")
            raise
        self._line(f"{title} done in {spell_seconds(self._clock() - started)}")

    def show(self, kind: str, text: str) -> None:
        """Print one line."""
        self._line(f"{'warning: ' if kind == 'warn' else ''}{text}")

    def _line(self, text: str) -> None:
        stamp = datetime.now(timezone.utc).strftime("%H:%M:%S")
        self._stream.write(f"{stamp} {visible_message(text)}\n")
        self._stream.flush()


class _LineWatcher:
    """Writes a note, with the share that is done if it is known, only if the last one is old enough."""

    def __init__(
        self, write: Callable[[str, float | None], None], warn: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        self._write, self.warn, self._clock, self._last = write, warn, clock, clock()
        self._note = "working"
        self._lock = threading.Lock()

    def note(self, text: str) -> None:
        self._note = text
        self._write_if_due(None)

    def advance(self, done: float, total: float | None) -> None:
        self._write_if_due(done / total if total else None)

    def _write_if_due(self, share: float | None) -> None:
        with self._lock:
            if self._clock() - self._last < LINE_INTERVAL_S:
                return
            self._last = self._clock()
        self._write(self._note, share)


class JsonView:
    """One JSON object a line: `event` is step_started, step_progress, step_done, step_failed or message.

    A step_progress has the `note` and the `share` of the step that is done, null where it is not known.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Watcher]:
        """Emit the start, the progress and the end of the step."""
        started = time.monotonic()
        self.emit("step_started", step=name, title=title)
        try:
            yield _LineWatcher(
                lambda note, share: self.emit("step_progress", step=name, note=note, share=share),
                lambda text: self.show("warn", text),
                time.monotonic,
            )
        except BaseException as error:
            self.emit("step_failed", step=name, seconds=_since(started), error=str(error) or type(error).__name__)
            raise
        self.emit("step_done", step=name, seconds=_since(started))

    def show(self, kind: str, text: str) -> None:
        """Emit a message."""
        self.emit("message", kind=kind, text=text)

    def emit(self, event: str, **fields: Any) -> None:
        """Write one line."""
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self._stream.write(json.dumps({"event": event, "time": now, **fields}, default=str) + "\n")
        self._stream.flush()


class _QuietWatcher(SilentWatcher):
    def __init__(self, show: Callable[[str, str], None]) -> None:
        self._show = show

    def warn(self, text: str) -> None:
        self._show("warn", text)


class QuietView:
    """Only warnings, as plain lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[Watcher]:
        """Show nothing but warnings."""
        yield _QuietWatcher(self.show)

    def show(self, kind: str, text: str) -> None:
        """Print warnings only."""
        if kind == "warn":
            self._stream.write(f"warning: {visible_message(text)}\n")
            self._stream.flush()


def spell_seconds(seconds: float) -> str:
    """Format a duration, such as `12.3 s`, `4 min 05 s` or `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)
