"""Two typical stretches: which trial, which part of it, one scale of time, one colour for a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import campaign_run
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import synthetic_run
from pyarrow import parquet

from harness.comparison import Comparison, Observation, compare
from harness.comparison_page.timelines import Stretches, typical_stretches, typical_trials
from harness.recorded_clock import RecordedClock


def observation(block: int, value: float, side: str = "a") -> Observation:
    clock = RecordedClock.of({})
    values = {"requests/s": value}
    return Observation("run", f"{side}{block}", side, Path(side), "", "", block, "", False, values, {}, clock)


def test_a_block_near_the_median_of_both_sides_is_chosen() -> None:
    first = [observation(block, value) for block, value in enumerate([1, 5, 3, 4, 2])]
    second = [observation(block, value, "b") for block, value in enumerate([15, 11, 13, 12, 14])]
    left, right = typical_trials(first, second, "requests/s")
    assert (left.block, right.block) == (2, 2)


def test_without_such_a_block_it_is_the_median_trial_of_each_side() -> None:
    first = [observation(block, value) for block, value in enumerate([1, 2, 3, 40, 50])]
    second = [observation(block, value, "b") for block, value in enumerate([12, 100, 200, 13, 14], start=5)]
    left, right = typical_trials(first, second, "requests/s")
    assert (left.values["requests/s"], right.values["requests/s"]) == (3, 14)


def _comparison(path: Path, tables: dict[str, Any]) -> Comparison:
    run = campaign_run.make(path, {arm: [400.0] for arm in tables})
    for folder in (path / "trials").iterdir():
        parquet.write_table(tables[folder.name.partition("_")[2]], folder / "slices.parquet")
    return compare([run])


@pytest.fixture(scope="module")
def stretches(tmp_path_factory: pytest.TempPathFactory) -> Stretches:
    tables = {"a": synthetic_run.slices(6_000, 1), "b": synthetic_run.slices(9_000, 2, {"sshd": "other"})}
    found = typical_stretches(_comparison(tmp_path_factory.mktemp("stretches") / "run", tables))
    assert isinstance(found, Stretches)
    return found


def test_both_stretches_have_one_length_and_one_window(stretches: Stretches) -> None:
    assert stretches.same_block
    assert stretches.first.length_ns == stretches.second.length_ns
    windows = [meta["window"] for metas in stretches.metas for meta in metas]
    assert windows[0][1] - windows[0][0] == windows[1][1] - windows[1][0]
    for metas in stretches.metas:
        (meta,) = metas
        assert meta["view"][0] == -meta["skipped"]  # zero is where the stretch begins
        assert meta["view"][1] - meta["view"][0] == stretches.first.length_ns
        assert meta["window"][0] <= meta["view"][0] < meta["view"][1] <= meta["window"][1]


def test_a_stretch_switches_as_often_as_its_trial_does(stretches: Stretches) -> None:
    for stretch in (stretches.first, stretches.second):
        assert stretch.rate == pytest.approx(stretch.typical_rate, rel=0.05)
        assert 40 < stretch.rate * stretch.length_ns / 1e9 <= 200


def test_a_task_has_one_row_and_colour_on_both_sides_also_if_one_side_lacks_it(stretches: Stretches) -> None:
    (first,), (second,) = stretches.metas
    assert first["tasks"] == second["tasks"]
    assert {"sshd", "other", "ab", "idle"} <= {label for _, label in first["tasks"]}


def test_a_burst_is_no_typical_stretch(tmp_path: Path) -> None:
    calm = synthetic_run.slices(4_000, 1).to_pandas()
    calm.loc[: len(calm) // 4, "slice_ns"] = 2_000  # a quarter of the slices in a burst at the beginning
    starts = np.concatenate([[0], np.cumsum(calm["slice_ns"].to_numpy())[:-1]])
    calm["start_ns"] = starts + int(calm["start_ns"].iloc[0])
    schema = synthetic_run.slices(1).schema
    table = pa.Table.from_pandas(pd.DataFrame(calm), schema=schema, preserve_index=False)
    found = typical_stretches(_comparison(tmp_path / "run", {"a": table, "b": table}))
    assert isinstance(found, Stretches)
    assert found.first.begin_ns > 2_000 * len(calm) / 4


def test_slices_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    comparison = compare([campaign_run.make(tmp_path / "run", {"a": [400.0], "b": [410.0]})])
    reason = typical_stretches(comparison)  # its tables have no tasks
    assert isinstance(reason, str)
    assert "000_a" in reason
