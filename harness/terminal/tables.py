"""Runs, boxes, loads and checks as tables for a terminal. Each function returns renderables and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from harness.report.model_scores import ScoreEstimate, read_models
from harness.report.seed_groups import group_seeds, with_online
from harness.report.text import MINUS, points, points_range, visible
from harness.terminal.progress import spell_seconds

if TYPE_CHECKING:
    from harness.boxes import CachedBox, Recipe
    from harness.doctor import HostCheck
    from harness.plan import Trial
    from harness.report.baseline_comparison import PairedComparison
    from harness.spec import Experiment
    from harness.store import FileProblem, RunFolder

STATES = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan"}


def plan(asked: Experiment, trials: Sequence[Trial]) -> list[RenderableType]:
    """What `harness run` would do, trial by trial."""
    from harness.plan import describe, estimate_s

    table = _table("trial", "box", "load", ">warm-up s", ">record s", ">about s")
    for row in describe(trials):
        seconds = (f"{row.warmup_s:g}", f"{row.record_s:g}", f"{row.estimate_s:.0f}")
        table.add_row(row.name, row.box, escape(row.load), *seconds)
    wanted = asked.model
    seeds = ", ".join(map(str, wanted.seeds))
    models = f"{', '.join(wanted.predictors) or 'none'}; marks: {wanted.mark}; seeds: {seeds}"
    fallback = f", or else {asked.machine.fallback}" if asked.machine.fallback else ", no fallback"
    return [
        f"[bold]{escape(asked.name)}[/]  {escape(asked.question)}",
        f"machine: {asked.machine.box}{fallback}; {asked.machine.cpus} CPU, {asked.machine.memory_mb} MB",
        table,
        f"predictors: {models}",
        f"recording takes about {spell_seconds(estimate_s(trials))}, machine included; nothing was touched",
    ]


def runs(found: Sequence[RunFolder], runs_dir: Path) -> RenderableType:
    """All runs, oldest first."""
    if not found:
        return f"no runs in {escape(str(runs_dir))}; start one: harness run experiments/nginx_ab.yaml"
    table = _table("run", "state", ">trials", ">models", "box", ">took")
    for folder in found:
        row = run_row(folder)
        trials, models = f"{row['trials_done']}/{row['trials']}", f"{row['models_done']}/{row['models']}"
        box, took = row["box"] or "-", spell_seconds(row["seconds"])
        table.add_row(row["name"], _state(row["state"]), trials, models, box, took)
    return table


def run_row(folder: RunFolder) -> dict[str, Any]:
    """One run in a line: its name, state, and how many trials and models are done of how many begun."""
    manifest = folder.manifest
    steps = manifest["steps"]
    trials, models = _of_kind(steps, "trial"), _of_kind(steps, "model")
    return {
        "name": manifest["name"],
        "state": folder.state,
        "trials": len(trials),
        "trials_done": sum(step["state"] == "done" for step in trials.values()),
        "models": len(models),
        "models_done": sum(step["state"] == "done" for step in models.values()),
        "box": _box(manifest),
        "seconds": sum(step["seconds"] or 0.0 for name, step in steps.items() if not name.startswith("model:")),
    }


def run(folder: RunFolder) -> list[RenderableType]:
    """One run: state, machine, verdicts, scores, costs."""
    manifest = folder.manifest
    parts: list[RenderableType] = [Text(f"{manifest['name']}: ", end="").append(folder.state, STATES[folder.state])]
    parts += [f"[red]{escape(manifest['error'])}[/]"] if manifest.get("error") else []
    box = manifest.get("box") or {}
    if reason := box.get("fallback_reason"):
        parts.append(f"[yellow]! ran on the fallback {box['name']}, not on {box['asked']}: {escape(reason)}[/]")
    parts += [*_machines(manifest), _trials(folder), _scores(folder), _costs(manifest["steps"])]
    page = folder.path / "report" / "index.html"
    return [*parts, f"report: {escape(str(page))}" if page.is_file() else "no report yet: `harness report` writes it"]


def _box(manifest: Mapping[str, Any]) -> str | None:
    """The box, or the boxes where arms were recorded on different ones; None where none is known yet."""
    names = dict.fromkeys(on["box"]["name"] for on in manifest.get("arms", {}).values())
    return ", ".join(names) or (manifest.get("box") or {}).get("name")


def _machines(manifest: Mapping[str, Any]) -> list[RenderableType]:
    """What each arm was recorded on, where that differs."""
    rows = {}
    for arm, on in manifest.get("arms", {}).items():
        facts = (on["machine"].get(key) for key in ("kernel", "accelerator", "cpus", "memory_mb"))
        rows[arm] = (on["box"]["name"], *("" if fact is None else str(fact) for fact in facts))
    if len(set(rows.values())) < 2:
        return []
    table = _table("arm", "box", "kernel", "accelerator", ">CPUs", ">MB")
    for arm, row in sorted(rows.items()):
        table.add_row(escape(arm), *map(escape, row))
    return [table]


def problems(folder: RunFolder, found: Sequence[FileProblem]) -> RenderableType:
    """What `harness verify` found."""
    if not found:
        return f"{folder.path.name}: every file is as recorded"
    table = _table("file", "problem")
    for problem in found:
        table.add_row(escape(str(problem.path)), escape(f"{problem.kind}: {problem.detail}"))
    return table


def boxes(recipes: Sequence[Recipe], found: Sequence[CachedBox]) -> RenderableType:
    """The recipes and which of them are cached."""
    cached = {listed.box.name: listed for listed in sorted(found, key=lambda listed: listed.current)}
    table = _table("box", "suite", "kernel package", "booted in tests", "cached", ">MB", "kernel inside")
    for recipe in recipes:
        listed = cached.get(recipe.name)
        state = "no" if listed is None else "yes" if listed.current else "yes, but of an older recipe"
        size, kernel = (f"{listed.size_mb:.0f}", listed.box.kernel) if listed else ("", "")
        tested = "yes" if recipe.booted_in_tests else "no"
        table.add_row(recipe.name, recipe.suite, recipe.kernel.package, tested, state, size, kernel)
    return table


def loads(kinds: Mapping[str, Any]) -> list[RenderableType]:
    """Every load with its parameters."""
    shown: list[RenderableType] = []
    for kind, load in kinds.items():
        shown.append(f"[bold]{kind}[/]  {escape((load.__doc__ or '').strip().splitlines()[0])}")
        table = _table("parameter", "default", "meaning")
        for name, field in load.model_fields.items():
            if name != "kind":
                table.add_row(f"load.{name}", escape(str(field.default)), escape(field.description or ""))
        shown += [table if table.row_count else "no parameters", ""]
    return shown[:-1]


def checks(found: Iterable[HostCheck]) -> RenderableType:
    """What `harness doctor` found."""
    table = _table("", "check", "found", "what to do")
    for check in found:
        mark = "[green]✓[/]" if check.ok else "[yellow]![/]" if check.advice else "[red]✗[/]"
        table.add_row(mark, escape(check.name), escape(check.detail), escape(check.hint or "") if not check.ok else "")
    return table


def _trials(folder: RunFolder) -> RenderableType:
    table = _table("trial", "verdict", ">switches", ">contested", ">idle", ">tracer", ">requests/s", ">s")
    for name, step in sorted(_steps(folder, "trial").items()):
        told = step["detail"]
        share = [_of(told, key, ".1%") for key in ("contested_share", "idle_share", "tracer_share")]
        verdict = "[green]usable[/]" if step["state"] == "done" else f"[red]{escape(step['error'] or step['state'])}[/]"
        rate = _of(told, "requests_per_s", ".0f")
        seconds = f"{step['seconds']:.0f}" if step["seconds"] else ""
        table.add_row(name, verdict, f"{told.get('switches', 0):,}", *share, rate, seconds)
    return table


def _scores(folder: RunFolder) -> RenderableType:
    found, _problems = read_models(folder.path / "models")
    arms = {name: step["detail"].get("arm", "") for name, step in _steps(folder, "trial").items()}
    several = len(set(arms.values())) > 1
    numbers = (">seeds", ">contested", ">chance", ">top-1", ">bits", ">nats", ">MAE us")
    table = _table(*(["arm"] if several else []), "predictor", "inputs", *numbers)
    for group in with_online(group_seeds(found, arms)):
        chance = group.mean(lambda one: one.chance)
        table.add_row(
            *([group.arm] if several else []),
            group.predictor,
            group.inputs,
            str(len(group.seeds)),
            _share(group.score("contested", "top1")),
            "" if chance is None else f"{chance:.1%}",
            _number(group.score("overall", "top1"), ".1%"),
            _number(group.score("overall", "bits_per_switch"), ".3f"),
            _number(group.score("overall", "time_nll_nats"), ".2f"),
            _number(group.score("overall", "time_mae_us"), ".0f"),
        )
    return table if table.row_count else "no models"


def scores_of(found: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One row a predictor, its seeds as one (`model.scoring.seeds.combine_seeds`); of folds, with the test set."""
    folds = any(one.get("fold") for one in found)
    strange, spread = any(one.get("share_unknown") for one in found), any(len(one["seeds"]) > 1 for one in found)
    over_seeds = [">seeds ±"] if spread else []
    table = _table(
        "predictor",
        *(["tested on"] if folds else ["inputs"]),
        *(">seeds", ">contested", *over_seeds, ">chance", ">top-1", ">bits", *over_seeds, ">nats", ">MAE us"),
        *([">unknown"] if strange else []),
    )
    for one in found:
        overall, contested = one["overall"], one.get("contested") or {}
        hits = _half(_cell(contested, "top1", "top1_seeds_ci"), 100, ".1f")
        bits = _half(_cell(overall, "bits_per_switch", "bits_per_switch_seeds_ci"), 1, ".3f")
        table.add_row(
            one["predictor"],
            escape(visible(one["fold"])) if folds else one["regime"],
            str(len(one["seeds"])),
            _share(_cell(contested, "top1", "top1_ci")),
            *([hits] if spread else []),
            _of(contested, "chance_top1", ".1%"),
            _of(overall, "top1", ".1%"),
            _plus_minus(_cell(overall, "bits_per_switch", "bits_ci")),
            *([bits] if spread else []),
            _of(overall, "time_nll_nats", ".2f"),
            _of(overall, "time_mae_us", ".0f"),
            *([_of(one, "share_unknown", ".1%")] if strange else []),
        )
    caveats = dict.fromkeys(one["caveat"] for one in found if one.get("caveat"))
    return Group(table, *map(escape, caveats)) if caveats else table


