"""Two sides of one or more runs compared, as an object that a notebook shows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import comparison
from harness.api import html
from harness.api.run import Run, open_run
from harness.comparison.measured.units import Unit
from harness.comparison.sentence import amount, size
from harness.counted import counted
from harness.errors import UsageError
from harness.store import RunFolder
from harness.visible import visible

if TYPE_CHECKING:
    from harness.api.distributions import Distributions

COLUMNS = ("metric", "first", "second", "difference", "p, adjusted", "could be shown", "outcome")


class Comparison(comparison.Comparison):
    """Which of two is it, and how sure may one be; made by `harness.compare`.

    `sentence` is the result, `warnings` what speaks against it, `effects` has an `Effect` for each metric, `frame()`
    the same as a data frame, `effect()` the one of a name. `null` is the comparison of two equals, where the campaign
    recorded them; `facts` differ besides the arm, `settings` are the arm itself; `design.notes` say what the numbers
    can be about.
    """

    def distributions(self) -> Distributions:
        """Return slice lengths and wakeup latencies of both sides as a whole, since means hide tails.

        It reads the slices of all trials. Raises StoreError for a table that cannot be read.
        """
        from harness.api.distributions import Distributions
        from harness.comparison.distribution import distributions

        return Distributions(distributions(self), (self.first.label, self.second.label))

    def to_html(self, path: str | os.PathLike[str]) -> Path:
        """Write one page that needs no other file and no network, as `harness compare --html` does; return its path.

        Raises UsageError for a path among the files of a run, StoreError for a damaged table of a trial, HostError
        where the page cannot be written.
        """
        from harness.comparison_page import write

        return write(self, Path(path))

    def __repr__(self) -> str:
        metrics, units = counted(len(self.effects), "metric"), counted(self.design.blocks, "block")
        return visible(f"Comparison({self.second.label} against {self.first.label}: {metrics} over {units})")

    def _repr_html_(self) -> str:
        rows = [
            (
                effect.metric.name,
                *(_value(value, effect.metric.unit) for value in (effect.first, effect.second)),
                amount(effect),
                "" if effect.p_adjusted is None else f"{effect.p_adjusted:.2g}",
                "" if effect.detectable is None else size(effect, effect.detectable),
                effect.outcome,
            )
            for effect in self.effects
        ]
        table = html.table(f"{self.first.label} and {self.second.label}", COLUMNS, rows, most=len(rows))
        return "".join(
            [
                *map(html.sentence, self.warnings),
                html.sentence(self.sentence),
                table,
                *map(html.sentence, self._notes()),
            ]
        )

    def _notes(self) -> Iterator[str]:
        if self.null:
            yield f"Two equals, by the same method: {self.null.sentence}"
        yield from self.design.notes


def _value(value: float, unit: Unit) -> str:
    return f"{value * unit.factor:,{unit.form}} {unit.name}"


def compare(
    *runs: Run | str | os.PathLike[str],
    arms: tuple[str, str] | None = None,
    metrics: Sequence[str] | None = None,
    margin: float | None = None,
    across_clocks: bool = False,
    runs_dir: str | os.PathLike[str] = "runs",
) -> Comparison:
    """Compare two arms of one run, or of several runs together, or two runs of one arm each. Changes none of them.

    `runs`: runs, their folders, or their names below `runs_dir` or the beginnings of these. `arms`: `ARM` or `RUN:ARM`
    of each side, or a part of it that only one has; unnecessary where there are two. `metrics`: their names, or how
    these begin, or one of these; without it all, and p-values are adjusted for as many. `margin`: a smaller difference
    does not matter (0.01: 1 %, a point of a share, 0.01 bits); without it `compare.margin` of the experiment, of
    several the smallest.

    Raises UsageError for names that are unknown, a margin that is no share, a list in place of its runs, no or more
    than two sides, a run that is given twice, and sides of different clocks without `across_clocks`; StoreError for a
    run without usable trials, or a damaged one.
    """
    folders = [_folder(run, runs_dir) for run in runs]
    wanted = [metrics] if isinstance(metrics, str) else metrics
    return _shown(comparison.compare(folders, arms, wanted, margin, across_clocks))


def _folder(run: Run | str | os.PathLike[str], runs_dir: str | os.PathLike[str]) -> RunFolder:
    if not isinstance(run, (str, os.PathLike)):  # `Run` is one of the latter
        what, expected = f"no run, but a value of the type {type(run).__name__}", "runs, their folders, or their names"
        raise UsageError(what, where="harness.compare", expected=expected, hint="of a list: compare(*runs)")
    return RunFolder.open((run if isinstance(run, Run) else open_run(run, runs_dir)).path)


def _shown(found: comparison.Comparison) -> Comparison:
    values: dict[str, Any] = {field.name: getattr(found, field.name) for field in fields(found)}
    return Comparison(**{**values, "null": None if found.null is None else _shown(found.null)})
