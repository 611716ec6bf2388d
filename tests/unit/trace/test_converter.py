"""Files written in parts equal the tables of `read`, in bounded memory, and appear whole or not at all."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from command_line import LIMIT_S
from forge import Forge, Switch, long_recording
from perf_record import MORE_EVENTS, record

import harness.trace
from harness.errors import HostError, TraceError
from harness.trace.converter import ALL_TABLES, TRIAL_TABLES, ConvertedRecording, convert
from harness.trace.perf_data.records import FileBytes
from harness.trace.tables.schemas import SCHEMAS
from harness.trace.tables.writer import LateSliceWriter

pytestmark = pytest.mark.slow


def assert_written_as_read(path: Path, folder: Path, **options: int) -> None:
    made, trace = convert(path, folder, **options), harness.trace.read(path)
    for name in ALL_TABLES:
        expected = harness.trace.slices(trace) if name == "slices" else getattr(trace, name)
        written = pq.read_table(made.paths[name])
        assert made.rows[name] == expected.num_rows
        assert written.to_pylist() == expected.to_pylist(), name
    assert made.quality == trace.quality
    assert made.header == trace.header


@pytest.mark.parametrize("which", ["nginx_recording", "hostile_recording"])
@pytest.mark.parametrize(("chunk_bytes", "release_rows"), [(1 << 16, 100), (1 << 18, 2000), (4 << 20, 200_000)])
def test_tables_written_in_parts_equal_those_read_at_once(
    which: str, chunk_bytes: int, release_rows: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    recording = request.getfixturevalue(which)
    assert_written_as_read(recording, tmp_path, chunk_bytes=chunk_bytes, release_rows=release_rows)


@pytest.mark.parametrize("options", [("--threads",), ("-z",)], ids=" ".join)
def test_folders_and_compressed_recordings_are_written_in_parts(options: tuple[str, ...], tmp_path: Path) -> None:
    recording = record(tmp_path / "perf.data", *options, *MORE_EVENTS, rounds=8)
    assert_written_as_read(recording, tmp_path / "out", chunk_bytes=1 << 16, release_rows=100)


def test_rows_of_one_time_keep_the_order_of_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "perf.data"
    folder.mkdir()
    (folder / "data").write_bytes(Forge().write([(0, 3, b"a", 1, 1, b"b", 2)]))  # a file with no data was not finished
    for part, pace in ((0, 1), (1, 3), (2, 2)):  # so that they are read by turns, and all have the same times
        switches: list[Switch] = [
            (60 * (place // 60) * pace, part, b"a", place, 1, b"b", place + 1) for place in range(6000 // pace)
        ]
        (folder / f"data.{part}").write_bytes(b"".join(map(Forge().sample, switches)))
    assert_written_as_read(folder, tmp_path / "out", chunk_bytes=1 << 16, release_rows=10)


def test_a_recording_in_no_order_at_all_is_sorted(tmp_path: Path) -> None:
    backwards: list[Switch] = [
        (10**9 - 1000 * place, place % 3, b"a", place, 1, b"b", place - 1) for place in range(3000)
    ]
    (tmp_path / "perf.data").write_bytes(Forge().write(backwards))
    assert_written_as_read(tmp_path / "perf.data", tmp_path / "out", chunk_bytes=1 << 16, release_rows=10)


def test_late_slices_are_written_in_their_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LateSliceWriter, "held_rows", 5)
    quiet: list[Switch] = [(1, 1, b"q", 5, 1, b"hog", 6)]
    busy: list[Switch] = [(10 + place, 0, b"a", place % 2 + 1, 1, b"b", 2 - place % 2) for place in range(2000)]
    late: list[Switch] = [(1500, 1, b"hog", 6, 1, b"q", 5), (1800, 1, b"q", 5, 1, b"hog", 6)]
    forged = Forge().write(sorted([*quiet, *busy, *late], key=lambda switch: switch[0]))
    (tmp_path / "perf.data").write_bytes(forged)
    assert_written_as_read(tmp_path / "perf.data", tmp_path / "out", chunk_bytes=1 << 16, release_rows=50)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "recording.json",
        *(f"{name}.parquet" for name in ALL_TABLES),
    }


def test_a_strict_conversion_of_a_cut_recording_leaves_no_file(nginx_recording: Path, tmp_path: Path) -> None:
    cut = tmp_path / "perf.data"
    cut.write_bytes(nginx_recording.read_bytes()[:1_000_000])
    with pytest.raises(TraceError, match="not whole"):
        convert(cut, tmp_path / "out", strict=True, formats_from=nginx_recording)
    assert not (tmp_path / "out").exists()


def test_progress_is_reported_up_to_the_last_sample(nginx_recording: Path, tmp_path: Path) -> None:
    reported: list[tuple[int, int]] = []
    converted = convert(
        nginx_recording,
        tmp_path / "out",
        on_progress=lambda *samples: reported.append(samples),
        chunk_bytes=1 << 18,
        release_rows=900,
    )
    assert len(reported) > 3
    assert reported == sorted(reported)
    assert reported[-1] == (15_638, 15_638)
    assert set(converted.paths) == set(ALL_TABLES)


def test_a_recording_that_fails_while_tables_are_written_is_not_a_table_that_cannot_be_written(
    nginx_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing_readinto(source: FileBytes, target: memoryview) -> int:
        if any(tmp_path.glob(".*.tmp")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return readinto(source, target)

    readinto = FileBytes.readinto
    monkeypatch.setattr(FileBytes, "readinto", failing_readinto)
    with pytest.raises(TraceError, match="cannot read the recording: Input/output error") as caught:
        convert(nginx_recording, tmp_path)
    assert caught.value.where == str(nginx_recording)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_cannot_be_written_is_an_error_of_the_host(nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="could not be written: Not a directory"):
        convert(nginx_recording, tmp_path / "file")


@pytest.fixture(scope="module")
def ingested(nginx_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> ConvertedRecording:
    return harness.trace.ingest(nginx_recording, tmp_path_factory.mktemp("ingested") / "deep" / "out")


def test_the_four_tables_are_written_with_their_schemas(ingested: ConvertedRecording) -> None:
    assert set(ingested.paths) == {"switches", "wakeups", "slices", "runtimes"}
    for name, path in ingested.paths.items():
        schema = pq.read_schema(path)
        assert schema.equals(SCHEMAS[name])
        assert schema.metadata[b"schema_version"] == b"1"
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"
    assert {path.name for path in ingested.paths["slices"].parent.iterdir()} == {
        "recording.json",
        *(f"{name}.parquet" for name in TRIAL_TABLES),
    }


def test_the_tables_on_disk_are_those_of_the_recording(ingested: ConvertedRecording, nginx_recording: Path) -> None:
    tables = {name: pq.read_table(path) for name, path in ingested.paths.items()}
    trace = harness.trace.read(nginx_recording)
    for name in ("switches", "wakeups", "runtimes"):
        assert tables[name].to_pylist() == getattr(trace, name).to_pylist()
    assert tables["slices"].to_pylist() == harness.trace.slices(trace).to_pylist()


def test_usage_is_the_cpu_time_of_each_task_name(ingested: ConvertedRecording) -> None:
    rows = pq.read_table(ingested.paths["slices"]).to_pylist()
    total = sum(row["slice_ns"] for row in rows)
    of_nginx = [row["slice_ns"] for row in rows if row["comm"] == "nginx"]
    usage = ingested.usage["nginx"]
    assert usage.slices == len(of_nginx)
    assert usage.cpu_share == pytest.approx(sum(of_nginx) / total)
    assert usage.mean_slice_ns == pytest.approx(sum(of_nginx) / len(of_nginx))
    idle = sum(row["slice_ns"] for row in rows if row["tid"] == 0)
    assert ingested.idle_share == pytest.approx(idle / total)
    assert sum(usage.cpu_share for usage in ingested.usage.values()) + ingested.idle_share == pytest.approx(1)
    assert list(ingested.usage)[:2] in (["ab", "nginx"], ["nginx", "ab"])


CONVERT = """
import sys
from harness.trace.converter import convert
convert(sys.argv[1], sys.argv[2])
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0])
"""


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for samples in (400_000, 1_600_000):
        path = tmp_path / f"{samples}.perf.data"
        long_recording(path, samples)
        done = subprocess.run(
            [sys.executable, "-c", CONVERT, str(path), str(tmp_path / "out")],
            capture_output=True,
            check=True,
            timeout=LIMIT_S,
        )
        peaks.append(int(done.stdout))  # KiB
        path.unlink()
    assert peaks[1] < 400 << 10
    assert peaks[1] - peaks[0] < 60 << 10


def test_facts_that_the_recording_does_not_hold_are_added_to_the_metadata(
    nginx_recording: Path, tmp_path: Path
) -> None:
    about = {"clock": "counted", "cpu_speed": "125", "table": "another"}
    paths = harness.trace.ingest(nginx_recording, tmp_path, about).paths
    for name, path in paths.items():
        metadata = pq.read_schema(path).metadata
        assert (metadata[b"clock"], metadata[b"cpu_speed"]) == (b"counted", b"125")
        assert (metadata[b"table"], metadata[b"schema_version"]) == (name.encode(), b"1")
