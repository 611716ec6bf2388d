"""The tables of a run in a terminal."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
import synthetic_run
from rich.console import Console

from harness import plan, spec
from harness.report import run_rows
from harness.store import RunFolder
from harness.terminal import run_table, tables


def shown(run: Path) -> list[str]:
    console = Console(file=io.StringIO(), width=160)
    console.print(*tables.run_tables(RunFolder.open(run)))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_online_scores_are_shown_below_the_frozen_ones(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.7)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6, online=synthetic_run.online(0.9))
    rows = [line for line in shown(tmp_path) if line.startswith(("lstm ", "markov"))]
    assert [row.split()[:2] for row in rows] == [["lstm", "marks"], ["markov", "marks"], ["markov,", "online"]]
    assert "90." in rows[2].split()[4]


def test_a_share_without_an_interval_is_shown_without_one(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    path = tmp_path / "models" / "markov_s0" / "scores.json"
    rare = {"events": 30, "top1": 0.6543, "top1_ci": None}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"contested": rare}))
    (row,) = [line for line in shown(tmp_path) if line.startswith("markov")]
    assert "65.4%" in row
    assert "±" not in row


def test_machines_that_differ_from_arm_to_arm_are_shown_with_their_arms(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    manifest = json.loads(path.read_text())
    arms = {
        f"nginx_ab__box-{box}": {"box": {"name": box}, "machine": {"kernel": kernel, "cpus": 1, "memory_mb": 1024}}
        for box, kernel in (("debian-11", "5.10.0"), ("debian-12", "6.1.0"))
    }
    path.write_text(json.dumps(manifest | {"arms": arms}))
    rows = [line.split() for line in shown(tmp_path) if line.startswith("nginx_ab__box")]
    assert rows == [
        ["nginx_ab__box-debian-11", "debian-11", "5.10.0", "1", "1024", "host"],
        ["nginx_ab__box-debian-12", "debian-12", "6.1.0", "1", "1024", "host"],
    ]
    assert run_rows.run_row(RunFolder.open(tmp_path))["box"] == "debian-11, debian-12"


def test_a_kernel_that_is_not_the_box_s_own_is_shown_once_with_where_it_came_from(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    own = {"box": {"name": "debian-12"}, "machine": {"kernel": "6.1.0"}}
    other = {
        "box": {"name": "debian-12", "kernel_source": "linux-image-cloud-amd64 of trixie"},
        "machine": {"kernel": "6.12.117"},
    }
    arms = {"kernel-own": own, "kernel-trixie": other, "kernel-trixie__cpus-2": other}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"arms": arms}))
    rows = [line.strip() for line in shown(tmp_path) if line.startswith("kernel 6.")]
    assert rows == ["kernel 6.12.117: linux-image-cloud-amd64 of trixie"]


def test_one_machine_for_all_arms_needs_no_table(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    on = {"box": {"name": "debian-12"}, "machine": {"kernel": "6.1.0", "cpus": 1}}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"arms": {"one": on, "two": on}}))
    assert not [line for line in shown(tmp_path) if line.startswith(("one", "two", "arm"))]
    assert run_rows.run_row(RunFolder.open(tmp_path))["box"] == "debian-12"


COUNTED = {"clock": "counted", "cpu_speed": 125}


def run_of(folder: Path, machines: dict[str, dict[str, object]], shares: dict[str, float | None]) -> RunFolder:
    """A run with an arm for each of `machines`, and a trial of an arm for each of `shares`; None was not measured."""
    steps = {
        f"trial:00{number}_{arm}": {"state": "done", "seconds": 9.0, "error": None, "outputs": {}}
        | {"detail": {"arm": arm, "switches": 5} | ({} if share is None else {"host_share": share})}
        for number, (arm, share) in enumerate(shares.items())
    }
    arms = {arm: {"box": {"name": "debian-12"}, "machine": machine} for arm, machine in machines.items()}
    synthetic_run.write_manifest(folder, steps=steps, arms=arms)
    return RunFolder.open(folder)


def listed(folder: RunFolder) -> list[list[str]]:
    console = Console(file=io.StringIO(), width=160)
    console.print(*run_table.runs_table([run_rows.run_row(folder)], ""), sep="\n")
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    return [re.split(r" {2,}", line.strip()) for line in lines]


def test_runs_are_listed_with_their_clock_and_the_largest_host_share(tmp_path: Path) -> None:
    folder = run_of(tmp_path, {"one": COUNTED, "two": COUNTED}, {"one": 0.0123, "two": 0.004})
    _, row, below = listed(folder)
    assert "1.2%" in row
    assert below == ["load: nginx_ab; box: debian-12; clock: counted 125; host: AMD EPYC 9B14, 2 CPUs"]
    assert {name: run_rows.run_row(folder)[name] for name in ("clock", "host_share")} == {
        "clock": "counted 125",
        "host_share": 0.0123,
    }


def test_the_share_of_a_trial_that_failed_because_of_it_is_listed(tmp_path: Path) -> None:
    detail = {"arm": "one", "switches": 5, "host_share": 0.83, "clock": "host"}
    step = {
        "state": "failed",
        "seconds": None,
        "error": "host share 0.83 (limit 0.02)",
        "outputs": {},
        "detail": detail,
    }
    synthetic_run.write_manifest(tmp_path, steps={"trial:000_one": step})
    assert "83.0%" in listed(RunFolder.open(tmp_path))[1]
    (row,) = [line for line in shown(tmp_path) if line.startswith("000_one")]
    assert row.split()[-2:] == ["host", "83.0%"]


def test_a_run_with_two_clocks_names_both_and_each_trials_own(tmp_path: Path) -> None:
    folder = run_of(tmp_path, {"one": {"clock": "host"}, "two": COUNTED}, {"one": 0.25, "two": 0.5})
    assert run_rows.run_row(folder)["clock"] == "host, counted 125"
    rows = [re.split(r" {2,}", line.strip()) for line in shown(tmp_path) if line.startswith("00")]
    assert [row[-2:] for row in rows] == [["host", "25.0%"], ["counted 125", "50.0%"]]


def test_a_share_that_was_not_measured_is_not_called_zero(tmp_path: Path) -> None:
    folder = run_of(tmp_path, {"one": {"kernel": "6.1"}}, {"one": None})
    assert listed(folder)[1][-3] == "not measured"
    assert run_rows.run_row(folder)["host_share"] is None
    (row,) = [line for line in shown(tmp_path) if line.startswith("000_one")]
    assert row.split()[-3:] == ["host", "not", "measured"]


@pytest.mark.parametrize("machine", [None, {"clock": "host", "kernel": "6.1"}])
def test_a_run_that_recorded_nothing_yet_has_no_clock(tmp_path: Path, machine: dict[str, str] | None) -> None:
    synthetic_run.write_manifest(tmp_path, steps={}, machine=machine)
    row = run_rows.run_row(RunFolder.open(tmp_path))
    assert (row["clock"], row["host_share"]) == (None, None)


def test_a_trial_that_differs_from_the_others_of_its_arm_is_named(tmp_path: Path) -> None:
    steps = {}
    for number, rate in enumerate((420.0, 421.0, 300.0)):
        name = f"00{number}_nginx_ab"
        synthetic_run.add_trial(tmp_path, name, None, metrics={"requests_per_s": rate})
        steps[f"trial:{name}"] = {"state": "done", "seconds": 9.0, "error": None, "outputs": {}, "detail": {}}
    (tmp_path / "trials" / "000_nginx_ab" / "perf.log").touch()
    synthetic_run.write_manifest(tmp_path, steps=steps)
    (line,) = [line for line in shown(tmp_path) if line.startswith("! ")]
    assert line.startswith("! 002_nginx_ab: 300 requests/s, the other trials of nginx_ab 420")
    (tmp_path / "trials" / "001_nginx_ab" / "trial.json").write_text("{")
    assert not [line for line in shown(tmp_path) if line.startswith("! ")]


def test_the_plan_names_a_clock_that_the_file_asks_for() -> None:
    def machine(**more: object) -> str:
        file = {"name": "one", "machine": {"box": "debian-12", **more}, "load": {"kind": "idle"}}
        return str(tables.plan_tables(spec.from_dict(file), [])[1])

    assert machine().endswith("1 CPU, 1024 MB")
    assert machine(clock="host").endswith("1 CPU, 1024 MB; clock: host")
    assert machine(clock="counted", cpu_speed=500).endswith("1 CPU, 1024 MB; clock: counted 500")


def test_the_plan_names_a_kernel_that_the_file_asks_for() -> None:
    def kernel(**more: object) -> list[str]:
        file = {"name": "one", "machine": {"box": "debian-12", **more}, "load": {"kind": "idle"}}
        return [str(row) for row in tables.plan_tables(spec.from_dict(file), []) if str(row).startswith("kernel")]

    assert kernel() == []
    assert kernel(kernel="6.1.0-57-amd64") == ["kernel: 6.1.0-57-amd64"]


def test_the_plan_names_the_arms_that_are_recorded_without_a_tracer() -> None:
    file = {"name": "one", "machine": {"box": "debian-12"}, "load": {"kind": "idle"}}
    swept = spec.from_dict({**file, "sweep": {"record.tracer": ["perf", "none"]}})
    (line,) = [text for text in map(str, tables.plan_tables(swept, plan.trials(swept))) if "tracer" in text]
    assert line == "recorded without a tracer, so without models: idle__tracer-none"
    assert [row.tracer for row in plan.describe(plan.trials(swept))[:2]].count("none") == 1
    traced = spec.from_dict(file)
    assert not [row for row in tables.plan_tables(traced, plan.trials(traced)) if "tracer" in str(row)]


def test_a_trial_without_a_tracer_is_shown_with_what_its_kernel_counted(tmp_path: Path) -> None:
    detail = {"arm": "none", "tracer": "none", "guest_idle_share": 0.125, "metrics": {"requests_per_s": 480.0}}
    step = {"state": "done", "seconds": 9.0, "error": None, "outputs": {}}
    synthetic_run.write_manifest(tmp_path, steps={"trial:000_none": {**step, "detail": {**detail, "clock": "host"}}})
    (row,) = [re.split(r" {2,}", line.strip()) for line in shown(tmp_path) if line.startswith("000_none")]
    assert row == ["000_none", "usable", "not traced", "12.5%", "480", "9", "host", "not measured"]


def test_a_trial_that_completed_its_block_later_is_marked(tmp_path: Path) -> None:
    step = {"state": "done", "seconds": 9.0, "error": None, "outputs": {}}
    details = {"000_a": {"late": True}, "001_b": {}}
    steps = {f"trial:{name}": {**step, "detail": {"switches": 5, **late}} for name, late in details.items()}
    synthetic_run.write_manifest(tmp_path, steps=steps)
    rows = [re.split(r" {2,}", line.strip())[:2] for line in shown(tmp_path) if line.startswith(("000_a", "001_b"))]
    assert rows == [["000_a", "usable, recorded after a later block began"], ["001_b", "usable"]]


def test_what_all_runs_share_stands_below_the_table_and_what_differs_in_a_column(tmp_path: Path) -> None:
    runs = [
        run_of(tmp_path / name, {"one": clock}, {"one": 0.1})
        for name, clock in (("a", COUNTED), ("b", {"clock": "host"}))
    ]
    console = Console(file=io.StringIO(), width=160)
    console.print(*run_table.runs_table([*map(run_rows.run_row, runs)], ""), sep="\n")
    head, *rows, below = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert head.split()[-1] == "clock"
    assert [re.split(r" {2,}", row.rstrip())[-1] for row in rows] == ["counted 125", "host"]
    assert below == "load: nginx_ab; box: debian-12; host: AMD EPYC 9B14, 2 CPUs"
