"""The comparison of two runs as tables for a terminal. Each function prints nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.terminal.line import line, message
from harness.terminal.plain_table import plain_table

if TYPE_CHECKING:
    from harness.comparison.repeat.repeated import MetricComparison, RepeatComparison

COLOURS = {"equal": "green", "equal within 1 %": "green", "differs": "red", "cannot say": "yellow"}
LONGEST_VALUE = 40


def repeated_tables(comparison: RepeatComparison) -> list[RenderableType]:
    """Show two runs: metric by metric, the facts that differ, and the conclusion last."""
    parts: list[RenderableType] = [line(f"first: {comparison.first}"), line(f"second: {comparison.second}")]
    parts.append(_metrics(comparison))
    parts += [Text(note, "dim") for note in _notes(comparison)]
    parts += [line(f"only in the {run}: {', '.join(names)}") for run, names in comparison.missing.items() if names]
    parts.append(_facts(comparison) if comparison.facts else "no fact differs")
    return [*parts, message(comparison.conclusion, f"bold {COLOURS[comparison.outcome]}")]


def _metrics(comparison: RepeatComparison) -> Table:
    several = len({row.arm for row in comparison.metrics}) > 1
    headings = ("metric", ">first", ">second", "", ">difference", ">noise", "")
    table = plain_table(*(("arm",) if several else ()), *headings)
    for row in comparison.metrics:
        unit = row.shown_unit
        means = [format(value * unit.factor, unit.form) for value in (row.first, row.second)]
        outcome = Text(row.outcome, COLOURS[row.outcome])
        cells: tuple[str | Text, ...] = (row.metric, *means, unit.name, difference(row), noise(row), outcome)
        table.add_row(*((row.arm,) if several else ()), *cells)
    return table


def difference(row: MetricComparison) -> str:
    """Show a difference: of shares in points, of bits in bits, of other values in percent of the first.

    A difference that is shown as zero has no sign.
    """
    value = _scaled(row, row.difference)
    if value is None:
        return ""
    shown = f"{value:+.{_digits(row)}f}"
    return (shown if float(shown) else shown[1:]) + _suffix(row)


def noise(row: MetricComparison) -> str:
    """Show the noise in the same unit; a question mark where it is unknown."""
    value = None if row.noise is None else _scaled(row, row.noise)
    return "?" if value is None else f"±{value:.{_digits(row)}f}{_suffix(row)}"


def _scaled(row: MetricComparison, value: float) -> float | None:
    if row.unit == "share":
        return value * 100
    if row.unit == "bits":
        return value
    return value / row.first * 100 if row.first else None


def _digits(row: MetricComparison) -> int:
    return 3 if row.unit == "bits" else 2


def _suffix(row: MetricComparison) -> str:
    return {"share": " points", "bits": " bits"}.get(row.unit, " %")


def _notes(comparison: RepeatComparison) -> list[str]:
    sizes = {row.trials for row in comparison.metrics}
    trials = ", ".join(f"{first} and {second}" for first, second in sorted(sizes))
    lines = [
        f"noise: two such runs differ by at most this in 95 of 100 cases, over {trials} trials; ? = one trial each, "
        "which is about these recordings only"
    ]
    if comparison.equal and comparison.open_recordings:
        lines.append("cannot say, of a recording: it is beyond its noise; chance gives one such metric now and then")
    if comparison.unclear:
        limit = comparison.unclear_by_chance
        lines.append(f"cannot say, of scores: each is beyond its noise, and chance gives up to {limit} such scores")
    return lines


def _facts(comparison: RepeatComparison) -> Table:
    table = plain_table("~differing fact", "~first", "~second")
    for row in comparison.facts:
        table.add_row(row.name, *(_short(row.name, value) for value in row.shown))
    return table


def _short(name: str, value: str) -> str:
    if name.endswith("digest"):
        return ", ".join(digest[:12] for digest in value.split(", "))
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."
