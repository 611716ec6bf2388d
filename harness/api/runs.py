"""Several runs as one object: in order, by name, and as a data frame."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from harness.api import html
from harness.api.run import Run
from harness.counted import counted
from harness.errors import UsageError
from harness.report import run_rows
from harness.store import RunFolder, label, readable
from harness.store.manifest import NAME as MANIFEST

if TYPE_CHECKING:
    import pandas as pd

SHOWN = ("name", "label", "state", "box", "load", "arms", "trials", "trials_done", "models_done")


class Runs(Sequence[Run]):
    """The runs below a folder, oldest first, made by `harness.open_runs`.

    `runs[0]` is the oldest, `runs[-1]` the latest, `runs["2026-11-30T18"]` the one whose name begins so,
    `runs["baseline"]` the one of this label, and a slice is `Runs` again. They are those that were
    there when it was made.
    """

    def __init__(self, runs: Iterable[Run], problems: Sequence[str] = ()) -> None:
        self._runs, self._problems = tuple(runs), tuple(problems)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the runs."""
        return tuple(run.name for run in self)

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each run of the folder that is left out because it cannot be read."""
        return self._problems

    def frame(self) -> pd.DataFrame:
        """Return a row for each run, as `harness ls --json` has it: name, label, state, verdict, box, load and so on.

        `trials` were planned or begun, `trials_done` ones are usable; `seconds` and `bytes` are its costs. It reads the
        manifests only.
        """
        import pandas as pd

        rows = [_row(run) for run in self]
        return pd.DataFrame(rows, columns=None if rows else [*SHOWN])

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over the tables of these runs, in the files where they lie.

        docs/query.md lists the tables. `attrs["problems"]` of the frame has a sentence for all that was left out.
        Raises QueryError for a wrong query, StoreError for a damaged file, HostError, and MissingExtraError without the
        extra `query`.
        """
        from harness.api.answer import answer

        return answer(sql, [RunFolder.open(run.path) for run in self], self.problems)

    @overload
    def __getitem__(self, key: int | str) -> Run: ...

    @overload
    def __getitem__(self, key: slice) -> Runs: ...

    def __getitem__(self, key: int | str | slice) -> Run | Runs:
        """Return a run by position, by its name, the beginning of it, or its label; or those of a slice.

        Raises IndexError for a position, and UsageError for a name that none or several of them have.
        """
        if isinstance(key, slice):
            return Runs(self._runs[key])
        return self._named(key) if isinstance(key, str) else self._runs[key]

    def __len__(self) -> int:
        return len(self._runs)

    def __repr__(self) -> str:
        span = [f"{self._runs[0].name} to {self._runs[-1].name}"] if len(self) > 1 else [*self.names]
        left_out = [f"{len(self.problems)} not readable"] if self.problems else []
        return f"Runs({', '.join([counted(len(self), 'run'), *span, *left_out])})"

    @html.said
    def _repr_html_(self) -> str:
        rows = [[row[name] for name in SHOWN] for row in map(_row, self)]
        left_out = f", {len(self.problems)} not readable" if self.problems else ""
        return html.table(f"{counted(len(self), 'run')}{left_out}", SHOWN, rows)

    def _named(self, name: str) -> Run:
        found = [run for run in self if run.name == name] or [run for run in self if run.name.startswith(name)]
        found = found or [run for run in self if label.read(run.path) == name]
        if name and len(found) == 1:
            return found[0]
        what = f"{len(found)} runs are named {name!r} or begin so" if name and found else f"there is no run {name!r}"
        names = ", ".join([run.name for run in found or self][:5])
        raise UsageError(what, where="harness.open_runs", expected=f"one of {names}" if names else "a folder with runs")


def open_runs(
    path: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] = "runs", *, where: str | None = None
) -> Runs:
    """Open all runs below a folder, oldest first; or the one of a run's own folder, or those of several folders.

    `where`: those for which this holds, as `harness ls --where` has it: SQL over the columns of `Runs.frame`, such as
    `"box = 'debian-12' AND verdict = 'passed'"`. A run that cannot be read is left out, and `problems` says why; one
    that is named itself is an error.

    Raises UsageError where there is no such folder, StoreError for a named run that cannot be read, QueryError for a
    wrong condition, and MissingExtraError for one without the extra `query`.
    """
    given = [path] if isinstance(path, (str, os.PathLike)) else _several(path)
    opened = [_below(Path(folder)) for folder in given]
    folders = [folder for found, _ in opened for folder in found]
    problems = [text for _, texts in opened for text in texts]
    if where is not None:
        from harness.query.selection import matching

        folders, left_out = matching(folders, where)
        problems += left_out
    return Runs(map(Run, folders), problems)


def _several(paths: Iterable[str | os.PathLike[str]]) -> list[str | os.PathLike[str]]:
    given = list(paths) if isinstance(paths, Iterable) else [paths]
    for one in given:
        if not isinstance(one, (str, os.PathLike)):
            what, expected = f"no folder, but a value of the type {type(one).__name__}", "a folder, or several"
            raise UsageError(what, where="harness.open_runs", expected=expected)
    return given


def _below(folder: Path) -> tuple[list[RunFolder], list[str]]:
    if os.path.lexists(folder / MANIFEST):
        return [RunFolder.open(folder)], []
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(folder), expected="a folder of runs, or a run")
    folders, damaged = readable(folder)
    return folders, [str(error) for error in damaged]


def _row(run: Run) -> dict[str, Any]:
    return {**run_rows.facts(RunFolder.open(run.path), run.manifest), "arms": len(run.arms)}