def legend(found: Sequence[Mapping[str, Any]], split: str | None = None) -> RenderableType:
    """What the rows of `scores_of` are about, and what their intervals are."""
    told = f"predicts: {', '.join(dict.fromkeys(one['mark'] for one in found))}. "
    told += (
        "±: longer half of a 95 % interval, by block bootstrap over the test part: another stretch of such recordings"
    )
    told += f"; of a mean, Student's over what was held out: another {split}." if split else "."
    if any(len(one["seeds"]) > 1 for one in found):
        told += " seeds ±: Student's over seeds: another training."
    if any(one.get("share_unknown") for one in found):
        told += " unknown: switches to a task that was not there to be learned; they count as missed."
    return Text(told, "dim")


def _cell(scores: Mapping[str, Any], name: str, interval: str) -> ScoreEstimate | None:
    value = scores.get(name)
    return None if value is None else ScoreEstimate(value, *(scores.get(interval) or (None, None)))


def compared(found: Sequence[PairedComparison]) -> list[RenderableType]:
    """Predictors against others on the same events, all seeds together and one by one."""
    shown: list[RenderableType] = []
    for pair in found:
        ours, theirs = pair.best, pair.baseline
        arm = f", {escape(ours.arm)}" if len({one.best.arm for one in found}) > 1 else ""
        names = [f"[bold]{escape(one.predictor)}[/] (inputs: {one.inputs})" for one in (ours, theirs)]
        shown.append(f"{' against '.join(names)}, predicting {ours.mark}{arm}")
        shown += [f"not compared: {escape(pair.missing)}" if pair.missing else _compared(pair), ""]
    told = (
        "95 %: interval of the paired difference, the same blocks of events being redrawn for both: another stretch of "
    )
    told += "such recordings. spread: Student's over seeds: another training."
    return [*shown, Text(told, "dim")]


