"""`recording.json`: the release and the judgement travel with the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kept import unpacked_into
from perf_record import record

from harness.errors import TraceError
from harness.trace import convert, read
from model.data import metadata
from model.replay import kernel

DAY_S = 86_400


def test_tables_carry_what_perf_wrote_about_the_machine(nginx_recording: Path, tmp_path: Path) -> None:
    converted = convert(nginx_recording, tmp_path)
    facts = json.loads((tmp_path / "recording.json").read_bytes())
    assert facts["quality"] == json.loads(json.dumps(converted.quality.to_dict()))
    header = facts["header"]
    assert header["os_release"] == converted.header.os_release == metadata.kernel(tmp_path)
    assert header["cpu"]
    assert header["perf_version"]
    assert header["cmdline"][0].endswith("perf")
    assert kernel.release(tmp_path) == tuple(map(int, metadata.kernel(tmp_path).split(".")[:2]))


def test_no_table_lies_beside_the_judgement_of_another_recording(
    nginx_recording: Path, hostile_recording: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "notes.csv"
    mine.write_text("mine")
    convert(nginx_recording, tmp_path)
    convert(hostile_recording, tmp_path, tables=("switches",))
    assert {path.name for path in tmp_path.iterdir()} == {"notes.csv", "recording.json", "switches.parquet"}


def test_tables_of_the_same_recording_stay(nginx_recording: Path, tmp_path: Path) -> None:
    for table in ("switches", "wakeups"):
        convert(nginx_recording, tmp_path, tables=(table,))
    names = {"recording.json", "switches.parquet", "wakeups.parquet"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_folder_that_names_no_recording_keeps_tables_of_another_format(nginx_recording: Path, tmp_path: Path) -> None:
    for name in ("exits.csv", "exits.parquet"):
        (tmp_path / name).write_text("perhaps of another recording")
    convert(nginx_recording, tmp_path, tables=("switches",))
    names = {"exits.csv", "recording.json", "switches.parquet"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_refused_recording_leaves_the_former_one_as_it_was(nginx_recording: Path, tmp_path: Path) -> None:
    convert(nginx_recording, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(TraceError, match="not whole"):
        convert(unpacked_into(tmp_path, "lost_events"), tmp_path / "out", strict=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_the_time_of_day_is_that_of_perf_where_it_writes_one(tmp_path: Path) -> None:
    header = read(record(tmp_path / "perf.data", "-k", "CLOCK_MONOTONIC", rounds=1)).header
    assert header.began_s is not None
    assert abs(header.captured_s - header.began_s) < DAY_S  # clocks may be set meanwhile


def test_without_a_clock_there_is_only_the_age_of_the_file(nginx_recording: Path) -> None:
    assert read(nginx_recording).header.began_s is None


def test_a_guest_names_its_kernel_itself(nginx_recording: Path, tmp_path: Path) -> None:
    convert(nginx_recording, tmp_path)
    (tmp_path / "guest.json").write_text('{"facts": {"kernel": "6.1.0-56-cloud-amd64"}}')
    assert metadata.kernel(tmp_path) == "6.1.0-56-cloud-amd64"


@pytest.mark.parametrize("content", ["", "[]", '{"header": 3, "quality": null}', '{"header": {"os_release": null}}'])
def test_a_damaged_file_names_no_kernel(tmp_path: Path, content: str) -> None:
    (tmp_path / "recording.json").write_text(content)
    assert metadata.kernel(tmp_path) == ""
    assert kernel.release(tmp_path) is None
