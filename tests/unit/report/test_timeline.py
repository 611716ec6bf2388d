"""Packing slices into the bytes that the page unpacks."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import synthetic_run
from hypothesis import given
from hypothesis import strategies as st

from harness.report import recording_summary, timeline
from harness.report.recording_summary import RecordingSummary


def unpack(data: bytes) -> list[int]:
    """LEB128 as DWARF 5 describes it, one byte at a time."""
    values, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value)
            value, shift = 0, 0
    return values


@given(st.lists(st.integers(0, 2**62)))
def test_numbers_survive_packing(values: list[int]) -> None:
    assert unpack(timeline.leb128(np.array(values, dtype=np.int64))) == values


def recording(folder: Path, count: int, cpu: int = 0) -> RecordingSummary:
    folder.mkdir(parents=True)
    parquet.write_table(synthetic_run.slices(count, cpu=cpu), folder / "slices.parquet")
    frame = recording_summary.read_slices(folder)
    return recording_summary.summarise(frame, recording_summary.assign_colours([frame]))


def test_every_slice_is_packed_with_its_times_task_state_and_latency(tmp_path: Path) -> None:
    found = recording(tmp_path / "a", 500)
    (one,) = timeline.timelines([("a", found)])
    rows = np.array(unpack(base64.b64decode(one.packed))).reshape(-1, 5)
    frame = found.slices
    assert one.shown == one.total == 500
    assert (rows[:, 1] == frame["slice_ns"]).all()
    assert (rows[:, 2] // 2 == frame["slot"]).all()
    assert (rows[:, 2] % 2 == frame["contested"]).all()
    assert [one.states[index] for index in rows[:, 3]] == frame["end_state"].tolist()
    assert (rows[:, 4] - 1 == frame["wait_ns"]).all()
    assert one.busy_ns == int(frame["slice_ns"].sum())


def test_a_clock_that_steps_back_is_packed_too(tmp_path: Path) -> None:
    frame = recording(tmp_path / "a", 3).slices
    frame["start_ns"] = [100, 150, 900]
    frame["slice_ns"] = [80, 10, 5]
    rows = np.array(unpack(timeline.pack(frame, np.zeros(3)))).reshape(-1, 5)
    assert rows[:, 0].tolist() == [0, 2 * 30 - 1, 2 * (900 - 160)]


def test_long_recordings_get_equal_shares_and_count_what_is_shown(tmp_path: Path) -> None:
    pairs = [(name, recording(tmp_path / name, count)) for name, count in (("a", 900), ("b", 50), ("c", 900))]
    found = timeline.timelines(pairs, limit=500)
    assert [(one.trial, one.shown, one.total) for one in found] == [("a", 225, 900), ("b", 50, 50), ("c", 225, 900)]


def test_of_a_long_recording_the_end_is_shown_and_how_much_came_before(tmp_path: Path) -> None:
    found = recording(tmp_path / "a", 900)
    (one,) = timeline.timelines([("a", found)], limit=100)
    starts = found.slices["start_ns"]
    assert one.start_ns == starts.iloc[800]
    assert one.skipped_ns == starts.iloc[800] - starts.iloc[0]


def test_slices_cost_about_a_dozen_characters_each(tmp_path: Path) -> None:
    (one,) = timeline.timelines([("a", recording(tmp_path / "a", 20_000))])
    assert len(one.packed) < 13 * 20_000
