"""`recording.json`: the release and the judgement travel with the tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from perf_record import record

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
