"""What both kinds of comparison read of a run: the same files by the same code, and what each makes of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import comparable_run
import pyarrow as pa
import pytest
from pyarrow import parquet

from harness.comparison import observe
from harness.comparison.repeat.measurement import measure
from harness.errors import StoreError
from harness.store import RunFolder

SCORES = {"lstm": [[0.92, 0.94], [0.90, 0.92]]}  # of each trial, of each seed
ARM = "nginx_ab"


def a_run(path: Path) -> RunFolder:
    return comparable_run.make(path, (421.7, 420.8), SCORES)


def test_a_measurement_has_the_score_of_each_seed_and_an_observation_also_their_mean(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    assert measure(run)[ARM, "lstm: contested accuracy"].values.tolist() == SCORES["lstm"]
    first, second = observe(run)
    assert [first.scores["lstm: contested accuracy"], second.scores["lstm: contested accuracy"]] == SCORES["lstm"]
    assert first.values["lstm: contested accuracy"] == pytest.approx(0.93)
    assert second.values["lstm: contested accuracy"] == pytest.approx(0.91)


def test_the_accuracy_at_all_switches_is_measured_by_repeat_alone(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    assert measure(run)[ARM, "lstm: accuracy"].scored
    assert "lstm: accuracy" not in observe(run)[0].values


def test_a_score_that_one_seed_lacks_is_no_measurement_and_the_mean_of_the_other_seeds_in_an_observation(
    tmp_path: Path,
) -> None:
    run = a_run(tmp_path / "run")
    path = run.path / "models" / "lstm_s1" / "scores.json"
    scores = json.loads(path.read_text())
    del scores["by_trial"]["000_nginx_ab"]["bits_per_switch"]
    path.write_text(json.dumps(scores))
    measured = {metric for _, metric in measure(run)}
    assert "lstm: bits/switch" not in measured
    assert "lstm: contested accuracy" in measured
    first, second = observe(run)
    assert first.values["lstm: bits/switch"] == first.scores["lstm: bits/switch"][0]
    assert first.scores["lstm: bits/switch"][1] is None
    assert second.values["lstm: bits/switch"] == pytest.approx(2 * (1 - 0.91))


def test_a_metric_that_one_trial_lacks_is_no_measurement(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run")
    path = run.trial_dir("001_nginx_ab") / "trial.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != "idle_share"}))
    measured = [metric for _, metric in measure(run)]
    assert measured[:5] == ["requests/s", "switches/s", "contested share", "slice p50", "slice p90"]
    assert measured[5:7] == ["slice p99", "tracer share"]


def without_a_length(path: Path) -> None:
    table = parquet.read_table(path)
    lengths = pa.array([None, *table["slice_ns"].to_pylist()[1:]], pa.int64())
    parquet.write_table(table.set_column(0, "slice_ns", lengths), path)


def without_a_task(path: Path) -> None:
    table = parquet.read_table(path)
    parquet.write_table(table.set_column(1, "tid", pa.array([None, *table["tid"].to_pylist()[1:]], pa.int32())), path)


def without_a_column(path: Path) -> None:
    parquet.write_table(parquet.read_table(path).drop_columns(["tid"]), path)


@pytest.mark.parametrize("read", [measure, observe])
@pytest.mark.parametrize("damage", [Path.unlink, without_a_length, without_a_task, without_a_column])
def test_a_table_that_is_missing_or_lacks_values_is_refused_in_the_same_words(
    tmp_path: Path, read: Callable[[RunFolder], object], damage: Callable[[Path], None]
) -> None:
    run = a_run(tmp_path / "run")
    path = run.trial_dir("001_nginx_ab") / "slices.parquet"
    damage(path)
    with pytest.raises(StoreError, match=r"slices\.parquet cannot be read: ") as caught:
        read(run)
    assert caught.value.where == str(path)
