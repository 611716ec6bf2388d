"""From a run folder to numbers."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute
import pytest
import synthetic_run

from harness.errors import StoreError
from harness.report import answer, build, fact_tables
from harness.report.baseline_comparison import compare_to_baselines, headline
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


def test_tasks_that_share_a_name_are_told_apart_by_first_appearance(tmp_path: Path) -> None:
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
    assert all(len(found) == 1 for found in slots.values())


def test_seeds_are_averaged_and_their_intervals_put_together(tmp_path: Path) -> None:
    run = read_run(synthetic_run.make_run(tmp_path, 500))
    (lstm,) = [group for group in run.groups if group.predictor == "lstm"]
    cells = [seed.splits["contested"]["top1"] for seed in lstm.seeds]
    together = lstm.score("contested", "top1")
    assert together is not None
    assert len(cells) == 3
    assert together.value == pytest.approx(sum(cell.value for cell in cells) / 3)
    assert together.low == min(cell.low for cell in cells if cell.low is not None)
    assert together.high == max(cell.high for cell in cells if cell.high is not None)


def spoken(tmp_path: Path) -> str:
    run = read_run(tmp_path)
    return str(answer.answer(run, compare_to_baselines(run.groups)))


def test_the_answer_names_the_best_its_score_chance_and_the_baseline(tmp_path: Path) -> None:
    said = spoken(synthetic_run.make_run(tmp_path, 500))
    assert "<strong>lstm</strong>" in said
    assert "by chance" in said
    assert "The best baseline, markov" in said
    assert "do not overlap" in said


def test_the_answer_says_so_when_nothing_beats_the_baseline(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.8)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.6)
    assert "Nothing beats the baseline" in spoken(tmp_path)


def test_a_lead_within_the_intervals_is_not_called_a_win(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.70)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.705)
    assert "does not clearly beat the baseline" in spoken(tmp_path)


def paired_run(run: Path, gain: float, seeds: int = 1) -> Path:
    """A network whose own interval overlaps the table's and that hits `gain` more of the very same events, or less."""
    synthetic_run.write_manifest(run)
    draw = np.random.default_rng(5)
    base = draw.random(8_000) < 0.7
    synthetic_run.add_model(run, "slice_markov", 0, 0.700, regime="slices", valid={"contested": {"top1": 0.5}})
    synthetic_run.add_outcomes(run, "slice_markov", 0, base)
    for seed in range(seeds):
        synthetic_run.add_model(run, "lstm", seed, 0.705, regime="slices", valid={"contested": {"top1": 0.6}})
        changed = draw.random(8_000) < abs(gain)
        synthetic_run.add_outcomes(run, "lstm", seed, base | changed if gain > 0 else base & ~changed)
    return run


def test_a_lead_on_the_same_events_is_a_win_though_the_two_intervals_overlap(tmp_path: Path) -> None:
    said = spoken(paired_run(tmp_path, 0.05, seeds=2)).replace("\u202f", " ")
    assert "does not clearly beat" not in said
    assert "The best baseline, slice_markov, reaches 70" in said
    assert re.search(r"on the same events lstm hits \d\.\d points more \(95 % interval of the difference \+", said)
    assert re.search(r"needs \d\.\d % fewer bits \(\d\.\d to \d\.\d %\); each of its 2 seeds hits more\.", said)
    page = build(tmp_path).read_text("utf-8")
    assert "The best against the best baseline, on the same events" in page
    assert page.count("<td>all 2</td>") == page.count("<td>over seeds</td>") == 3  # overall, contested, open


def test_a_difference_whose_interval_holds_zero_is_not_called_a_win(tmp_path: Path) -> None:
    run = paired_run(tmp_path, 0.05)
    hit = np.random.default_rng(6).random(8_000) < 0.7
    synthetic_run.add_outcomes(run, "lstm", 0, hit)
    said = spoken(run)
    assert "does not clearly beat the baseline" in said
    assert "so it may be chance)" in said


def test_the_best_on_the_validation_part_may_be_worse_than_the_baseline_on_the_test_part(tmp_path: Path) -> None:
    run = paired_run(tmp_path, -0.05)
    said = spoken(run)
    assert "It does worse than the baseline." in said
    assert "points less" in said
    assert "more bits" in said
    assert "worse than the baseline" in build(run).read_text("utf-8")


def test_where_single_events_were_not_kept_the_intervals_decide_and_that_is_said(tmp_path: Path) -> None:
    run = paired_run(tmp_path, 0.05)
    (run / "models" / "lstm_s0" / "outcomes.parquet").unlink()
    said = spoken(run)
    assert "does not clearly beat the baseline" in said
    assert "the intervals overlap (not compared event by event, which finds smaller differences" in said
    page = build(run).read_text("utf-8")
    assert "could not be compared event by event, so their own intervals were" in page
    assert "outcomes.parquet: no such table" in page


def test_the_answer_says_how_far_trials_are_apart(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for seed, shift in ((0, 0.0), (1, 0.02)):
        found = {f"{n:03d}": {"top1": 0.9, "contested_top1": score + shift} for n, score in enumerate((0.6, 0.8))}
        synthetic_run.add_model(tmp_path, "lstm", seed, 0.7, by_trial=found)
    assert "in its 2 trials one by one 61.0 to 81.0 %" in spoken(tmp_path).replace("\u202f", " ")
    assert "Trial by trial" in build(tmp_path).read_text("utf-8")


def test_a_baseline_that_sees_less_is_not_passed_off_as_an_equal(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.9, regime="slices")
    marks, slices = compare_to_baselines(read_run(tmp_path).groups)
    assert (marks.outcome, slices.baseline_sees_less) == ("untried", True)
    assert "markov, which sees less (marks, not slices), reaches" in spoken(tmp_path)


def test_a_baseline_that_sees_more_is_no_baseline(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "fifo", 0, 0.6, regime="runqueue")
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.9, regime="slices")
    assert "No baseline was scored" in spoken(tmp_path)


