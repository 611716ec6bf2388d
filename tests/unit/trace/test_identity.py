"""Tables name the very file that they were made of."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import zstandard
from locations import DATA
from perf_record import record

from harness import __version__
from harness.errors import TraceError
from harness.trace import convert
from harness.trace.export import ReadOptions, export
from harness.trace.identity import identify
from harness.trace.text.importer import import_text


def facts(folder: Path) -> Any:
    return json.loads((folder / "recording.json").read_bytes())


def hashed(content: bytes) -> dict[str, Any]:
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_tables_name_the_file_they_were_made_of_and_the_version_that_made_them(
    nginx_recording: Path, tmp_path: Path
) -> None:
    convert(nginx_recording, tmp_path)
    assert facts(tmp_path)["recording"] == {"name": nginx_recording.name, **hashed(nginx_recording.read_bytes())}
    assert facts(tmp_path)["harness_version"] == __version__


def test_a_compressed_recording_is_known_packed_and_unpacked(nginx_recording: Path, tmp_path: Path) -> None:
    whole = nginx_recording.read_bytes()
    for kind, pack in (("zstd", zstandard.ZstdCompressor().compress), ("gzip", gzip.compress)):
        packed = tmp_path / f"perf.data.{kind}"
        packed.write_bytes(pack(whole))
        convert(packed, tmp_path / "out", tables=("switches",))
        assert facts(tmp_path / "out")["recording"] == {
            "name": packed.name,
            **hashed(packed.read_bytes()),
            "compression": kind,
            "unpacked": hashed(whole),
        }


def test_a_folder_of_perf_is_known_by_the_hashes_of_its_files(tmp_path: Path) -> None:
    folder = record(tmp_path / "perf.data", "--threads", rounds=1)
    names = ["data", *(f"data.{number}" for number in range(len(list(folder.glob("data.*")))))]
    convert(folder, tmp_path / "out", tables=("switches",))
    known = facts(tmp_path / "out")["recording"]
    assert known["files"] == [{"name": name, **hashed((folder / name).read_bytes())} for name in names]
    printed = subprocess.run(["sha256sum", *names], cwd=folder, check=True, capture_output=True).stdout
    assert (known["name"], known["sha256"]) == ("perf.data", hashlib.sha256(printed).hexdigest())
    assert known["bytes"] == sum(file["bytes"] for file in known["files"])


def test_a_text_is_known_too(tmp_path: Path) -> None:
    text = DATA / "texts" / "hostile_names.script.txt"
    import_text(text, tmp_path)
    assert facts(tmp_path)["recording"] == {"name": text.name, **hashed(text.read_bytes())}


def test_exported_tables_name_their_file_and_are_hashed_like_converted_ones(
    nginx_recording: Path, tmp_path: Path
) -> None:
    options = ReadOptions(strict=False, formats_from=None, about={}, states=None)
    for kind in ("csv", "parquet"):
        written = export(nginx_recording, kind, tmp_path / kind, options).paths
        assert facts(tmp_path / kind)["recording"]["name"] == nginx_recording.name
        wanted = {path.name: hashed(path.read_bytes())["sha256"] for path in written}
        assert facts(tmp_path / kind)["table_sha256"] == wanted


def test_the_hashes_of_tables_that_stay_are_kept(
    nginx_recording: Path, hostile_recording: Path, tmp_path: Path
) -> None:
    for table in ("switches", "wakeups"):
        convert(nginx_recording, tmp_path, tables=(table,))
    assert set(facts(tmp_path)["table_sha256"]) == {"switches.parquet", "wakeups.parquet"}
    convert(hostile_recording, tmp_path, tables=("switches",))
    assert set(facts(tmp_path)["table_sha256"]) == {"switches.parquet"}


def test_a_name_that_is_no_utf_8_is_kept(nginx_recording: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"perf\xff.data")
    shutil.copy(nginx_recording, odd)
    convert(odd, tmp_path / "out", tables=("switches",))
    assert facts(tmp_path / "out")["recording"]["name"] == odd.name


def test_a_refused_recording_leaves_no_thread_that_hashes_on(hostile_recording: Path, tmp_path: Path) -> None:
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # takes no room, and would take an hour to hash
    with pytest.raises(ValueError, match="refused"), identify(huge):
        raise ValueError("refused")
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_a_file_that_vanishes_is_an_error_of_the_recording(tmp_path: Path) -> None:
    with (
        pytest.raises(TraceError, match="cannot read the recording: No such file"),
        identify(tmp_path / "gone") as wait,
    ):
        wait()
