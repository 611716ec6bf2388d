"""The Parquet files of the event tables: those of usable trials, each as the run wrote it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.store import verify
from harness.store.finished_steps import arm_of

_PLAIN = re.compile(r"[\w./ ,:+@%=-]+", re.ASCII)  # what means nothing to DuckDB in the name of a file


@dataclass(frozen=True)
class EventFile:
    """One table of one usable trial; `run` is the name of the run in a query, `sha256` stands in its manifest."""

    run: str
    folder: Path
    path: str
    sha256: str
    trial: str
    arm: str

    @property
    def file(self) -> Path:
        """Where it lies."""
        return self.folder / self.path

    def problem(self, *, checked: bool) -> str | None:
        """Return why it may not be read; None if it may. Its SHA-256 is compared if it is `checked`."""
        if not _is_inside(self.file, self.folder):
            return f"{self.path}: a link to a file outside of the run"
        if not checked:
            return None if self.file.is_file() else f"{self.path}: missing"
        return next(map(str, verify.of_output(self.file, self.path, self.sha256, f"trial:{self.trial}")), None)


def of_run(run: str, folder: Path, manifest: Mapping[str, Any], table: str) -> Iterator[EventFile]:
    """Yield the files of a table that the manifest lists for the usable trials of a run."""
    for name, step in sorted(manifest["steps"].items()):
        trial = name.removeprefix("trial:")
        path = f"trials/{trial}/{table}.parquet"
        if name != trial and step["state"] == "done" and path in step["outputs"]:
            yield EventFile(run, folder, path, step["outputs"][path], trial, arm_of(step))


def sound(files: Iterable[EventFile], *, checked: bool) -> tuple[list[EventFile], list[str]]:
    """Return the files that may be read, and a sentence for each that may not."""
    files = list(files)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        problems = list(pool.map(lambda file: file.problem(checked=checked), files))
    pairs = list(zip(files, problems, strict=True))
    left_out = [f"{file.run}: {problem}: its rows are left out" for file, problem in pairs if problem]
    return [file for file, problem in pairs if not problem], left_out


class ReadableNames:
    """Names by which DuckDB opens files: their paths, or, where these would mean more to it, open descriptors."""

    def __init__(self) -> None:
        self._open: dict[str, Path] = {}
        self._names: dict[Path, str] = {}

    def of(self, path: Path) -> str:
        """Return the name of a file. Raises OSError where it has to be opened and cannot be."""
        if path not in self._names:
            self._names[path] = str(path) if _PLAIN.fullmatch(str(path)) else self._opened(path)
        return self._names[path]

    def _opened(self, path: Path) -> str:
        name = f"/proc/self/fd/{os.open(path, os.O_RDONLY | os.O_CLOEXEC)}"
        self._open[name] = path
        return name

    def allowed(self) -> list[str]:
        """Return all names so far, and the paths behind those that are none: DuckDB before 2.0 follows them first."""
        paths = [str(path) for path in self._open.values()]
        return [*self._names.values(), *(path for path in paths if path.isprintable())]

    def with_paths(self, text: str) -> str:
        """Return a message with the paths of files in place of their names."""
        return re.sub(r"/proc/self/fd/\d+", lambda name: str(self._open.get(name[0], name[0])), text)

    def close(self) -> None:
        """Close what is open."""
        for name in self._open:
            os.close(int(name.rpartition("/")[2]))
        self._open = {}


def _is_inside(file: Path, folder: Path) -> bool:
    return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
