"""Turns a run folder into one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from harness.files import make_folder, write_atomic


def build(run_dir: Path) -> Path:
    """Write `report/index.html` of a run folder and return its path.

    The page names what is missing (no model, no recording, a failed trial). Raises StoreError where the folder has no
    readable manifest.
    """
    return write(run_dir, page_of(run_dir))


def page_of(run_dir: Path, state: str | None = None, error: str | None = None) -> str:
    """Return the page; `state` and `error`: those that the run will have once the page is written, if others."""
    from harness.report.page import render  # imports pandas and pyarrow, which a command that lists runs does not need
    from harness.report.run_facts import read_run

    run = read_run(run_dir)
    return render(run.ending_as(state, error) if state else run)


def write(run_dir: Path, page: str) -> Path:
    """Write a page to the run folder and return its path; the page before it stays until this one is whole."""
    target = run_dir / "report" / "index.html"
    make_folder(target.parent)
    write_atomic(target, page)
    return target
