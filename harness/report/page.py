"""Builds the page: facts and figures in one HTML file that needs no other file."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import groupby

from jinja2 import Environment
from markupsafe import Markup

from harness.load_results import results
from harness.report import (
    answer,
    arm_table,
    block_facts,
    document,
    fact_tables,
    figures,
    host_facts,
    integrity,
    trial_noise,
)
from harness.report.baseline_comparison import compare_to_baselines, headline
from harness.report.exact import exact_score, exact_seeds
from harness.report.hits import read_hits
from harness.report.interval_basis import explain
from harness.report.model_scores import INPUTS, METRICS
from harness.report.network_picture import network_picture
from harness.report.recording_summary import TaskSummary
from harness.report.run_facts import RunFacts
from harness.report.run_files import run_files
from harness.report.seed_groups import SeedGroup, chosen_on_validation, with_online
from harness.report.timeline import timelines

SCRIPTS = ("view.js", "download.js", "tables.js", "timeline.js", "page.js")
SHARES = ("top1", "top3", "macro_recall")  # scores that are shown as percent


def render(run: RunFacts) -> str:
    """Return the page as text."""
    recordings = [(trial.name, trial.recording) for trial in run.trials if trial.recording]
    records = [trial.record for trial in run.trials]
    style, scripts = document.asset("report.css"), [document.asset(name) for name in SCRIPTS]
    comparisons, tabled = compare_to_baselines(run.groups), with_online(run.groups)
    best = headline(comparisons)
    groups = sorted(run.groups, key=lambda group: best is None or group is not best.best)  # that one is shown first
    cpu_timelines = timelines(recordings, read_hits(groups, dict(recordings)))
    files = run_files(run)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            run=run,
            policy=document.policy(style, scripts),
            style=Markup(style),
            scripts=[Markup(script) for script in scripts],
            comparisons=comparisons,
            blocks=rivals(tabled),
            tabled=tabled,
            metrics=scored_metrics(tabled),
            headline=best,
            answer=answer.answer(run, comparisons),
            banners=[*integrity.banners(run), *answer.banners(run)],
            integrity=integrity.line(run),
            conditions=host_facts.conditions(run.trials),
            spreads=trial_noise.spread_lines(records),
            recorded_again=[trial for trial in run.trials if trial.earlier],
            odd=trial_noise.odd_lines(records),
            meanwhile=host_facts.meanwhile(run.trials),
            meanwhile_data=host_facts.meanwhile_data(run.trials),
            meanwhile_columns=host_facts.COLUMNS,
            complete=not answer.incomplete(run),
            facts=fact_tables.where_it_ran(run),
            versions=fact_tables.versions(run),
            software=fact_tables.software(run),
            settings=fact_tables.settings(run),
            kernel_settings=fact_tables.kernel_settings(run),
            timelines=cpu_timelines,
            timeline_meta=document.json_in_script([timeline.meta() for timeline in cpu_timelines]),
            rows=fact_tables.side_by_side(run.trials),
            arms=arm_table.arm_table(run.trials, comparisons),
            load_words=lambda trial: arm_table.in_words(results(trial.record)),
            curves=list(curve_panels(run.groups)),
            network=network_picture(run.groups),
            counted=switches_scored(run.groups),
            caveats=caveats(run.groups),
            chosen_on_validation=chosen_on_validation(run.groups),
            slots=_slots(run),
            files=files,
            block_rows=block_facts.block_rows(run),
            compare_command=block_facts.compare_command(run),
            comparison_page=block_facts.comparison_page(files),
            seed_slots=figures.seed_slots(run.groups),
            widest=max((step.seconds or 0 for step in run.steps), default=0) or 1.0,
            cut=[timeline for timeline in cpu_timelines if timeline.shown < timeline.total],
        )
    )


def rivals(groups: list[SeedGroup]) -> list[tuple[tuple[str, str, str], list[SeedGroup]]]:
    """Return each (mark, arm, inputs) with the predictors that compete in it, in the order of `groups`."""
    return [
        (key, list(members)) for key, members in groupby(groups, lambda group: (group.mark, group.arm, group.inputs))
    ]


def scored_metrics(groups: list[SeedGroup]) -> list[str]:
    """Return the columns of the table of all scores; older versions did not score task and time jointly."""
    joint = any(group.score("overall", "joint_bits") for group in groups)
    return [metric for metric in METRICS if metric != "above_chance" and (metric != "joint_bits" or joint)]


def switches_scored(groups: list[SeedGroup]) -> list[tuple[str, dict[str, float]]]:
    """Return (arm, split -> switches in its test part) where known; all seeds are scored on the same switches."""
    events = {group.arm: group.seeds[0].events for group in reversed(groups)}
    return sorted((arm, counts) for arm, counts in events.items() if counts.get("overall"))


def caveats(groups: list[SeedGroup]) -> list[tuple[str, str]]:
    """Return each caveat that scores carry, with the predictors that it applies to."""
    predictors: dict[str, dict[str, None]] = {}
    for group in groups:
        for seed in group.seeds:
            if seed.caveat:
                predictors.setdefault(seed.caveat, {})[group.predictor] = None
    return [(caveat, ", ".join(names)) for caveat, names in predictors.items()]


def curve_panels(groups: list[SeedGroup]) -> Iterator[tuple[SeedGroup, str, Markup]]:
    """Yield (predictor, column, figure) for every predictor that has a training history."""
    slots = figures.seed_slots(groups)
    for group in groups:
        for name in dict.fromkeys(curve.label for seed in group.seeds for curve in seed.curves):
            yield group, name, figures.curves(group.seeds, name, slots)


def _slots(run: RunFacts) -> dict[str, int]:
    tasks: list[TaskSummary] = [task for trial in run.trials if trial.recording for task in trial.recording.tasks]
    return {task.label: task.slot for task in tasks}


@cache  # with it, the templates are compiled once in a process and not for each page
def _environment() -> Environment:
    environment = document.environment()
    environment.tests["in_folder"] = str.startswith
    environment.globals.update(
        inputs=INPUTS,
        shares=SHARES,
        explain_intervals=explain,
        exact_score=exact_score,
        exact_seeds=exact_seeds,
    )
    return environment
