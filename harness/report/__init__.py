"""Turns a run folder into one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from harness.files import make_folder, write_atomic


def build(run_dir: Path) -> Path:
    """Write `report/index.html` of a run folder and return its path.

    The page names what is missing (no model, no recording, a failed trial). Raises StoreError where the folder has no
    readable manifest.
    """
    from harness.report.page import render  # imports pandas and pyarrow, which a command that lists runs does not need
    from harness.report.run_facts import read_run

    target = run_dir / "report" / "index.html"
    make_folder(target.parent)
    write_atomic(target, render(read_run(run_dir)))
    return target
