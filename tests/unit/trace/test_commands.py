"""What the commands give back, and how a summary looks."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import zstandard
from command_line import LIMIT_S
from rich.console import Console
from shorten import repeated

import harness.trace
from harness.errors import HostError, TraceError
from harness.terminal.trace_summary import render
from harness.trace import commands
from harness.trace.perf_data.records import FileBytes
from harness.trace.perf_data.zstd import DecompressedFile


class Listener:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[tuple[float, float | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: float, total: float | None) -> None:
        self.done.append((done, total))


def shown(summary: commands.Summary, limit: int = 20) -> str:
    out = io.StringIO()
    Console(file=out, width=160, color_system=None).print(render(summary, limit))
    return out.getvalue()


def test_convert_writes_every_table_and_tells_how_far_it_is(nginx_recording: Path, tmp_path: Path) -> None:
    listener = Listener()
    made = commands.convert(nginx_recording, tmp_path / "out", watcher=listener)
    assert set(made.paths) == {"switches", "wakeups", "runtimes", "migrations", "forks", "execs", "exits", "slices"}
    assert listener.done[-1] == (15_638, 15_638)
    assert str(nginx_recording) in listener.notes[0]


def test_a_summary_is_json(nginx_recording: Path) -> None:
    told = json.loads(json.dumps(commands.summary(nginx_recording).to_dict()))
    assert told["quality"]["samples"] == 15_638
    assert told["quality"]["whole"] is False
    assert {row["comm"] for row in told["tasks"][:2]} == {"ab", "nginx"}
    assert [row["cpu"] for row in told["cpus"]] == [1]


def test_a_summary_shows_the_tasks_the_cpus_and_what_is_wrong(nginx_recording: Path) -> None:
    text = shown(commands.summary(nginx_recording), limit=3)
    assert "15,638 in 0.082 s, clock perf" in text
    assert "no: 7 breaks in the chain of switches" in text
    assert "Tasks (3 of" in text
    assert "nginx" in text


def test_names_that_look_like_markup_are_shown_as_they_are(hostile_recording: Path) -> None:
    text = shown(commands.summary(hostile_recording), limit=10_000)
    assert "[bold]x[/b]" in text


def test_warnings_are_shown(nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(nginx_recording.read_bytes()[:100_000])
    text = shown(commands.summary(tmp_path / "perf.data", formats_from=nginx_recording))
    assert "warning: the file is cut" in text
    assert re.search(r"sound +no: .*\bcut\b", text)


def test_an_imported_text_becomes_a_table(nginx_recording: Path, tmp_path: Path) -> None:
    (text,) = commands.export(nginx_recording, "perf-sched-map", tmp_path / "map.txt")
    imported = commands.import_text(text, tmp_path / "out")
    assert imported.rows == pq.read_metadata(imported.path).num_rows == 5_756
    assert any("no states" in warning for warning in imported.warnings)


def test_a_recording_that_zstd_compressed_is_read_as_it_was(nginx_recording: Path, tmp_path: Path) -> None:
    packed = tmp_path / "perf.data.zst"
    packed.write_bytes(zstandard.ZstdCompressor().compress(nginx_recording.read_bytes()))
    trace = harness.trace.read(packed)
    assert trace.path == packed
    assert trace.switches.equals(harness.trace.read(nginx_recording).switches)
    assert commands.convert(packed, tmp_path / "out").rows["switches"] == 5_756


def test_a_damaged_compressed_recording_is_a_trace_error(nginx_recording: Path, tmp_path: Path) -> None:
    packed = tmp_path / "perf.data.zst"
    whole = bytearray(zstandard.ZstdCompressor(write_checksum=True).compress(nginx_recording.read_bytes()))
    whole[1000] ^= 0xFF
    packed.write_bytes(bytes(whole))
    with pytest.raises(TraceError, match="damaged") as caught:
        harness.trace.read(packed)
    assert str(packed) in str(caught.value)


FEW_MB = """
import resource, sys
import numpy, pyarrow.parquet, harness.trace.commands
from harness.errors import TraceError
from harness.trace import commands
from harness.trace.perf_data.zstd import DecompressedFile
commands.summary(sys.argv[1])
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (8 << 20), resource.RLIM_INFINITY))
try:
    print(commands.summary(sys.argv[2]))
except TraceError as error:
    print(error)
"""


def test_too_little_memory_is_a_trace_error_that_says_what_needs_least(nginx_recording: Path, tmp_path: Path) -> None:
    large = tmp_path / "large.data"
    large.write_bytes(repeated(nginx_recording.read_bytes(), times=60))
    asked = subprocess.run(
        [sys.executable, "-c", FEW_MB, str(nginx_recording), str(large)],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert asked.stdout.startswith(f"{large}: there is not enough memory for this recording"), asked.stderr
    assert "harness trace convert" in asked.stdout


def test_a_compressed_recording_that_cannot_be_read_is_not_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="cannot read the recording: Input/output error"):
        DecompressedFile(Path("/proc/self/mem"))  # it can be opened, and nothing lies at its beginning


def test_a_recording_that_fails_while_tables_are_written_is_not_a_table_that_cannot_be_written(
    nginx_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def readinto(source: FileBytes, target: memoryview) -> int:
        if any(tmp_path.glob(".*.tmp")):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(source, target)

    really = FileBytes.readinto
    monkeypatch.setattr(FileBytes, "readinto", readinto)
    with pytest.raises(TraceError, match="cannot read the recording: Input/output error") as caught:
        commands.convert(nginx_recording, tmp_path)
    assert caught.value.where == str(nginx_recording)
    assert list(tmp_path.iterdir()) == []


def test_tables_that_cannot_be_written_are_the_hosts_lack_and_not_the_recordings(
    nginx_recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for write in (
        lambda out: commands.convert(nginx_recording, out),
        lambda out: commands.export(nginx_recording, "csv", out),
        lambda out: commands.export(nginx_recording, "perf-sched-map", out / "map"),
    ):
        with pytest.raises(HostError, match="could not be written: Not a directory"):
            write(tmp_path / "file")
