"""One step of a campaign: shown while it runs, and recorded in the manifest when it ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.progress import View, Watcher
from harness.store import RunFolder


@dataclass
class StepRecord:
    """A step's entry in the manifest: the files it wrote, and the details worth reading."""

    watcher: Watcher
    outputs: list[Path] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)


class _RecordingWatcher:
    """Shows what the view's own watcher shows; the run's events have the warnings, too."""

    def __init__(self, watcher: Watcher, folder: RunFolder) -> None:
        self._folder = folder
        self._shown = watcher
        self.note, self.advance = watcher.note, watcher.advance

    def warn(self, text: str) -> None:
        self._folder.event("warning", text=text)
        self._shown.warn(text)


@contextmanager
def recorded_step(
    folder: RunFolder, view: View, name: str, title: str, *, adds_up: bool = False
) -> Iterator[StepRecord]:
    """Begin the step `name`, show it, and finish or fail it; its outputs are hashed into the manifest.

    A step that failed keeps its details too: those of a trial show why it may not be used. With `adds_up` the seconds
    are those of all times that the step was done, such as every boot.
    """
    earlier_s = (folder.manifest["steps"].get(name, {}).get("seconds") or 0.0) if adds_up else 0.0
    started, detail = time.monotonic() - earlier_s, dict[str, Any]()
    folder.begin(name)
    try:
        with view.step(name, title) as watcher:
            step = StepRecord(_RecordingWatcher(watcher, folder), detail=detail)
            yield step
        folder.finish(name, step.outputs, time.monotonic() - started, step.detail)
    except BaseException as error:
        if not folder.is_done(name):  # a signal may arrive after the step was recorded as done
            folder.fail(name, error, detail)
        raise


def files_of(folder: Path) -> list[Path]:
    """List the complete files below a folder; temporary ones begin with a dot and are left out."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
