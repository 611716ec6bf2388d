"""The page of a run in which trials had no tracer: it says so, and shows no empty figure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import synthetic_run

from harness.report import build
from harness.report.arm_table import BY_KERNEL, arm_table
from harness.report.baseline_comparison import compare_to_baselines
from harness.report.run_facts import read_run

LEFT_OUT = ["whole", "lost events", "tracer share"]


def add(run: Path, number: int, tracer: str, rate: float) -> str:
    """A usable trial; without a tracer it has no slices, and trial.json as `attempt` writes it then."""
    arm = f"nginx_ab__tracer-{tracer}"
    name, traced = f"{number:03d}_{arm}", tracer == "perf"
    verdict = {"ok": True, "checks": synthetic_run.checks(), **({} if traced else {"left_out": LEFT_OUT})}
    counted = {"guest_switches_per_s": 600.0 + number, "guest_idle_share": 0.01}
    facts: dict[str, Any] = {"arm": arm, "tracer": tracer, "verdict": verdict, "metrics": {"requests_per_s": rate}}
    table = synthetic_run.slices(400, number) if traced else None
    synthetic_run.add_trial(run, name, table, **facts, **counted, **({} if traced else {"quality": None}))
    return name


def run_of(run: Path, *tracers: str, predictors: tuple[str, ...] = ()) -> Path:
    names = [add(run, number, tracer, 480.0 + number) for number, tracer in enumerate(tracers)]
    steps = {f"trial:{name}": {"state": "done", "seconds": 9.0, "error": None, "outputs": {}} for name in names}
    arms = {f"nginx_ab__tracer-{tracer}": {"box": {"name": "debian-12"}, "machine": {}} for tracer in tracers}
    spec = {**synthetic_run.manifest()["spec"], "model": {"predictors": [*predictors]}}
    synthetic_run.write_manifest(
        run,
        spec=spec,
        arms=arms,
        trials_planned=len(names),
        steps={name: step | {"detail": {}} for name, step in steps.items()},
    )
    for predictor in predictors:
        synthetic_run.add_model(run, predictor, 0, 0.66, trials=[name for name in names if name.endswith("perf")])
    return run


def text_of(run: Path) -> str:
    page = re.sub(r"<(script|style)\b.*?</\1>", "", build(run).read_text("utf-8"), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_trial_without_a_tracer_is_named_and_lacks_nothing(tmp_path: Path) -> None:
    run = run_of(tmp_path, "perf", "none", predictors=("markov",))
    page, shown = build(run).read_text("utf-8"), text_of(run)
    assert "Without a tracer: 001_nginx_ab__tracer-none. The load ran for the same time" in shown
    assert "Not judged, since no tracer ran: whole, lost events, tracer share." in shown
    assert "No predictor is trained for nginx_ab__tracer-none: without a tracer" in shown
    assert "Without a tracer: nginx_ab__tracer-none. What the load got was measured" in shown
    assert 'class="missing"' not in page
    assert page.count("<canvas") == build(run_of(tmp_path / "traced", "perf")).read_text("utf-8").count("<canvas")
    assert "switches per second, as the kernel counted 600 601" in shown


def test_a_run_without_any_tracer_has_no_row_and_no_figure_of_slices(tmp_path: Path) -> None:
    run = run_of(tmp_path, "none", "none")
    page, shown = build(run).read_text("utf-8"), text_of(run)
    assert "<canvas" not in page
    of_a_trace = ("contested part", "slices per second", "wakeup latency", "is one stay of one task")
    assert not [words for words in of_a_trace if words in shown]
    assert "load: requests/s 480 481" in shown


def test_arms_with_and_without_a_tracer_share_the_counts_of_their_kernels(tmp_path: Path) -> None:
    facts = read_run(run_of(tmp_path, "perf", "none", "none"))
    table = arm_table(facts.trials, compare_to_baselines(facts.groups))
    assert table.columns[:3] == ["rate of the load", BY_KERNEL, "switches per second"]
    traced, untraced = table.rows
    assert untraced.cells[BY_KERNEL] == [("602", "601 to 602", 601.5)]
    assert untraced.cells.keys() == {"rate of the load", BY_KERNEL}
    assert traced.cells.keys() > untraced.cells.keys()
    only_traced = read_run(run_of(tmp_path / "traced", "perf"))
    assert BY_KERNEL not in arm_table(only_traced.trials, compare_to_baselines(only_traced.groups)).columns


def test_what_a_run_without_models_recorded_is_said_with_and_without_a_tracer(tmp_path: Path) -> None:
    mixed, bare = text_of(run_of(tmp_path, "perf", "none")), text_of(run_of(tmp_path / "bare", "none"))
    assert "1 recording with 400 slices, 1 trial without a tracer, and no predictor requested" in mixed
    assert "This experiment measures what its load gets: 1 trial without a tracer." in bare
