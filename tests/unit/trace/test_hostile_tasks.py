"""A recording whose tasks all differ, which no machine makes but a hostile guest may send, is read in bounded time."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forge import many_tasks

from harness.errors import TraceError
from harness.trace import convert, read, summarize
from harness.trace.converter import LIMITS_OF_TRIAL, Limits, ingest
from harness.trace.decode import native_decoder
from harness.trace.runqueue import slicer
from harness.trace.tables.schemas import compact


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("names") / "perf.data"
    many_tasks(path, 5000)
    return path


def test_every_task_name_of_many_is_kept_whatever_the_parts(names: Path, tmp_path: Path) -> None:
    for folder, parts in (("whole", {}), ("parts", {"chunk_bytes": 1 << 14, "release_rows": 50})):
        convert(names, tmp_path / folder, **parts)
        slices = pq.read_table(tmp_path / folder / "slices.parquet")
        assert slices["comm"].to_pylist() == [f"{number:015}" for number in range(1, 5000)]


def test_a_part_of_a_table_does_not_carry_the_names_of_the_whole(names: Path) -> None:
    switches = read(names).switches
    part = compact(switches.slice(100, 3))
    assert part.to_pydict() == switches.slice(100, 3).to_pydict()
    assert len(part["next_comm"].chunk(0).dictionary) == 3


@pytest.mark.parametrize("reader", [read, summarize, lambda path: convert(path, path.parent / "tables")])
def test_a_recording_of_more_names_than_machines_have_is_refused(
    reader, names: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native_decoder, "MOST_NAME_BYTES", 3000)
    with pytest.raises(TraceError, match="different task names") as caught:
        reader(names)
    assert str(names) in str(caught.value)
    assert caught.value.hint
    assert not (names.parent / "tables").exists()


def test_a_trial_has_fewer_names_than_would_make_its_record_too_large_to_read(tmp_path: Path) -> None:
    many_tasks(tmp_path / "perf.data", LIMITS_OF_TRIAL.names + 2)
    with pytest.raises(TraceError, match=f"at most {LIMITS_OF_TRIAL.names:,}"):
        ingest(tmp_path / "perf.data", tmp_path / "trial")


def test_a_recording_in_which_ever_more_tasks_wait_is_refused_long_before_its_end(tmp_path: Path) -> None:
    many_tasks(tmp_path / "perf.data", 3000, differ="tids", state=0)
    convert(tmp_path / "perf.data", tmp_path / "tables", limits=Limits(waits=9_100_000))
    with pytest.raises(TraceError, match="too many tasks wait") as caught:
        convert(tmp_path / "perf.data", tmp_path / "refused", limits=Limits(waits=2_000_000))
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "refused").exists()


def test_events_of_one_time_that_would_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slicer, "MOST_AT_ONCE", 100_000)
    many_tasks(tmp_path / "perf.data", 1000, differ="tids", state=0, step_ns=0)
    with pytest.raises(TraceError, match="hold more than 100000 tasks"):
        convert(tmp_path / "perf.data", tmp_path / "tables")


def test_a_recording_in_reverse_order_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "perf.data"
    many_tasks(path, 3000, differ="tids", step_ns=-1)
    parts = {"chunk_bytes": 1 << 14, "release_rows": 50}
    with pytest.raises(TraceError, match="too far out of order"):
        convert(path, tmp_path / "refused", limits=Limits(held=1000), **parts)
    convert(path, tmp_path / "tables", **parts)
