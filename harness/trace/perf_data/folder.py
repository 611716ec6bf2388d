"""The folder that `perf record --threads` writes: `data` with the header, and data.0, data.1, ... with the records.

perf makes one of these files for every CPU that it records.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from harness.errors import TraceError
from harness.listed import shortened
from harness.trace.perf_data.constants import HEADER_DIR_FORMAT
from harness.trace.perf_data.header import Header


def main_file(folder: Path) -> Path:
    """Return the file with the header. Raises TraceError, with what to give instead, if the folder has none."""
    if (folder / "data").exists():
        return folder / "data"
    recordings = sorted(file.name for file in folder.iterdir() if file.name.startswith("perf.data"))
    raise TraceError(
        "this folder is no recording: it has no file `data`",
        expected="a folder of `perf record --threads`, or a file",
        hint=f"give the file: {folder / recordings[0]}" if recordings else None,
    )


def data_files(folder: Path) -> list[Path]:
    """Return data.0, data.1, ... of a folder in the order of their numbers; none for a file."""
    if not folder.is_dir():
        return []
    files = [file for file in folder.iterdir() if file.name.startswith("data.") and file.name[5:].isdecimal()]
    return sorted(files, key=lambda file: int(file.name[5:]))


def lacking_files(header: Header, files: list[Path], *, is_folder: bool) -> list[str]:
    """Return what is missing of the folder: files by their numbers, and the contents of files."""
    if not is_folder:
        stray = HEADER_DIR_FORMAT in header.features
        return ["this is only the file `data` of a folder of perf; give the whole folder"] if stray else []
    numbers = {int(file.name[5:]) for file in files}
    missing = sorted(set(range(max([_expected_files(header), *(number + 1 for number in numbers)]))) - numbers)
    empty = [file.name for file in files if not file.stat().st_size]
    missing_names = [f"data.{number}" for number in missing]
    return [
        *([f"the folder lacks {shortened(missing_names)}"] if missing else []),
        *([f"empty in the folder, while others are not: {shortened(empty)}"] if 0 < len(empty) < len(files) else []),
    ]


def _expected_files(header: Header) -> int:
    """Return how many files there must be at least: an event has an id for every CPU on which it was recorded.

    With -C, perf from 6.7 on opens its own event for records of the machine on all CPUs; the least of all counts.
    """
    if HEADER_DIR_FORMAT not in header.features:
        return 1
    ids = min(Counter(header.ids.values()).values(), default=1)
    return min(ids, header.nrcpus or 1)
