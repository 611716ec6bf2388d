"""What is sent of a run: its parameters, results, scores and small files, the same each time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import comparable_run
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store import RunFolder
from harness.tracking import record
from harness.tracking.tracker import SentRun
from harness.visible import visible_lines

SWEPT = {"sweep": {"load.concurrency": [2, 8]}, "question": "Which is faster?"}
ARMS = ("nginx_ab__concurrency-2", "nginx_ab__concurrency-8")
SCORES = {"markov": [[0.5, 0.6], [0.7, 0.8], [0.9, 1.0]]}  # of three trials, of two seeds
CREATED = "2026-11-30T18:47:31.830Z"


def one_arm(folder: Path, **manifest: Any) -> RunFolder:
    return comparable_run.make(folder / "one", scores=SCORES, created=CREATED, **manifest)


def two_arms(folder: Path) -> RunFolder:
    return comparable_run.make(folder / "two", scores=SCORES, arms=ARMS, experiment=SWEPT, created=CREATED)


def with_results(run: RunFolder) -> RunFolder:
    """Add what the manifest keeps of each trial, as a campaign does."""
    steps = run.manifest["steps"]
    for number, name in enumerate(sorted(name for name in steps if name.startswith("trial:"))):
        rate = 400.0 + number
        steps[name]["detail"] |= {"metrics": {"requests_per_s": rate, "latency_p99_ms": 9.0}, "host_share": 0.25}
        steps[name] |= {"started": "2026-11-30T18:50:00.000Z", "seconds": float(number)}
    run.update(steps=steps)
    return run


def values(run: SentRun, metric: str) -> list[float]:
    return [point.value for point in run.points if point.metric == metric]


def test_parameters_are_all_values_of_the_experiment_by_their_paths(tmp_path: Path) -> None:
    sent = record.of(one_arm(tmp_path))
    assert sent.parameters["machine.box"] == "debian-12"
    assert sent.parameters["trials.repeat"] == "3"
    assert sent.parameters["model.predictors"] == '["markov"]'
    assert sent.parameters["machine.fallback"] == "null"
    assert sent.arms == ()


def test_each_arm_is_a_run_of_its_own_with_its_value_of_what_is_swept(tmp_path: Path) -> None:
    sent = record.of(two_arms(tmp_path))
    assert [arm.name for arm in sent.arms] == list(ARMS)
    assert [arm.parameters["load.concurrency"] for arm in sent.arms] == ["2", "8"]
    assert [arm.tags["arm"] for arm in sent.arms] == list(ARMS)
    assert "load.concurrency" not in sent.parameters
    assert sent.parameters["sweep.load.concurrency"] == "[2, 8]"
    assert len({sent.key, *(arm.key for arm in sent.arms)}) == 3


def test_results_of_a_trial_have_its_number_and_the_time_of_its_end(tmp_path: Path) -> None:
    sent = record.of(with_results(two_arms(tmp_path)))
    second = [point for point in sent.arms[1].points if point.metric == "trial/requests_per_s"]
    assert [(point.value, point.step) for point in second] == [(401.0, 0), (403.0, 1), (405.0, 2)]
    assert second[1].time_ms - second[0].time_ms == 2_000
    assert values(sent.arms[1], "load/requests_per_s") == [403.0]
    assert values(sent.arms[1], "load/requests_per_s_sd") == [2.0]
    assert values(sent.arms[0], "trial/host_share") == [0.25] * 3
    assert values(sent, "trials/usable") == [6]


def test_metrics_of_a_run_with_one_arm_are_its_own_and_have_the_names_of_those_of_arms(tmp_path: Path) -> None:
    one, two = record.of(with_results(one_arm(tmp_path))), record.of(with_results(two_arms(tmp_path)))
    names = {point.metric for point in two.arms[0].points}
    assert {"trial/requests_per_s", "load/requests_per_s"} < names
    assert {point.metric for point in one.points if "markov/" not in point.metric} - {"trials/usable"} == names


def test_scores_are_means_over_the_seeds_with_the_ends_of_their_interval(tmp_path: Path) -> None:
    sent = record.of(one_arm(tmp_path))
    (value,), (low,), (high,) = (values(sent, f"markov/contested_top1{end}") for end in ("", "_low", "_high"))
    assert low < value < high
    assert value == pytest.approx((0.7 + 0.8) / 2)


def test_a_trial_that_may_not_be_used_is_counted_and_its_results_are_not_sent(tmp_path: Path) -> None:
    run = with_results(one_arm(tmp_path))
    steps = run.manifest["steps"]
    steps["trial:001_nginx_ab"]["state"] = "failed"
    run.update(steps=steps, state="failed", error="001_nginx_ab may not be used")
    sent = record.of(run)
    assert values(sent, "trial/requests_per_s") == [400.0, 402.0]
    assert sent.tags["usable trials"] == "2 of 3 recorded"
    assert sent.tags["verdict"] == "failed"
    assert sent.tags["error"] == "001_nginx_ab may not be used"


def test_a_run_is_described_the_same_however_often_it_is_sent(tmp_path: Path) -> None:
    run = with_results(two_arms(tmp_path))
    first = record.of(run)
    run.update(tracking={"mlflow=http://tracker": {"run": "abc", "sent": CREATED, "missing": None}})
    assert record.of(RunFolder.open(run.path)) == first


def test_recordings_tables_and_models_stay_where_they_are(tmp_path: Path) -> None:
    run = one_arm(tmp_path)
    for name in ("trials/000_nginx_ab/perf.data.zst", "models/markov_s0/weights.safetensors", "report/index.html"):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_bytes(b"x")
    sent = {(file.path.name, file.folder) for file in record.of(run).files}
    assert sent == {
        ("manifest.json", ""),
        ("index.html", "report"),
        ("scores.json", "models/markov_s0"),
        ("scores.json", "models/markov_s1"),
    }


def test_no_file_is_sent_while_the_run_goes_on(tmp_path: Path) -> None:
    run = one_arm(tmp_path, state="running")
    with run.lock():
        run.update(state="running")
        assert record.of(run).files == ()
        assert "verdict" not in record.of(run).tags


PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)


@given(st.recursive(PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner)))
@settings(max_examples=30)
def test_flattened_values_are_text_on_which_nothing_is_hidden(value: Any) -> None:
    for text in record.flattened({"value": value}).values():
        assert visible_lines(text) == text
