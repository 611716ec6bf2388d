"""CSV and Parquet files hold every table."""

from __future__ import annotations

import csv
import json
import resource
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from kept import unpacked_into

import harness.trace
from harness.errors import HostError, TraceError
from harness.trace.export import export


def test_csv_holds_every_table_row_for_row(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    written = {path.stem: path for path in export(hostile_recording, "csv", tmp_path).paths}
    with written["switches"].open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {name: str(value) for name, value in row.items()} for row in trace.switches.to_pylist()
        ]
    with written["slices"].open(newline="", encoding="utf-8") as file:
        runnable = [row["runnable"] for row in csv.DictReader(file)]
    expected = harness.trace.slices(trace)["runnable"].to_pylist()
    assert runnable == [" ".join(map(str, tids)) for tids in expected]
    names = ["recording.json", *(path.name for path in written.values())]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_judgement_lies_beside_the_tables_without_slices_of_another_recording(
    kind: str, hostile_recording: Path, tmp_path: Path
) -> None:
    export(hostile_recording, kind, tmp_path / "out")
    exported = export(unpacked_into(tmp_path, "one_command"), kind, tmp_path / "out")
    names = ["recording.json", *(path.name for path in exported.paths)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert f"slices.{kind}" not in names
    facts = json.loads((tmp_path / "out" / "recording.json").read_bytes())
    assert facts["quality"] == json.loads(json.dumps(exported.quality.to_dict()))


def test_a_table_that_cannot_be_written_is_named_in_the_folder_that_was_asked_for(
    nginx_recording: Path, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # of a file, in bytes
    try:
        with pytest.raises(HostError, match="could not be written") as caught:
            export(nginx_recording, "csv", tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert Path(str(caught.value.where)).parent == tmp_path / "out"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_of_another_recording_go_whatever_their_format(
    kind: str, hostile_recording: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    for former in ("csv", "parquet"):
        export(hostile_recording, former, out)
    assert len(list(out.iterdir())) == 2 * 8 + 1
    exported = export(unpacked_into(tmp_path, "one_command"), kind, out)
    assert {path.name for path in out.iterdir()} == {"recording.json", *(path.name for path in exported.paths)}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_refused_recording_leaves_no_folder_but_one_that_was_there(kind: str, tmp_path: Path) -> None:
    empty = unpacked_into(tmp_path, "no_samples")
    (tmp_path / "there").mkdir()
    for folder in ("new/and/deep", "there"):
        with pytest.raises(TraceError, match="no scheduler events"):
            export(empty, kind, tmp_path / folder)
    assert {path.name for path in tmp_path.iterdir()} == {"no_samples", "there"}
    assert not list((tmp_path / "there").iterdir())


def test_parquet_holds_every_table(nginx_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    written = {path.stem: path for path in export(nginx_recording, "parquet", tmp_path / "out").paths}
    assert set(written) == {
        "switches", "wakeups", "runtimes", "migrations", "forks", "execs", "exits", "slices",
    }  # fmt: skip
    assert pq.read_table(written["migrations"]).to_pylist() == trace.migrations.to_pylist()
