"""From a run folder to numbers and rows of tables."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as compute
import pytest
import synthetic_run

from harness.errors import StoreError
from harness.report import build, fact_tables
from harness.report.run_facts import read_run


def test_shares_and_counts_are_those_of_the_table(tmp_path: Path) -> None:
    table = synthetic_run.slices(3_000, seed=4)
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", table)
    recording = read_run(tmp_path).trials[0].recording
    assert recording is not None
    idle = compute.sum(compute.if_else(compute.equal(table["tid"], 0), table["slice_ns"], 0)).as_py()
    total = compute.sum(table["slice_ns"]).as_py()
    assert recording.switches == 3_000
    assert recording.idle_share == pytest.approx(idle / total)
    assert recording.contested_share == pytest.approx(compute.mean(table["contested"].cast("int8")).as_py())
    assert recording.span_s == pytest.approx(total / 1e9)
    assert sum(task.switches for task in recording.tasks) == 3_000
    assert sum(task.cpu_share for task in recording.tasks) == pytest.approx(1)


def test_latency_is_from_wakeup_to_start_and_preempted_slices_have_none(tmp_path: Path) -> None:
    table = synthetic_run.slices(4, seed=1)
    starts = table["start_ns"].to_pylist()
    table = table.set_column(4, "tid", pa.array([5, 5, 5, 5], pa.int32()))
    wakes = pa.array([starts[0] - 100, None, starts[2] - 300, None], pa.int64())
    table = table.set_column(7, "wake_ns", wakes)
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", table)
    recording = read_run(tmp_path).trials[0].recording
    assert recording is not None
    assert recording.latency is not None
    assert (recording.latency.count, recording.latency.p50) == (2, 200)


def test_tasks_that_share_a_name_are_numbered_by_first_appearance(tmp_path: Path) -> None:
    run = read_run(synthetic_run.make_run(tmp_path, 2_000))
    assert run.trials[0].recording is not None
    labels = {task.label for task in run.trials[0].recording.tasks}
    assert {"ab", "nginx#0", "nginx#1", "idle"} <= labels


def test_a_task_has_the_same_colour_in_every_trial(tmp_path: Path) -> None:
    run = read_run(synthetic_run.make_run(tmp_path, 2_000))
    slots: dict[str, set[int]] = {}
    for trial in run.trials:
        assert trial.recording is not None
        for task in trial.recording.tasks:
            slots.setdefault(task.label, set()).add(task.slot)
    assert all(len(same) == 1 for same in slots.values())


def test_a_score_over_seeds_is_their_mean_and_its_interval_covers_those_of_all_seeds(tmp_path: Path) -> None:
    run = read_run(synthetic_run.make_run(tmp_path, 500))
    (lstm,) = [group for group in run.groups if group.predictor == "lstm"]
    cells = [seed.splits["contested"]["top1"] for seed in lstm.seeds]
    together = lstm.score("contested", "top1")
    assert together is not None
    assert len(cells) == 3
    assert together.value == pytest.approx(sum(cell.value for cell in cells) / 3)
    assert together.low == min(cell.low for cell in cells if cell.low is not None)
    assert together.high == max(cell.high for cell in cells if cell.high is not None)


def test_slices_without_an_end_are_counted_and_left_out(tmp_path: Path) -> None:
    table = synthetic_run.slices(50)
    ends = pa.array([*table["slice_ns"].to_pylist()[:-2], None, None], pa.int64())
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", table.set_column(1, "slice_ns", ends))
    run = read_run(tmp_path)
    recording = run.trials[0].recording
    assert recording is not None
    assert (recording.switches, recording.unended) == (48, 2)
    assert 0 <= recording.idle_share <= 1
    assert fact_tables.Quantity("slices without an end", "", [("2", 2)]) in fact_tables.side_by_side(run.trials)


def test_every_value_is_listed_where_the_guests_of_trials_differ(tmp_path: Path) -> None:
    run = synthetic_run.make_run(tmp_path, 100)
    guest = run / "trials" / "001_nginx_ab" / "guest.json"
    guest.write_text(
        guest.read_text()
        .replace('"cpus": 1', '"cpus": 2')
        .replace('autogroup_enabled": "1"', 'autogroup_enabled": "0"')
    )
    rows = dict(fact_tables.where_it_ran(read_run(run)))
    assert (rows["guest cpus"], rows["guest clocksource"]) == ("1 | 2", "tsc")
    assert fact_tables.settings(read_run(run)) == [("/proc/sys/kernel/sched_autogroup_enabled", "1 | 0")]


def test_kernel_settings_of_the_experiment_stand_with_the_arms_that_had_them(tmp_path: Path) -> None:
    run = synthetic_run.make_run(tmp_path, 100)
    for trial, value in (("000_nginx_ab", "700000"), ("001_nginx_ab", "3000000")):
        path = run / "trials" / trial / "guest.json"
        setting = {"name": "machine.sched.base_slice_ns", "path": "/sys/kernel/debug/sched/base_slice_ns"}
        settings = [{**setting, "before": "2800000", "wanted": value, "actual": value}]
        path.write_text(json.dumps(json.loads(path.read_text()) | {"kernel_settings": settings}))
    rows = fact_tables.kernel_settings(read_run(run))
    assert [(row.value, row.before, row.arms) for row in rows] == [
        ("700000", "2800000", ["nginx_ab"]), ("3000000", "2800000", ["nginx_ab"]),
    ]  # fmt: skip
    assert ">machine.sched.base_slice_ns</th><td>700000</td><td>2800000</td>" in build(run).read_text("utf-8")


def test_the_tasks_of_the_guest_are_not_listed(tmp_path: Path) -> None:
    rows = fact_tables.where_it_ran(read_run(synthetic_run.make_run(tmp_path, 100)))
    assert not [row for row in rows if "autogroup-77" in row[1] or row[0].startswith(("guest tasks", "guest cgroups"))]


def test_metrics_of_the_load_are_marked_as_such(tmp_path: Path) -> None:
    rows = fact_tables.side_by_side(read_run(synthetic_run.make_run(tmp_path, 100)).trials)
    (row,) = [row for row in rows if row.name == "load: requests/s"]
    assert [shown for shown, _ in row.cells] == ["284.3", "284.3"]


def test_a_damaged_model_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.7)
    for name, content in (("lstm_s0", "{"), ("lstm_s1", '{"regime": "marks"}'), ("lstm_s2", "[]")):
        (tmp_path / "models" / name).mkdir()
        (tmp_path / "models" / name / "scores.json").write_text(content)
    (tmp_path / "models" / "lstm_s3").mkdir()
    run = read_run(tmp_path)
    assert [group.predictor for group in run.groups] == ["markov"]
    assert [problem.split()[0] for problem in run.problems] == ["lstm_s0", "lstm_s1", "lstm_s2", "lstm_s3"]


def test_a_folder_without_a_manifest_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"manifest\.json"):
        read_run(tmp_path)