def _compared(pair: PairedComparison) -> Table:
    numbers = (">events", ">top-1", ">of other", ">points more", ">95 %", ">bits", ">of other", ">fewer", ">95 %")
    table = _table("switches", ">seed", *numbers)
    for part in pair.parts:
        hits, bits = pair.of(part, "top1"), pair.of(part, "bits_per_switch")
        if hits and bits:
            names = [seed.seed for seed in pair.best.seeds]
            rows = list(zip(names, hits.by_seed, bits.by_seed, strict=True))
            every = [(f"all {len(rows)}", hits.together, bits.together)] if len(rows) > 1 else []
            for seed, hit, bit in [*every, *rows]:
                table.add_row(part, seed, f"{hits.events:,}", *_pair_of(hit, bit))
            if spread := points_range(hits.difference_seeds_ci):
                table.add_row(part, "spread", "", "", "", "", spread, *("", "", "", _shares(bits.saving_seeds_ci)))
    return table


def _pair_of(hit: Any, bit: Any) -> tuple[str, ...]:
    """Cells of two `model.scoring.compare.Difference`, of top-1 and of bits."""
    saved = "" if bit.saving is None else _signed(bit.saving)
    ends = points_range(hit.difference_ci) or "too few blocks"
    hits = (f"{hit.value:.1%}", f"{hit.baseline:.1%}", points(hit.difference), ends)
    return (*hits, f"{bit.value:.3f}", f"{bit.baseline:.3f}", saved, _shares(bit.saving_ci))


