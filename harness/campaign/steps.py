"""One step of a campaign, shown while it works and written down when it ends."""

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
class Step:
    """What a step fills while it works: the files it leaves and what is worth reading in the manifest."""

    watcher: Watcher
    outputs: list[Path] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)


@contextmanager
def recorded_step(folder: RunFolder, view: View, name: str, title: str) -> Iterator[Step]:
    """Begin, show, and finish or fail the step `name`; its outputs are hashed into the manifest."""
    started = time.monotonic()
    folder.begin(name)
    try:
        with view.step(name, title) as watcher:
            step = Step(watcher)
            yield step
        folder.finish(name, step.outputs, time.monotonic() - started, step.detail)
    except BaseException as error:
        if not folder.done(name):  # stopped after that was written down, it is done all the same
            folder.fail(name, error)
        raise
