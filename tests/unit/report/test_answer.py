"""The answer, the comparison with the baseline behind it, and the banners."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import synthetic_run

from harness.report import answer, build
from harness.report.baseline_comparison import compare_to_baselines, headline
from harness.report.run_facts import read_run


def answer_text(tmp_path: Path) -> str:
    run = read_run(tmp_path)
    return str(answer.answer(run, compare_to_baselines(run.groups)))


def test_the_answer_names_the_best_its_score_chance_and_the_baseline(tmp_path: Path) -> None:
    text = answer_text(synthetic_run.make_run(tmp_path, 500))
    assert "<strong>lstm</strong>" in text
    assert "a random pick is correct at" in text
    assert "The best baseline, markov" in text
    assert "do not overlap" in text


def test_the_answer_says_so_when_nothing_beats_the_baseline(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.8)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.6)
    assert "Nothing beats the baseline" in answer_text(tmp_path)


def test_a_difference_within_the_intervals_is_not_called_a_win(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.70)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.705)
    assert "does not clearly beat the baseline" in answer_text(tmp_path)


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


def test_a_difference_on_the_same_events_is_a_win_although_the_two_intervals_overlap(tmp_path: Path) -> None:
    text = answer_text(paired_run(tmp_path, 0.05, seeds=2)).replace("\u202f", " ")
    assert "does not clearly beat" not in text
    assert "The best baseline, slice_markov, reaches 70" in text
    assert re.search(r"on the same events lstm hits \d\.\d points more \(95 % interval of the difference \+", text)
    assert re.search(r"needs \d\.\d % fewer bits \(\d\.\d to \d\.\d %\); each of its 2 seeds hits more\.", text)
    page = build(tmp_path).read_text("utf-8")
    assert "The best against the best baseline, on the same events" in page
    assert page.count("<td>all 2</td>") == page.count("<td>over seeds</td>") == 3  # overall, contested, open


def test_a_difference_whose_interval_holds_zero_is_not_called_a_win(tmp_path: Path) -> None:
    run = paired_run(tmp_path, 0.05)
    hit = np.random.default_rng(6).random(8_000) < 0.7
    synthetic_run.add_outcomes(run, "lstm", 0, hit)
    text = answer_text(run)
    assert "does not clearly beat the baseline" in text
    assert "so it may be chance)" in text


def test_the_best_on_the_validation_part_may_be_worse_than_the_baseline_on_the_test_part(tmp_path: Path) -> None:
    run = paired_run(tmp_path, -0.05)
    text = answer_text(run)
    assert "It does worse than the baseline." in text
    assert "points less" in text
    assert "more bits" in text
    assert "worse than the baseline" in build(run).read_text("utf-8")


def test_where_the_events_were_not_kept_the_intervals_decide_and_the_page_says_so(tmp_path: Path) -> None:
    run = paired_run(tmp_path, 0.05)
    (run / "models" / "lstm_s0" / "outcomes.parquet").unlink()
    text = answer_text(run)
    assert "does not clearly beat the baseline" in text
    assert "the intervals overlap (this run did not keep single events" in text
    page = build(run).read_text("utf-8")
    assert "could not be compared event by event; the result above uses their separate intervals. Reason: " in page
    assert "outcomes.parquet: no such table" in page


def test_the_answer_gives_the_range_over_trials(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for seed, shift in ((0, 0.0), (1, 0.02)):
        scores = {f"{n:03d}": {"top1": 0.9, "contested_top1": score + shift} for n, score in enumerate((0.6, 0.8))}
        synthetic_run.add_model(tmp_path, "lstm", seed, 0.7, by_trial=scores)
    assert "Its scores in the 2 single trials are 61.0 to 81.0 %." in answer_text(tmp_path).replace("\u202f", " ")
    assert "Trial by trial" in build(tmp_path).read_text("utf-8")


def test_the_answer_says_when_the_baseline_has_fewer_inputs(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, 0.6)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.9, regime="slices")
    marks, slices = compare_to_baselines(read_run(tmp_path).groups)
    assert (marks.outcome, slices.baseline_has_fewer_inputs) == ("untried", True)
    assert "markov (inputs: marks, fewer than slices), reaches" in answer_text(tmp_path)


def test_a_predictor_with_more_inputs_is_no_baseline(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "fifo", 0, 0.6, regime="runqueue")
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.9, regime="slices")
    assert "No baseline was scored" in answer_text(tmp_path)


def test_a_higher_score_without_intervals_is_not_called_a_win(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    for kind, top1 in (("markov", 0.6), ("lstm", 0.9)):
        synthetic_run.add_model(tmp_path, kind, 0, None, overall={"events": 9, "top1": top1, "top1_ci": None})
    assert "too few switches for an interval" in answer_text(tmp_path)


def two_arms(run: Path, high: float, low: float | None) -> Path:
    """A run of two arms, `low` and `high` being their scores at contested switches."""
    synthetic_run.write_manifest(run)
    for number, (arm, score) in enumerate((("c-5", high), ("c-50", low))):
        trial = f"{number:03d}_{arm}"
        synthetic_run.add_trial(run, trial, synthetic_run.slices(100), arm=arm)
        synthetic_run.add_model(run, "lstm", number, score, trials=[trial])
    return run


def test_the_answer_names_its_arm_and_the_scores_of_the_others(tmp_path: Path) -> None:
    text = answer_text(two_arms(tmp_path, 0.9, 0.4)).replace("\u202f", " ")
    assert " The arm is c-5, one of 2; in the other arms the best predictor scores " in text


def test_the_best_is_chosen_on_the_validation_part_and_shown_with_its_test_score(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.70, valid={"contested": {"top1": 0.8}})
    synthetic_run.add_model(tmp_path, "gru", 0, 0.90, valid={"contested": {"top1": 0.6}})
    (comparison,) = compare_to_baselines(read_run(tmp_path).groups)
    assert comparison.best.predictor == "lstm"
    cell = comparison.score_of(comparison.best)
    assert cell is not None
    assert cell.value == pytest.approx(0.70, abs=0.02)
    assert "<strong>lstm</strong>, the best on the validation part, predicts" in answer_text(tmp_path)
    assert "chosen on the validation part and scored on the test part" in build(tmp_path).read_text("utf-8")


def test_the_page_says_when_the_best_was_chosen_on_the_test_part(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "lstm", 0, 0.70)
    synthetic_run.add_model(tmp_path, "gru", 0, 0.90, valid={})
    (comparison,) = compare_to_baselines(read_run(tmp_path).groups)
    assert (comparison.best.predictor, comparison.chosen_on_validation) == ("gru", False)
    page = build(tmp_path).read_text("utf-8")
    assert "the best on the validation part" not in page
    assert "chosen on the test part, because the validation part was not scored" in page


def test_an_arm_without_contested_switches_is_not_the_headline(tmp_path: Path) -> None:
    run = read_run(two_arms(tmp_path, 0.5, None))
    first = headline(compare_to_baselines(run.groups))
    assert first is not None
    assert (first.arm, first.split) == ("c-5", "contested")


def test_without_contested_switches_the_answer_is_about_all_switches(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path)
    synthetic_run.add_model(tmp_path, "markov", 0, None)
    text = answer_text(tmp_path)
    assert "of all switches, none of which was contested" in text
    assert "random pick" not in text


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
    banners = answer.banners(read_run(tmp_path))
    text = " ".join(f"{banner.title} {' '.join(banner.items)}" for banner in banners)
    assert [banner.kind for banner in banners] == ["bad", "bad", "warn"]
    assert "1 of 1 trials failed" in text
    assert "stopped by SIGINT" in text
    assert "0 of 2 planned" in text
    assert "ran on debian-12, not on ubuntu-18.04" in text
    assert "its archive key is missing" in text


def test_a_failed_campaign_is_reported_with_its_error(tmp_path: Path) -> None:
    synthetic_run.write_manifest(tmp_path, state="failed", error="the disk is full")
    assert answer.incomplete(read_run(tmp_path))[0] == "The campaign failed: the disk is full"


def test_a_whole_run_raises_no_banner(tmp_path: Path) -> None:
    assert answer.banners(read_run(synthetic_run.make_run(tmp_path, 500))) == []