def _shares(ends: tuple[float, float] | None) -> str:
    return "" if ends is None else " to ".join(map(_signed, ends))


def _signed(share: float) -> str:
    return f"{share:.1%}".replace("-", MINUS)


def foreseen(found: Sequence[Any]) -> RenderableType:
    """Predictions beside what happened; `found` are `model.predict.EventForecast`."""
    several = len({one.recording for one in found}) > 1
    table = _table("", *(["recording"] if several else []), "CPU", "was likeliest", "came", ">median us", ">ran us", "")
    for one in found:
        likely = "  ".join(f"{visible(mark)} {probability:.0%}" for mark, probability in one.likeliest)
        right = "[green]✓[/]" if one.likeliest[0][0] == one.mark else "[red]✗[/]"
        place = [*([escape(visible(one.recording))] if several else []), str(one.cpu)]
        times = (f"{one.median_us:.0f}", f"{one.slice_us:.0f}")
        contested = "contested" if one.contested else "forced"
        table.add_row(right, *place, escape(likely), escape(visible(one.mark)), *times, contested)
    return table


def _of(scores: Mapping[str, Any], name: str, form: str) -> str:
    value = scores.get(name)
    return "" if value is None else format(value, form)


def _share(cell: ScoreEstimate | None) -> str:
    """A share with the longer half of its interval, which fits a terminal; the report has both ends."""
    return "" if cell is None else f"{cell.value:.1%} {_half(cell, 100, '.1f')}".rstrip()


def _plus_minus(cell: ScoreEstimate | None) -> str:
    return "" if cell is None else f"{cell.value:.3f} {_half(cell, 1, '.3f')}".rstrip()


def _half(cell: ScoreEstimate | None, scale: float, form: str) -> str:
    """The longer half of an interval, in parts of one (`scale` 1) or percent (100); empty where there is none."""
    ends = [end for end in (cell.low, cell.high) if end is not None] if cell else []
    half = max((abs(end - cell.value) for end in ends), default=None) if cell else None
    return "" if half is None else f"±{scale * half:{form}}"


def _number(cell: ScoreEstimate | None, form: str) -> str:
    return "" if cell is None else format(cell.value, form)


def _costs(steps: Mapping[str, Any]) -> RenderableType:
    table = _table("step", "state", ">took")
    for name, step in steps.items():
        if not name.startswith(("model:", "attempt:")):
            took = spell_seconds(step["seconds"]) if step["seconds"] is not None else ""
            table.add_row(escape(name), _state(step["state"]), took)
    return table


def _steps(folder: RunFolder, kind: str) -> dict[str, Any]:
    return _of_kind(folder.manifest["steps"], kind)


def _of_kind(steps: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name.split(":", 1)[1]: step for name, step in steps.items() if name.startswith(f"{kind}:")}


def _state(state: str) -> str:
    return f"[{STATES.get(state, 'white')}]{state}[/]"


def _table(*columns: str) -> Table:
    """A plain table; a heading that begins with `>` is a column of numbers."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column.lstrip(">"), justify="right" if column.startswith(">") else "left")
    return table