def test_a_higher_score_without_intervals_is_not_called_a_win(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for kind, top1 in (("markov", 0.6), ("lstm", 0.9)):
        synthetic_run.add_model(tmp_path, kind, 0, None, overall={"events": 9, "top1": top1, "top1_ci": None})
    assert "too few switches for an interval" in spoken(tmp_path)


def two_arms(run: Path, high: float, low: float | None) -> Path:
    """A run of two arms, `low` and `high` being their scores at contested switches."""
    synthetic_run.write_manifest(run)
    for number, (arm, score) in enumerate((("c-5", high), ("c-50", low))):
        place = f"{number:03d}_{arm}"
        synthetic_run.add_trial(run, place, synthetic_run.slices(100), arm=arm)
        synthetic_run.add_model(run, "lstm", number, score, trials=[place])
    return run


def test_the_answer_says_of_which_arm_it_is_and_how_the_others_fare(tmp_path: Path) -> None:
    said = spoken(two_arms(tmp_path, 0.9, 0.4)).replace("\u202f", " ")
    assert ", on c-5: one of 2 arms; on the others the best of each scores " in said


def test_the_best_is_chosen_on_the_validation_part_and_shown_with_its_test_score(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.70, valid={"contested": {"top1": 0.8}})
    synthetic_run.add_model(tmp_path, "gru", 0, 0.90, valid={"contested": {"top1": 0.6}})
    (comparison,) = compare_to_baselines(read_run(tmp_path).groups)
    assert comparison.best.predictor == "lstm"
    cell = comparison.score_of(comparison.best)
    assert cell is not None
    assert cell.value == pytest.approx(0.70, abs=0.02)
    assert "<strong>lstm</strong>, the best on the validation part, names" in spoken(tmp_path)
    assert "chosen on the validation part and scored on the test part" in build(tmp_path).read_text("utf-8")


def test_a_best_that_could_only_be_chosen_on_the_test_part_is_said_to_be(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.70)
    synthetic_run.add_model(tmp_path, "gru", 0, 0.90, valid={})
    (comparison,) = compare_to_baselines(read_run(tmp_path).groups)
    assert (comparison.best.predictor, comparison.fair) == ("gru", False)
    page = build(tmp_path).read_text("utf-8")
    assert "the best on the validation part" not in page
    assert "chosen on the test part, because the validation part was not scored" in page


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
    assert dict(fact_tables.side_by_side(run.trials))["slices without an end"] == ["2"]


def test_an_arm_without_contested_switches_does_not_lead_with_its_easier_score(tmp_path: Path) -> None:
    run = read_run(two_arms(tmp_path, 0.5, None))
    first = headline(compare_to_baselines(run.groups))
    assert first is not None
    assert (first.arm, first.split) == ("c-5", "contested")


def test_without_contested_switches_the_answer_speaks_of_all(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, None)
    said = spoken(tmp_path)
    assert "no switch of the test part" in said
    assert "by chance" not in said


def test_a_fallback_a_failed_trial_and_an_interruption_each_raise_a_banner(tmp_path: Path) -> None:
    box = {
        "name": "debian-12",
        "asked": "ubuntu-18.04",
        "digest": "00",
        "fallback_reason": "its archive key is missing",
    }
    synthetic_run.write_manifest(tmp_path, box=box, state="interrupted", error="stopped by SIGINT")
    verdict = {"ok": False, "checks": synthetic_run.checks(lost_events=312)}
    synthetic_run.add_trial(tmp_path, "000_nginx_ab", synthetic_run.slices(100), verdict=verdict)
    found = answer.banners(read_run(tmp_path))
    said = " ".join(f"{banner.title} {' '.join(banner.items)}" for banner in found)
    assert [banner.kind for banner in found] == ["bad", "bad", "warn"]
    assert "1 of 1 trials failed" in said
    assert "stopped by SIGINT" in said
    assert "0 of 2 planned" in said
    assert "ran on debian-12, not on ubuntu-18.04" in said
    assert "its archive key is missing" in said


def test_guests_that_differ_between_trials_are_all_told(tmp_path: Path) -> None:
    run = synthetic_run.make_run(tmp_path, 100)
    guest = run / "trials" / "001_nginx_ab" / "guest.json"
    guest.write_text(
        guest.read_text()
        .replace('"cpus": 1', '"cpus": 2')
        .replace('autogroup_enabled": "1"', 'autogroup_enabled": "0"')
    )
    told = dict(fact_tables.where_it_ran(read_run(run)))
    assert (told["guest cpus"], told["guest clocksource"]) == ("1 | 2", "tsc")
    assert fact_tables.settings(read_run(run)) == [("/proc/sys/kernel/sched_autogroup_enabled", "1 | 0")]


def test_a_failed_campaign_is_said_in_plain_words(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path, state="failed", error="the disk is full")
    assert answer.incomplete(read_run(tmp_path))[0] == "The campaign failed: the disk is full"


def test_what_the_load_tells_of_itself_is_marked_as_such(tmp_path: Path) -> None:
    shown = dict(fact_tables.side_by_side(read_run(synthetic_run.make_run(tmp_path, 100)).trials))
    assert shown["load: requests per second"] == ["284.3", "284.3"]


def test_a_whole_run_raises_no_banner(tmp_path: Path) -> None:
    assert answer.banners(read_run(synthetic_run.make_run(tmp_path, 500))) == []


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
