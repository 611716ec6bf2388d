"""What the load of each arm got, beside what the scheduler did."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import synthetic_run

from harness.report import build
from harness.report.arm_table import ArmTable, arm_table
from harness.report.baseline_comparison import compare_to_baselines
from harness.report.run_facts import read_run

WEB = [{"requests_per_s": rate, "latency_p50_ms": 9.25, "latency_p99_ms": 30.0 + rate} for rate in (115.0, 117.0)]
MIX = {"web.requests_per_s": 60.5, "web.latency_p99_ms": 80.0, "encode.frames_per_s": 24.0}


def run_of(run: Path, arms: dict[str, list[dict[str, Any]]]) -> Path:
    """A run with a trial for each of an arm's metrics, and a model of the first arm."""
    names = []
    for arm, metrics in arms.items():
        for known in metrics:
            names.append(f"{len(names):03d}_{arm}")
            synthetic_run.add_trial(run, names[-1], synthetic_run.slices(400, len(names)), arm=arm, metrics=known)
    on = {"box": {"name": "debian-12"}, "machine": {"clock": "host"}}
    synthetic_run.write_manifest(run, arms=dict.fromkeys(arms, on))
    synthetic_run.add_model(run, "markov", 0, 0.66, trials=[name for name in names if name.endswith(next(iter(arms)))])
    return run


def table_of(run: Path) -> ArmTable:
    facts = read_run(run)
    return arm_table(facts.trials, compare_to_baselines(facts.groups))


def test_an_arm_has_the_mean_of_its_trials_and_their_range(tmp_path: Path) -> None:
    (row,) = table_of(run_of(tmp_path, {"web": WEB})).rows
    assert (row.arm, row.trials) == ("web", 2)
    assert row.cells["rate of the load"] == [("116 requests/s", "115 to 117", 116.0)]
    assert row.cells["load’s p50 latency"] == [("9.25 ms", "", 9.25)]  # noqa: RUF001
    assert row.cells["load’s p99 latency"] == [("146 ms", "145 to 147", 146.0)]  # noqa: RUF001
    assert row.cells["best predictor"][0][0].endswith(" markov")


def test_a_load_without_latencies_leaves_no_column_of_them(tmp_path: Path) -> None:
    table = table_of(run_of(tmp_path, {"stress_ng": [{"operations_per_s": 4.0, "operations": 9}]}))
    assert table.columns[:3] == ["rate of the load", "switches per second", "contested"]
    silent = table_of(run_of(tmp_path / "silent", {"idle": [{}]}))
    assert silent.columns[:2] == ["switches per second", "contested"]
    assert silent.load_of("idle") == ""


def test_arms_of_different_loads_share_columns_and_a_mix_shows_its_parts(tmp_path: Path) -> None:
    table = table_of(run_of(tmp_path, {"web": WEB, "mix": [MIX]}))
    mixed = table.rows[1]
    assert [figure.shown for figure in mixed.cells["rate of the load"]] == ["web 60.5 requests/s", "encode 24 frames/s"]
    assert "load’s p50 latency" not in mixed.cells  # noqa: RUF001
    assert table.load_of("mix") == "web 60.5 requests/s, web p99 latency 80 ms, encode 24 frames/s"


def test_the_csv_has_the_exact_values_of_every_arm(tmp_path: Path) -> None:
    head, web, mix = json.loads(table_of(run_of(tmp_path, {"web": WEB, "mix": [MIX]})).csv)
    values = dict(zip(head, web, strict=True))
    assert values["load: p99 latency (ms), high"] == 147.0
    assert (values["arm"], values["trials"], values["load: encode frames/s"]) == ("web", 2, None)
    assert dict(zip(head, mix, strict=True))["load: web requests/s"] == 60.5


def test_trials_that_may_not_be_used_are_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path, {"web": WEB})
    path = run / "trials" / "001_web" / "trial.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"verdict": {"ok": False, "checks": []}}))
    assert table_of(run).rows[0].trials == 1


def test_the_page_shows_the_load_beside_the_arms_the_trials_and_the_scores(tmp_path: Path) -> None:
    page = build(run_of(tmp_path, {"web": WEB, "mix": [MIX]})).read_text("utf-8")
    shown = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "web 60.5 requests/s encode 24 frames/s" in shown
    assert (
        "001_web: switches, slice lengths and wakeup latencies by task · load: 117 requests/s, p50 latency 9.25"
        in shown
    )
    assert "predicts task; web; load: 116 requests/s, p50 latency 9.25 ms, p99 latency 146 ms" in shown
    assert "load: web p99 latency – – 80 ms" in shown  # noqa: RUF001
