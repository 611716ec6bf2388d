"""Scores, comparisons and forecasts of models as tables for a terminal. Each function prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.recorded_clock import RecordedClock
from harness.report.chance import BELOW, NO_BETTER, against_chance
from harness.report.interval_basis import IntervalBasis, explain
from harness.report.model_scores import ScoreEstimate
from harness.report.score_rows import RunScores
from harness.report.text import MINUS, points, points_range
from harness.terminal.line import line, message
from harness.terminal.plain_table import cell, plain_table
from harness.visible import visible

if TYPE_CHECKING:
    from harness.report.baseline_comparison import PairedComparison

INTERVALS = "±: longer half of the 95 % interval"
PAIRED_INTERVALS = "95 %: interval of the difference on the same events"
SPREAD = "spread: the same for training with other seeds (Student's t over the seeds)."


def run_scores(scores: RunScores) -> RenderableType:
    """Show the models of a run, one row for all seeds of a predictor."""
    several_arms = scores.several_arms
    numbers = (">seeds", ">contested", ">chance", ">top-1", ">bits", ">time bits", ">MAE us")
    table = plain_table(*(["arm"] if several_arms else []), "predictor", "inputs", *numbers)
    for row in scores.rows:
        table.add_row(
            *([row["arm"]] if several_arms else []),
            row["predictor"],
            row["inputs"],
            str(len(row["seeds"])),
            contested(row),
            cell(row, "chance_top1", ".1%"),
            cell(row, "top1", ".1%"),
            cell(row, "bits_per_switch", ".3f"),
            cell(row, "time_bits", ".2f"),
            cell(row, "time_mae_us", ".0f"),
        )
    notes = _chance_notes(
        (f"{row['predictor']}, {row['arm']}" if several_arms else row["predictor"], row["against_chance"] or "")
        for row in scores.rows
    )
    bases = [IntervalBasis(row["interval_trials"], row["scored_trials"]) for row in scores.rows]
    notes += [Text(f"{INTERVALS} {explain(bases)}.", "dim")] if bases else []
    lines = (message(problem, "red") for problem in scores.problems)
    return Group(table if table.row_count else "no models", *notes, *lines)


def contested(row: Mapping[str, Any]) -> str:
    """Format top-1 at contested switches of a row of `report.score_rows`; empty where none was contested."""
    ends = (row["contested_top1_low"], row["contested_top1_high"])
    return "" if row["contested_top1"] is None else _share(ScoreEstimate(row["contested_top1"], *ends))


def _chance_notes(results: Iterable[tuple[str, str]]) -> list[Text]:
    """Return a line for each of the worst results against chance, with the names of those that have it."""
    names: dict[str, list[str]] = {}
    for name, result in results:
        names.setdefault(result, []).append(name)
    return [
        message(f"{result}: {'; '.join(names[result])}", "yellow") for result in (BELOW, NO_BETTER) if result in names
    ]


def score_table(scores: Sequence[Mapping[str, Any]]) -> RenderableType:
    """Show one row for each predictor, its seeds combined (`model.scoring.seeds.combine_seeds`), or for each fold."""
    folds = any(row.get("fold") for row in scores)
    unknown, seeds = any(row.get("share_unknown") for row in scores), any(len(row["seeds"]) > 1 for row in scores)
    over_seeds = [">seeds ±"] if seeds else []
    table = plain_table(
        "predictor",
        *(["tested on"] if folds else ["inputs"]),
        *(">seeds", ">contested", *over_seeds, ">chance", ">top-1", ">bits", *over_seeds, ">time bits", ">MAE us"),
        *([">unknown"] if unknown else []),
    )
    for row in scores:
        overall, contested = row["overall"], row.get("contested") or {}
        top1_seeds = _half(_estimate(contested, "top1", "top1_seeds_ci"), 100, ".1f")
        bits_seeds = _half(_estimate(overall, "bits_per_switch", "bits_per_switch_seeds_ci"), 1, ".3f")
        table.add_row(
            row["predictor"],
            row["fold"] if folds else row["regime"],
            str(len(row["seeds"])),
            _share(_estimate(contested, "top1", "top1_ci")),
            *([top1_seeds] if seeds else []),
            cell(contested, "chance_top1", ".1%"),
            cell(overall, "top1", ".1%"),
            _plus_minus(_estimate(overall, "bits_per_switch", "bits_ci")),
            *([bits_seeds] if seeds else []),
            cell(overall, "time_bits", ".2f"),
            cell(overall, "time_mae_us", ".0f"),
            *([cell(row, "share_unknown", ".1%")] if unknown else []),
        )
    caveats = dict.fromkeys(row["caveat"] for row in scores if row.get("caveat"))
    chance = (
        (f"{row['predictor']}, {row['fold']}" if folds else row["predictor"], _against_chance(row)) for row in scores
    )
    return Group(table, *_chance_notes(chance), *map(Text, map(visible, caveats)))


def _against_chance(row: Mapping[str, Any]) -> str:
    return against_chance(_estimate(row.get("contested") or {}, "above_chance", "above_chance_ci"))


def score_legend(scores: Sequence[Mapping[str, Any]], split: str | None = None) -> RenderableType:
    """Explain what the rows of `score_table` predict, and what their intervals mean."""
    tested = [table for row in scores for table in row.get("folds", [row])]
    bases = (IntervalBasis(row.get("interval_trials", 1), len(row.get("by_trial") or {})) for row in tested)
    legend = f"predicts: {', '.join(dict.fromkeys(row['mark'] for row in scores))}. {INTERVALS} {explain(bases)}"
    legend += f"; of a mean: for another {split} (Student's t over the folds)." if split else "."
    if any(len(row["seeds"]) > 1 for row in scores):
        legend += " seeds ±: the same for training with other seeds (Student's t over the seeds)."
    if clocks := [clock.text for row in scores if (clock := RecordedClock.of(row)).counted]:
        legend += f" clock: {', '.join(dict.fromkeys(clocks))}."
    if any(row.get("share_unknown") for row in scores):
        legend += " unknown: share of switches to a task that does not occur in the train part; the run queue names it."
    return Text(visible(legend), "dim")


def comparisons(pairs: Sequence[PairedComparison]) -> list[RenderableType]:
    """Show predictors against others on the same events, all seeds together and one by one."""
    shown: list[RenderableType] = []
    several_arms = len({pair.best.arm for pair in pairs}) > 1
    for pair in pairs:
        arm, best, baseline = f", {pair.best.arm}" if several_arms else "", pair.best, pair.baseline
        names = ((best.predictor, "bold"), f" (inputs: {best.inputs}) against ", (baseline.predictor, "bold"))
        shown.append(line(*names, f" (inputs: {baseline.inputs}), predicting {best.mark}{arm}"))
        shown += [message(f"not compared: {pair.missing}") if pair.missing else _comparison(pair), ""]
    bases = (pair.basis for pair in pairs if not pair.missing)
    return [*shown, Text(f"{PAIRED_INTERVALS} {explain(bases)}. {SPREAD}", "dim")]


def _comparison(pair: PairedComparison) -> Table:
    numbers = (">events", ">top-1", ">of other", ">points more", ">95 %", ">bits", ">of other", ">fewer", ">95 %")
    table = plain_table("switches", ">seed", *numbers)
    for part in pair.parts:
        top1, bits = pair.of(part, "top1"), pair.of(part, "bits_per_switch")
        if top1 and bits:
            names = [seed.seed for seed in pair.best.seeds]
            rows = list(zip(names, top1.by_seed, bits.by_seed, strict=True))
            together = [(f"all {len(rows)}", top1.together, bits.together)] if len(rows) > 1 else []
            for seed, top1_seed, bits_seed in [*together, *rows]:
                table.add_row(part, seed, f"{top1.events:,}", *_differences(top1_seed, bits_seed))
            if spread := points_range(top1.difference_seeds_ci):
                table.add_row(part, "spread", "", "", "", "", spread, *("", "", "", _shares(bits.saving_seeds_ci)))
    return table


def _differences(top1: Any, bits: Any) -> tuple[str, ...]:
    """Format the cells of one row: two `model.scoring.compare.Difference`."""
    interval = points_range(top1.difference_ci) or "too few blocks"
    saving = "" if bits.saving is None else _signed(bits.saving)
    top1_cells = (f"{top1.value:.1%}", f"{top1.baseline:.1%}", points(top1.difference), interval)
    return (*top1_cells, f"{bits.value:.3f}", f"{bits.baseline:.3f}", saving, _shares(bits.saving_ci))


def forecasts(events: Sequence[Any]) -> RenderableType:
    """Show predictions (`model.predict.EventForecast`) beside what happened."""
    several = len({event.recording for event in events}) > 1
    table = plain_table(
        "", *(["recording"] if several else []), "CPU", "was likeliest", "came", ">median us", ">ran us", ""
    )
    for event in events:
        table.add_row(
            Text("✓", "green") if event.likeliest[0][0] == event.mark else Text("✗", "red"),
            *([event.recording] if several else []),
            str(event.cpu),
            "  ".join(f"{mark} {probability:.0%}" for mark, probability in event.likeliest),
            event.mark,
            f"{event.median_us:.0f}",
            f"{event.slice_us:.0f}",
            "contested" if event.contested else "forced",
        )
    return table


def _estimate(scores: Mapping[str, Any], name: str, interval: str) -> ScoreEstimate | None:
    value = scores.get(name)
    return None if value is None else ScoreEstimate(value, *(scores.get(interval) or (None, None)))


def _share(estimate: ScoreEstimate | None) -> str:
    """Format a share with the longer half of its interval, which fits a terminal; the report shows both ends."""
    return "" if estimate is None else f"{estimate.value:.1%} {_half(estimate, 100, '.1f')}".rstrip()


def _plus_minus(estimate: ScoreEstimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.3f} {_half(estimate, 1, '.3f')}".rstrip()


def _half(estimate: ScoreEstimate | None, scale: float, form: str) -> str:
    """Format the longer half of an interval as a fraction (`scale` 1) or in percent (100); empty without interval."""
    ends = [end for end in (estimate.low, estimate.high) if end is not None] if estimate else []
    half = max((abs(end - estimate.value) for end in ends), default=None) if estimate else None
    return "" if half is None else f"±{scale * half:{form}}"


def _shares(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else " to ".join(map(_signed, interval))


def _signed(share: float) -> str:
    return f"{share:.1%}".replace("-", MINUS)
