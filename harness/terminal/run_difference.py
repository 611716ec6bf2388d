"""What differs between two runs, for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.text import Text

from harness.counted import counted
from harness.terminal.line import line
from harness.terminal.plain_table import plain_table

if TYPE_CHECKING:
    from harness.comparison.facts.fact_difference import FactDifference
    from harness.comparison.facts.run_difference import ComparedRun, RunDifference

STYLES = {"---": "bold", "+++": "bold", "-": "red", "+": "green", "@": "cyan"}  # of the lines that begin so
EXPERIMENT = "experiment"


def run_difference_tables(found: RunDifference, *, show_same: bool = False) -> list[RenderableType]:
    """Show the two runs, the facts that differ by group, the experiment line by line, and in how much they differ."""
    parts: list[RenderableType] = [*_run("first", found.first), *_run("second", found.second)]
    for label, arms in (("first", found.only_first), ("second", found.only_second)):
        parts += [line(f"only in the {label}: ", ", ".join(arms))] if arms else []
    groups = dict.fromkeys(row.group for row in (*found.facts, *(found.same if show_same else ())))
    for group in [group for group in groups if group != EXPERIMENT]:
        parts += _group(group, found.facts, found.same if show_same else ())
    if found.experiment:
        parts += [Text(), line((EXPERIMENT, "bold")), *map(_diff_line, found.experiment)]
    return [*parts, Text(), line((conclusion(found), "green" if found.equal else "yellow"))]


def conclusion(found: RunDifference) -> str:
    """Say in how much two runs differ, and whether something was left out."""
    if found.complete:
        return _differing(found)
    return f"incomplete, because the files named above are not as their run wrote them; otherwise {_differing(found)}"


def _differing(found: RunDifference) -> str:
    if not found.differs:
        return "no fact differs, and the experiment is the same"
    facts = [row for row in found.facts if row.group != EXPERIMENT]
    values = len(found.facts) - len(facts)
    parts = [counted(len(facts), "fact")] if facts else []
    parts += [counted(values, "value") + " of the experiment"] if values else []
    parts += ["only words of the experiment file"] if found.experiment and not values else []
    arms = len(found.only_first) + len(found.only_second)
    parts += [counted(arms, "arm")] if arms else []
    return f"differs: {', '.join(parts)}"


def _run(label: str, run: ComparedRun) -> Iterator[RenderableType]:
    trials = sum(run.trials.values())
    yield line(
        f"{label}: {run.name}, {run.state}, {counted(trials, 'usable trial')} of {counted(len(run.trials), 'arm')}"
    )
    for problem in run.problems:
        yield line((f"  {problem}", "yellow"))


def _group(group: str, differing: Sequence[FactDifference], same: Sequence[FactDifference]) -> list[RenderableType]:
    table = plain_table(group, "~first", "~second")
    for row in differing:
        if row.group == group:
            table.add_row(row.name, *row.shown)
    for row in same:
        if row.group == group:
            table.add_row(Text(row.name, "dim"), Text(row.first, "dim"), Text("same", "dim"))
    return [Text(), table]


def _diff_line(text: str) -> Text:
    style = next((style for beginning, style in STYLES.items() if text.startswith(beginning)), "")
    return line((text, style))
