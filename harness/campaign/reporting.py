"""The last step of a campaign, which is also a command: write the page of a run."""

from __future__ import annotations

import time
from pathlib import Path

from harness import report
from harness.progress import View
from harness.store import RunFolder

STEP = "report"


def write(folder: RunFolder, view: View, state: str | None = None, error: str | None = None) -> Path:
    """Write the page of a run and return its path.

    `state` and `error` are what the manifest will say when the page is written: it shows them already. Until the new
    page is ready, which takes seconds, the earlier one and its hash stay, whatever ends this process.
    """
    began = time.monotonic()
    with view.step(STEP, "Write the report"):
        page = report.page_of(folder.path, state, error)
        folder.begin(STEP)
        try:
            path = report.write(folder.path, page)
            folder.finish(STEP, [path], time.monotonic() - began)
        except BaseException as failure:
            if not folder.is_done(STEP):
                folder.fail(STEP, failure)
            raise
    return path
