"""A comparison of two sides as tables for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison.sentence import amount, margin, number, spread
from harness.counted import counted
from harness.terminal.line import line
from harness.terminal.plain_table import plain_table
from harness.visible import visible

if TYPE_CHECKING:
    from harness.comparison import Comparison, Design, Effect
    from harness.comparison.facts.fact_difference import FactDifference

LONGEST_VALUE = 40
MOST_OPTIONS = 8  # of a kernel's configuration; two kernels differ in dozens
LEGEND = (
    "p: of sign flips, adjusted for the number of metrics (Holm)",
    "shows: the smallest difference that so many blocks find in 80 of 100 cases, alone; in the unit of the effect",
    "within: what the difference does not exceed, in 95 of 100 cases; in the unit of the effect",
)
RANGES = (
    "in parentheses: from the smallest block to the largest, or the furthest that two trials lie apart; no interval",
)


def comparison_tables(comparison: Comparison) -> list[RenderableType]:
    """Show the sentence, the design, the facts that differ, the equals, and each metric."""
    parts: list[RenderableType] = [*_warnings([comparison]), Text(visible(comparison.sentence), "bold"), Text()]
    parts += _design(comparison)
    parts += _facts(comparison)
    if comparison.null:
        parts += [Text(), *_null(comparison.null)]
    parts += [Text(), Text(visible(f"{comparison.second.label} against {comparison.first.label}:"))]
    ranges = RANGES if any(effect.interval is None for effect in comparison.effects) else ()
    parts += [_effects(comparison), *(Text(text, "dim") for text in (*LEGEND, *ranges))]
    only = {"first": comparison.first.label, "second": comparison.second.label}
    return parts + [line(f"only {only[side]} has: {', '.join(n)}") for side, n in comparison.missing.items() if n]


def pair_tables(comparisons: Sequence[Comparison]) -> list[RenderableType]:
    """Show several arms against the first: warnings, sentences, what each rests on, A/A, and a row for each metric."""
    parts: list[RenderableType] = []
    for each in comparisons:
        parts += [
            Text(visible(f"{each.second.label} against {each.first.label}:")),
            *_design(each),
            *_facts(each),
            Text(),
        ]
    if comparisons[0].null:
        parts += [*_null(comparisons[0].null), Text()]
    table = plain_table("arm", "metric", ">first", ">arm's", "", ">effect", "95 %", ">p", "outcome")
    for comparison in comparisons:
        for effect in comparison.effects:
            cells = (*_values(effect), _change(effect), spread(effect), _chance(effect.p_adjusted), outcome(effect))
            table.add_row(comparison.second.label, effect.metric.name, *cells)
    sentences = [*_warnings(comparisons), *(Text(visible(each.sentence), "bold") for each in comparisons)]
    hint = "the p-values are adjusted over all arms and metrics; --arms A B compares two"
    return [*sentences, Text(), *parts, table, Text(hint, "dim")]


def _warnings(comparisons: Sequence[Comparison]) -> list[RenderableType]:
    """Show once each what stands above the result; several arms say whose facts differ."""
    named = len(comparisons) > 1
    texts = dict.fromkeys(
        text if text.startswith("alarm") or not named else f"{each.second.label}: {text}"
        for each in comparisons
        for text in each.warnings
    )
    parts: list[RenderableType] = [Text(visible(f"! {text}"), "yellow") for text in texts]
    return [*parts, Text()] if parts else []


def outcome(effect: Effect) -> str:
    """Return what a metric shows in words; a difference that is too small to matter is said to be so."""
    if effect.outcome == "no different":
        return f"same within {margin(effect)}"
    return f"{effect.outcome}, within {margin(effect)}" if effect.is_small else effect.outcome


def _design(comparison: Comparison) -> list[RenderableType]:
    design = comparison.design
    levels = ", ".join(
        counted(number, name) for name, number in (("run", design.runs), ("host", design.hosts), ("boot", design.boots))
    )
    blocks = counted(design.blocks, "block") if design.interleaved else "no block in common"
    return [Text(f"{blocks}; {levels}; {_unit(design)}"), *(Text(visible(f"- {note}")) for note in design.notes)]


def _unit(design: Design) -> str:
    """Say what was repeated independently, and how often: of trials that share no block, nothing was."""
    return f"independent units: {design.units_text}" if design.interleaved else "independent unit: the trial"


def _null(null: Comparison) -> list[RenderableType]:
    """Show what the method finds between equals: how many metrics, and each of them that it calls different."""
    wrong = [effect for effect in null.effects if effect.differs]
    judged = sum(effect.p is not None for effect in null.effects)
    head = f"A/A, {null.first.label} against itself: {len(wrong)} of {counted(judged, 'metric')} called different"
    if not judged:
        head = f"A/A, {null.first.label} against itself: too few blocks to judge any metric"
    return [Text(visible(head)), _effects(null)]


def _effects(comparison: Comparison) -> Table:
    table = plain_table("~metric", ">first", ">second", "", ">effect", "95 %", ">p", ">shows", ">within", "outcome")
    for effect in comparison.effects:
        limits = (number(effect, effect.detectable), number(effect, effect.within))
        cells = (*_values(effect), _change(effect), spread(effect), _chance(effect.p_adjusted), *limits)
        table.add_row(effect.metric.name, *cells, outcome(effect))
    return table


def _values(effect: Effect) -> tuple[str, str, str]:
    unit = effect.metric.unit
    first, second = (format(value * unit.factor, unit.form) for value in (effect.first, effect.second))
    return first, second, unit.name


def _change(effect: Effect) -> str:
    return amount(effect).removesuffix(spread(effect)).strip()


def _chance(p: float | None) -> str:
    return "?" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _facts(comparison: Comparison) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for title, rows in _titled_facts(comparison):
        if rows:
            table = plain_table(*(f"/{text}" for text in (title, comparison.first.label, comparison.second.label)))
            options = [row for row in rows if row.is_option]
            folded = options if len(options) > MOST_OPTIONS else []
            for row in rows:
                if row not in folded:
                    table.add_row(row.name, *map(_short, row.shown))
            parts += [Text(), table]
            if folded:
                parts.append(
                    Text(f"and {len(folded)} options of the kernel's configuration: --html and --json list them")
                )
    return parts if comparison.facts else [*parts, Text("no other fact differs")]


def _titled_facts(comparison: Comparison) -> list[tuple[str, Sequence[FactDifference]]]:
    alike = [fact for fact in comparison.facts if fact not in comparison.differing]
    return [
        ("the arm", comparison.settings),
        ("differs besides the arm", comparison.differing),
        ("varies alike on both sides", alike),
    ]


def _short(value: str) -> str:
    return value if len(value) <= LONGEST_VALUE else f"{value[: LONGEST_VALUE - 3]}..."
