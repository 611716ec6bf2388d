"""What the intervals are about, chance, and trials that differ: at the head of the page and below the tables."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
import synthetic_run
from rich.console import Console

from harness.report import answer, build, score_rows
from harness.report.baseline_comparison import compare_to_baselines
from harness.report.interval_basis import IntervalBasis, explain
from harness.report.model_scores import read_models
from harness.report.run_facts import read_run
from harness.store import RunFolder
from harness.terminal.score_tables import run_scores


def trials(*scores: float, error: float | None = 0.01) -> dict[str, dict[str, Any]]:
    """`by_trial` of scores.json: these scores, each with a standard error over 20 blocks."""
    noise = {"contested_top1_se": error, "top1_se": error, "blocks": 20, "contested_blocks": 20}
    return {f"{number:03d}": {"top1": 0.9, "contested_top1": score, **noise} for number, score in enumerate(scores)}


def markov(run: Path, **more: Any) -> Path:
    """A run with one predictor, at 0.7 of the contested switches."""
    synthetic_run.write_manifest(run)
    synthetic_run.add_model(run, "markov", 0, 0.7, **more)
    return run


def head(run: Path) -> str:
    """The answer, with plain spaces."""
    facts = read_run(run)
    return str(answer.answer(facts, compare_to_baselines(facts.groups))).replace("\u202f", " ")


def table(run: Path) -> str:
    """The table of scores in a terminal."""
    console = Console(file=io.StringIO(), width=200)
    console.print(run_scores(score_rows.read(RunFolder.open(run))))
    return console.file.getvalue()  # type: ignore[attr-defined]


LABELS = [
    ({"interval_trials": 3, "by_trial": trials(0.7, 0.7, 0.7)}, "over 3 trials"),
    ({"interval_trials": 1, "by_trial": trials(0.7)}, "about this recording only"),
    ({"by_trial": trials(0.7, 0.8, 0.6)}, "about these recordings only"),  # scored before 0.3.0
]


@pytest.mark.parametrize(("scores", "label"), LABELS, ids=[label for _, label in LABELS])
def test_every_interval_is_labelled_with_what_it_is_about(scores: dict[str, Any], label: str, tmp_path: Path) -> None:
    run = markov(tmp_path, **scores)
    assert f" %, {label}) of the contested switches" in head(run)
    assert f"±: longer half of the 95 % interval {label}: for another" in table(run)
    page = build(run).read_text("utf-8")
    assert f"95 % interval of every seed, {label}." in page.replace("\u202f", " ")
    assert f"The intervals are {label}: for another" in page


def contested(run: Path, **scores: Any) -> None:
    """Change the scores at contested switches."""
    path = run / "models" / "markov_s0" / "scores.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"contested": content["contested"] | scores}))


@pytest.mark.parametrize(
    ("interval", "said"),
    [([-0.1, -0.02], "below chance"), ([-0.1, 0.02], "no better than chance"), ([0.01, 0.1], None), (None, None)],
)
def test_a_score_that_is_no_better_than_chance_is_said_to_be(
    interval: list[float] | None, said: str | None, tmp_path: Path
) -> None:
    run = markov(tmp_path)
    contested(run, above_chance=0.0, above_chance_ci=interval)
    page = build(run).read_text("utf-8")
    assert (f", so this is <strong>{said}</strong>." in head(run)) == bool(said)
    assert (f"{said}: markov\n" in table(run)) == bool(said)
    assert (f'<span class="range">{said}</span>' in page) == bool(said)
    assert bool(said) == ("than chance" in head(run) + table(run) or "below chance" in head(run) + table(run))


def test_scores_before_0_3_0_are_compared_with_chance_by_their_own_interval(tmp_path: Path) -> None:
    run = markov(tmp_path)
    contested(run, top1=0.5, top1_ci=[0.4, 0.6], chance_top1=0.55)
    assert "so this is <strong>no better than chance</strong>." in head(run)
    contested(run, top1=0.5, top1_ci=[0.4, 0.53])
    assert "so this is <strong>below chance</strong>." in head(run)


def test_trials_that_differ_by_more_than_their_noise_are_named_at_the_head(tmp_path: Path) -> None:
    text = head(markov(tmp_path / "a", by_trial=trials(0.6, 0.7, 0.8)))
    assert "scores in the 3 single trials are 60.0 to 80.0 %: they differ by more than their own noise." in text
    text = head(markov(tmp_path / "b", by_trial=trials(0.69, 0.7, 0.71, error=0.05)))
    assert "are 69.0 to 71.0 %: they differ by no more than their own noise." in text
    text = head(markov(tmp_path / "c", by_trial=trials(0.6, 0.7, 0.8, error=None)))
    assert "scores in the 3 single trials are 60.0 to 80.0 %." in text


def test_losses_in_nats_of_older_scores_and_histories_are_shown_in_bits(tmp_path: Path) -> None:
    old = {"events": 9, "top1": 0.6, "time_nll_nats": 5.0, "time_nll_ci": [4.0, 6.0], "joint_nats": 7.0}
    run = markov(tmp_path, overall=old)
    (model,), _ = read_models(run / "models")
    time, joint = (model.splits["overall"][name] for name in ("time_bits", "joint_bits"))
    assert (time.value, time.low, time.high) == pytest.approx((5 / math.log(2), 4 / math.log(2), 6 / math.log(2)))
    assert joint.value == pytest.approx(7 / math.log(2))
    curves = {curve.label: curve for curve in model.curves}
    assert set(curves) == {"valid bits", "valid slice bits"}
    assert curves["valid slice bits"].points[0][1] == pytest.approx((2.9 + math.exp(-1 / 8)) / math.log(2), abs=0.1)
    assert "nats" not in build(run).read_text("utf-8").replace(run.name, "")
    assert "7.21" in table(run)


def test_several_bases_are_each_explained_once() -> None:
    text = explain([IntervalBasis(3, 3), IntervalBasis(3, 3), IntervalBasis(1, 1)])
    assert text.count("over 3 trials") == text.count("about this recording only") == 1
