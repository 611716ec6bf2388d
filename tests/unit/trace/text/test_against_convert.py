"""What perf prints of a recording becomes the tables that `convert` makes of the recording itself."""

from __future__ import annotations

import lzma
import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from imported import Imported, imported
from kept import unpacked_into
from locations import DATA
from perf_record import record

from harness.trace.converter import convert
from harness.trace.reader import read

pytestmark = pytest.mark.slow

LIMIT_S = 240
RECORDINGS = [
    "nginx_ab_one_cpu",
    "hostile_names",
    "lost_events",
    "compressed",
    "debian11_guest_5_10",
    "ubuntu_4_15_0_147_nginx_ab",
    "ubuntu_4_15_0_55_shifted",
    "switches_only",
    "with_period",
]
Rows = dict[str, list[dict[str, Any]]]


def printed(recording: Path, *command: str) -> bytes:
    """Return what perf prints, warnings included."""
    done = subprocess.run(
        ["perf", "--no-pager", *command, "-i", str(recording)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
        timeout=LIMIT_S,
    )
    return done.stdout


def rows_of(tables: dict[str, pa.Table]) -> Rows:
    return {name: table.to_pylist() for name, table in tables.items()}


def converted(recording: Path, folder: Path) -> tuple[Rows, Any]:
    result = convert(recording, folder)
    return rows_of({name: pq.read_table(path) for name, path in result.paths.items()}), result.quality


def without_ns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "time_ns": row["time_ns"] // 1000} for row in rows]


@pytest.fixture(params=RECORDINGS)
def recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "perf.data"
    path.write_bytes(lzma.decompress((DATA / f"{request.param}.perf.data.xz").read_bytes()))
    return path


def test_the_text_with_nanoseconds_becomes_every_row_of_every_table(recording: Path, tmp_path: Path) -> None:
    expected, quality = converted(recording, tmp_path)
    text = imported(printed(recording, "script", "--ns", "--header", "--show-lost-events", "-G"))
    assert rows_of(text.tables) == expected
    fields = ("samples", "chain_breaks", "span_ns", "cpus", "counts", "states", "run_queues", "unrecorded")
    assert {name: getattr(text.quality, name) for name in fields} == {name: getattr(quality, name) for name in fields}
    assert text.header.os_release == convert(recording, tmp_path).header.os_release
    assert (text.quality.lost_events > 0) == (quality.lost_events > 0)


def test_the_text_as_perf_prints_it_becomes_every_row_but_for_the_nanoseconds(recording: Path, tmp_path: Path) -> None:
    expected, quality = converted(recording, tmp_path)
    text = imported(printed(recording, "script"))
    rows = rows_of(text.tables)
    del rows["slices"], expected["slices"]
    assert {name: without_ns(rows[name]) for name in rows} == {name: without_ns(expected[name]) for name in expected}
    assert text.quality.chain_breaks == quality.chain_breaks


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("one_command", ("--header",)),  # has the command line, which alone tells that there is no -a
        ("one_process", ("--header",)),
        ("one_process", ()),
        ("filtered", ("--header",)),
        ("filtered", ()),
    ],
    ids=str,
)
def test_the_text_of_a_recording_of_some_tasks_has_no_slices_either(
    name: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    path = unpacked_into(tmp_path, name)
    expected, quality = converted(path, tmp_path / "tables")
    text = imported(printed(path, "script", "--ns", *options))
    assert rows_of(text.tables) == expected
    assert (text.quality.scope, text.quality.run_times) == (quality.scope, False)
    assert quality.warnings[-1] in text.quality.warnings


def test_the_text_of_one_cpu_of_several_is_recognised(tmp_path: Path) -> None:
    path = record(tmp_path / "perf.data")
    quality = imported(printed(path, "script", "--ns", "--header", "--cpu", "0")).quality
    assert quality.cpus == (0,)
    assert quality.scope == ("unknown" if read(path).header.nrcpus == 1 else "some CPUs")


def test_the_text_of_wakings_without_places_does_not_tell_who_could_run(tmp_path: Path) -> None:
    text = printed(unpacked_into(tmp_path, "compressed"), "script", "--ns")
    lines = [line for line in text.split(b"\n") if b"sched_wakeup:" not in line and b"sched_migrate_task:" not in line]
    quality = imported(b"\n".join(lines)).quality
    assert len(quality.cpus) > 1
    assert not quality.run_queues
    assert any("neither sched_migrate_task nor sched_wakeup" in warning for warning in quality.warnings)


def same_switches(text: Imported, expected: Rows) -> bool:
    switches = [(row["time_ns"] // 1000, row["cpu"], row["next_tid"]) for row in expected["switches"]]
    return [(row["time_ns"] // 1000, row["cpu"], row["next_tid"]) for row in text.switches.to_pylist()] == switches


@pytest.mark.parametrize("options", [(), ("--compact",)], ids=["plain", "compact"])
def test_the_text_of_perf_sched_map_becomes_the_switches(
    recording: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    text = imported(printed(recording, "sched", "map", *options))
    expected, quality = converted(recording, tmp_path)
    assert same_switches(text, expected)
    assert text.quality.lost_events == quality.lost_events


def test_the_coloured_text_of_a_terminal_becomes_the_switches(hostile_recording: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = ["perf", "--no-pager", "sched", "map", "-i", str(hostile_recording)]
    with subprocess.Popen(command, stdout=theirs, env={**os.environ, "TERM": "xterm"}) as perf:
        os.close(theirs)
        text = b"".join(iter(lambda: _read(ours), b""))
        assert perf.wait(LIMIT_S) == 0
    os.close(ours)
    assert b"\x1b[3" in text
    expected, _ = converted(hostile_recording, tmp_path)
    assert same_switches(imported(text), expected)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # which Linux reports when the other end is closed
        return b""


def test_a_fresh_recording_of_several_cpus_becomes_the_same_rows(tmp_path: Path) -> None:
    recording = record(tmp_path / "perf.data", rounds=8)
    expected, _ = converted(recording, tmp_path)
    assert rows_of(imported(printed(recording, "sched", "script", "--ns")).tables) == expected
