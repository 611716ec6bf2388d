"""What loads measured, as columns of a table."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
import synthetic_run
from rich.console import Console

from harness.load_results import results
from harness.report import load_rows, run_rows
from harness.store import RunFolder
from harness.terminal import tables
from harness.terminal.load_columns import load_columns

AB = {"requests_per_s": 467.52}
WEB = {"requests_per_s": 115.9, "latency_p99_ms": 31.25}
MIX = {"web.requests_per_s": 60.5, "web.latency_p99_ms": 80.0, "encode.frames_per_s": 24.0}


def columns(*rows: list[dict[str, float]]) -> dict[str, list[str]]:
    return dict(load_columns([results(*({"metrics": metrics} for metrics in row)) for row in rows]))


def test_one_rate_of_one_kind_is_the_heading_of_its_column() -> None:
    assert columns([AB], [{"requests_per_s": 9.876}]) == {">requests/s": ["468", "9.88"]}


def test_rates_of_several_kinds_stand_with_their_names_and_a_mix_with_its_parts() -> None:
    assert columns([AB], [MIX], []) == {
        "~rate": ["468 requests/s", "web 60.5 requests/s, encode 24 frames/s", ""],
        ">p99 ms": ["", "web 80", ""],
    }


def test_several_trials_show_their_mean_and_range_and_nothing_has_no_column() -> None:
    assert columns([WEB, {**WEB, "requests_per_s": 110.1}]) == {
        ">requests/s": ["113 (110 to 116)"], ">p99 ms": ["31.2"],
    }  # fmt: skip
    assert columns([{"seconds": 3.0}], []) == {}


def run_of(folder: Path, arms: dict[str, list[dict[str, float]]]) -> RunFolder:
    steps = {
        f"trial:{arm}_{number}": {"state": "done", "detail": {"arm": arm, "switches": 5, "metrics": metrics}}
        for arm, trials in arms.items()
        for number, metrics in enumerate(trials)
    }
    synthetic_run.write_manifest(folder, steps=steps)
    return RunFolder.open(folder)


def test_a_run_shows_the_load_of_each_trial_and_of_each_arm(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(*tables.run_tables(run_of(tmp_path, {"web": [WEB, WEB], "mix": [MIX]})))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    rows = [re.split(r" {2,}", line.strip()) for line in lines if line.startswith(("web", "mix", "arm"))]
    assert rows[1][:4] == ["web_0", "usable", "5", "116 requests/s"]
    assert rows[3][:5] == ["arm", "trials", "rate", "p99 ms", "switches"]
    assert rows[4][:4] == ["mix", "1", "web 60.5 requests/s, encode 24 frames/s", "web 80"]


def test_rows_for_programs_have_a_mean_and_a_spread_for_each_arm(tmp_path: Path) -> None:
    rows = load_rows.read(run_of(tmp_path, {"web__rate-5": [WEB, WEB], "mix": [MIX]}).manifest)
    assert [(row["arm"], row["load"], row["metric"]) for row in rows][:4] == [
        ("mix", "mix", "web.requests_per_s"),
        ("mix", "mix", "web.latency_p99_ms"),
        ("mix", "mix", "encode.frames_per_s"),
        ("web__rate-5", "web", "requests_per_s"),
    ]
    assert rows[-1] == {
        "arm": "web__rate-5", "load": "web", "metric": "latency_p99_ms", "unit": "ms",
        "trials": 2, "mean": 31.25, "sd": 0.0, "low": 31.25, "high": 31.25,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ({"load": {"kind": "web"}}, "web"),
        ({"load": {"kind": "web"}, "sweep": {"load.kind": ["idle", "fio"]}}, "idle, fio"),
        ({"load": {"kind": "web"}, "sweep": {"load.kind": ["idle", "fio", "web", "redis"]}}, "4 loads"),
        ({"load": [1], "sweep": "damaged"}, None),
        ({"load": {"kind": "web"}, "sweep": {"load.kind": 7}}, "web"),
    ],
)
def test_the_list_of_runs_shows_the_loads_of_a_run_also_from_a_damaged_manifest(spec: Any, shown: str | None) -> None:
    assert run_rows.load({"spec": spec}) == shown
