"""Turns a comparison into one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.files import make_folder, write_atomic
from harness.store.pages import require_no_file_of_a_run

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison


def write(comparison: Comparison, path: Path) -> Path:
    """Write the page of a comparison to `path` and return it; a page before it stays until this one is whole.

    The page names what is missing (no null arm, no slices, too few blocks). Reads the slices of the trials that were
    compared. Raises UsageError for a `path` among the files of a run, StoreError where a trial is damaged, and
    HostError where the page cannot be written.
    """
    from harness.comparison_page.page import render  # imports jinja2, pandas and pyarrow

    require_no_file_of_a_run(path)
    page = render(comparison)
    make_folder(path.parent)
    write_atomic(path, page)
    return path
