"""A recording whose tasks all differ, which no machine makes but a hostile guest may send, is read in bounded time."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forge import many_tasks

from harness.errors import TraceError
from harness.trace import convert, read, summarize
from harness.trace.converter import MOST_NAMES_OF_TRIAL, ingest
from harness.trace.decode import native_decoder
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
    many_tasks(tmp_path / "perf.data", MOST_NAMES_OF_TRIAL + 2)
    with pytest.raises(TraceError, match=f"at most {MOST_NAMES_OF_TRIAL:,}"):
        ingest(tmp_path / "perf.data", tmp_path / "trial")
