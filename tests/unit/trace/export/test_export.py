"""What is handed on says the same as the tables; the text of perf sched map is read back, odd names and all."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from forge import Forge, Switch
from hypothesis import given
from hypothesis import strategies as st
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as PerfettoTrace

import harness.trace
from harness.errors import HostError, TraceError, UsageError
from harness.trace.export import export
from harness.trace.export.sched_map import lines
from harness.trace.export.sched_map_import import import_sched_map, read_sched_map
from harness.trace.tracepoint.comm import to_bytes


def test_the_perfetto_trace_read_back_has_every_switch_and_wakeup(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    (target,) = export(hostile_recording, "perfetto", tmp_path / "trace.pftrace")
    packets = PerfettoTrace.FromString(target.read_bytes()).packet
    assert packets[0].system_info.utsname.release == trace.header.os_release
    switches, wakings = [], []
    for packet in packets[1:]:
        compact, time = packet.ftrace_events.compact_sched, 0
        for place, difference in enumerate(compact.switch_timestamp):
            time += difference
            name = compact.intern_table[compact.switch_next_comm_index[place]]
            following = compact.switch_next_pid[place], compact.switch_next_prio[place]
            switches.append((time, packet.ftrace_events.cpu, compact.switch_prev_state[place], name, *following))
        time = 0
        for place, difference in enumerate(compact.waking_timestamp):
            time += difference
            name = compact.intern_table[compact.waking_comm_index[place]]
            task = compact.waking_pid[place], compact.waking_prio[place], compact.waking_target_cpu[place]
            wakings.append((time, packet.ftrace_events.cpu, name, *task))
    numbers = {"R": 0, "S": 1, "D": 2, "X": 16, "Z": 32, "I": 128, "P": 64, "R+": 256}
    assert sorted(switches) == sorted(
        (row["time_ns"], row["cpu"], numbers[row["prev_state"]], row["next_comm"], row["next_tid"], row["next_prio"])
        for row in trace.switches.to_pylist()
    )
    assert sorted(wakings) == sorted(
        (row["time_ns"], row["cpu"], row["comm"], row["tid"], row["prio"], row["target_cpu"])
        for row in trace.wakeups.to_pylist()
    )


def test_a_perfetto_trace_of_many_batches_loses_nothing(
    nginx_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.trace.export.perfetto._BATCH_SWITCHES", 100)
    trace = harness.trace.read(nginx_recording)
    (target,) = export(nginx_recording, "perfetto", tmp_path / "trace.pftrace")
    packets = PerfettoTrace.FromString(target.read_bytes()).packet[1:]
    assert len(packets) == -(-trace.switches.num_rows // 100)
    bundles = [packet.ftrace_events.compact_sched for packet in packets]
    assert sum(len(bundle.switch_timestamp) for bundle in bundles) == trace.switches.num_rows
    assert sum(len(bundle.waking_timestamp) for bundle in bundles) == trace.wakeups.num_rows


def test_csv_holds_every_table_row_for_row(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    written = {path.stem: path for path in export(hostile_recording, "csv", tmp_path)}
    with written["switches"].open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [
            {name: str(value) for name, value in row.items()} for row in trace.switches.to_pylist()
        ]
    with written["slices"].open(newline="", encoding="utf-8") as file:
        runnable = [row["runnable"] for row in csv.DictReader(file)]
    expected = harness.trace.slices(trace)["runnable"].to_pylist()
    assert runnable == [" ".join(map(str, tids)) for tids in expected]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in written.values())


def test_parquet_holds_every_table(nginx_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(nginx_recording)
    written = {path.stem: path for path in export(nginx_recording, "parquet", tmp_path / "out")}
    assert set(written) == {
        "switches", "wakeups", "runtimes", "migrations", "forks", "execs", "exits", "slices",
    }  # fmt: skip
    assert pq.read_table(written["migrations"]).to_pylist() == trace.migrations.to_pylist()


@pytest.mark.parametrize("kind", ["csv", "perf-sched-map"])
def test_what_cannot_be_read_is_told_of_once_with_its_path(kind: str, tmp_path: Path) -> None:
    (tmp_path / "perf.data").write_bytes(b"no recording")
    with pytest.raises(TraceError) as caught:
        export(tmp_path / "perf.data", kind, tmp_path / "out")
    assert str(caught.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize("kind", ["perfetto", "perf-sched-map"])
def test_a_file_is_written_neither_over_the_recording_nor_over_a_folder(
    kind: str, nginx_recording: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "perf.data"
    recording.write_bytes(nginx_recording.read_bytes())
    for wrong, why in (
        (recording, "is the recording itself"),
        (tmp_path / "sub" / ".." / "perf.data", "is the recording itself"),
        (tmp_path, "is a folder"),
        (Path("/"), "is a folder"),
    ):
        with pytest.raises(UsageError, match=why):
            export(recording, kind, wrong)
    assert recording.read_bytes() == nginx_recording.read_bytes()


def test_a_folder_that_cannot_be_written_to_is_not_the_recordings_fault(nginx_recording: Path) -> None:
    for kind in ("csv", "parquet"):
        with pytest.raises(HostError, match="could not be written"):
            export(nginx_recording, kind, Path("/proc/self"))  # it exists, and takes no files


def test_a_file_in_the_place_of_a_folder_is_an_error_of_the_host(nginx_recording: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for kind, target in (("csv", tmp_path / "file"), ("perf-sched-map", tmp_path / "file" / "map")):
        with pytest.raises(HostError, match="could not be written: Not a directory"):
            export(nginx_recording, kind, target)


def test_an_unknown_format_is_refused_with_the_known_ones(nginx_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="csv, parquet, perf-sched-map, perfetto"):
        export(nginx_recording, "json", tmp_path)


def test_the_sched_map_text_is_that_of_perf(nginx_recording: Path) -> None:
    said = subprocess.run(
        ["perf", "sched", "map", "-i", str(nginx_recording)], capture_output=True, check=True, timeout=240
    ).stdout.splitlines()
    ours = list(lines(harness.trace.read(nginx_recording)))
    assert len(ours) == len(said)
    # what stands behind `secs` is a name where perf believes that it is new; it knows some names by other events
    assert [line.partition(b" secs")[0] for line in ours] == [line.partition(b" secs")[0] for line in said]


def test_perf_s_own_text_is_read_as_the_switches_it_was_made_of(hostile_recording: Path, tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_bytes(
        subprocess.run(
            ["perf", "sched", "map", "-i", str(hostile_recording)], capture_output=True, check=True, timeout=240
        ).stdout
    )
    read, switches = read_sched_map(text).switches.to_pylist(), harness.trace.read(hostile_recording).switches
    assert [(row["time_ns"], row["cpu"], row["next_tid"]) for row in read] == [
        (row["time_ns"] // 1000 * 1000, row["cpu"], row["next_tid"]) for row in switches.to_pylist()
    ]


def test_our_own_text_is_read_back(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    (target,) = export(hostile_recording, "perf-sched-map", tmp_path / "map.txt")
    read = read_sched_map(target).switches.to_pylist()
    for row, switch in zip(read, trace.switches.to_pylist(), strict=True):
        assert (row["cpu"], row["next_tid"]) == (switch["cpu"], switch["next_tid"])
        assert row["next_comm"] == (switch["next_comm"] if switch["next_tid"] else "swapper")


# after a newline, `:7` at the end of a line cannot be told from the end of the name
names = st.binary(max_size=15).map(lambda raw: re.sub(rb":(-?\d+\n)", rb";\1", raw.split(b"\0", 1)[0]))


@given(names=st.lists(names, min_size=1, max_size=8))
def test_any_name_survives_the_text_and_back(names: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    switches: list[Switch] = [
        (1_000_000 * (place + 1), place % 3, b"x", 500, 1, name, 1000 + place) for place, name in enumerate(names)
    ]
    (folder / "perf.data").write_bytes(Forge().write(switches))
    (target,) = export(folder / "perf.data", "perf-sched-map", folder / "map.txt")
    read = read_sched_map(target).switches
    assert [to_bytes(text) for text in read["next_comm"].to_pylist()] == names
    assert read["next_tid"].to_pylist() == [1000 + place for place in range(len(names))]


def test_an_imported_text_becomes_a_table(nginx_recording: Path, tmp_path: Path) -> None:
    (text,) = export(nginx_recording, "perf-sched-map", tmp_path / "map.txt")
    path, sched_map = import_sched_map(text, tmp_path / "out")
    assert sched_map.switches.num_rows == pq.read_metadata(path).num_rows == 5_756
    assert any("no states" in warning for warning in sched_map.warnings)


def test_the_paper_s_text_with_colons_in_names_is_read(tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_text(
        "  *A0           0.000012 secs A0 => kworker/0:1:17\n"
        "  *B0           0.000020 secs B0 => nginx:900\n"
        "  *.            0.000031 secs .  => swapper:0\n"
        "  *A0          12.500000 secs \n"
    )
    rows = read_sched_map(text).switches.to_pylist()
    assert [(row["time_ns"], row["next_comm"], row["next_tid"]) for row in rows] == [
        (12_000, "kworker/0:1", 17),
        (20_000, "nginx", 900),
        (31_000, "swapper", 0),
        (12_500_000_000, "kworker/0:1", 17),
    ]
    assert [row["prev_tid"] for row in rows] == [None, 17, 900, 0]
    assert [row["prev_comm"] for row in rows] == [None, "kworker/0:1", "nginx", "swapper"]
    assert {row["prev_state"] for row in rows} == {None}


def test_reused_tags_are_warned_about(tmp_path: Path) -> None:
    switches: list[Switch] = [(1000 * place, 0, b"x", 1, 1, b"t", 10 + place) for place in range(1, 300)]
    (tmp_path / "perf.data").write_bytes(Forge().write(switches))
    (target,) = export(tmp_path / "perf.data", "perf-sched-map", tmp_path / "map.txt")
    imported = read_sched_map(target)
    assert imported.switches["next_tid"].to_pylist() == [10 + place for place in range(1, 300)]
    assert any("39 tags stand for more than one task" in warning for warning in imported.warnings)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no switches"),
        ("hello\n", "no line of `perf sched map`"),
        ("  *A0   0.000012 secs \n", "not introduced"),
        ("   A0   0.000012 secs A0 => x:1\n", "no line of"),
        ("  *A0   0.000012 secs A0 => x:99999999999\n", "not introduced"),
        ("  *A0   0.000012 secs A0 => x:4294967295\n", "too large"),
    ],
)
def test_a_text_that_is_something_else_is_a_trace_error_with_its_line(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(TraceError, match=why) as caught:
        read_sched_map(path)
    assert str(path) in str(caught.value)


@given(text=st.binary(max_size=200))
def test_any_text_is_read_or_refused(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "map.txt"
    path.write_bytes(b"  *A0   0.000012 secs A0 => x:1\n" + text)
    said = path.name
    try:
        rows = read_sched_map(path).switches.num_rows
    except TraceError as error:
        rows, said = 1, str(error)
    assert rows >= 1
    assert "map.txt" in said
