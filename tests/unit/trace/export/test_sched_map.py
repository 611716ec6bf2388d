"""The text of `perf sched map`: ours is perf's, and is read back, odd names included."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from forge import Forge, Switch
from hypothesis import given, settings
from hypothesis import strategies as st
from imported import imported

import harness.trace
from harness.errors import TraceError
from harness.trace.export import export
from harness.trace.export.sched_map import lines
from harness.trace.tracepoint.comm import to_bytes


def test_the_sched_map_text_is_that_of_perf(nginx_recording: Path) -> None:
    printed = subprocess.run(
        ["perf", "sched", "map", "-i", str(nginx_recording)], capture_output=True, check=True, timeout=240
    ).stdout.splitlines()
    ours = list(lines(harness.trace.read(nginx_recording)))
    assert len(ours) == len(printed)
    # what stands behind `secs` is a name where perf believes that it is new; it knows some names by other events
    assert [line.partition(b" secs")[0] for line in ours] == [line.partition(b" secs")[0] for line in printed]


def test_the_text_of_perf_gives_the_switches_of_the_recording(hostile_recording: Path, tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_bytes(
        subprocess.run(
            ["perf", "sched", "map", "-i", str(hostile_recording)], capture_output=True, check=True, timeout=240
        ).stdout
    )
    read, switches = imported(text).switches.to_pylist(), harness.trace.read(hostile_recording).switches
    assert [(row["time_ns"], row["cpu"], row["next_tid"]) for row in read] == [
        (row["time_ns"] // 1000 * 1000, row["cpu"], row["next_tid"]) for row in switches.to_pylist()
    ]


def test_an_exported_text_gives_the_switches_of_the_recording(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    (target,) = export(hostile_recording, "perf-sched-map", tmp_path / "map.txt").paths
    read = imported(target).switches.to_pylist()
    for row, switch in zip(read, trace.switches.to_pylist(), strict=True):
        assert (row["cpu"], row["next_tid"]) == (switch["cpu"], switch["next_tid"])
        assert row["next_comm"] == (switch["next_comm"] if switch["next_tid"] else "swapper")


# after a newline, `:7` at the end of a line cannot be told from the end of the name
names = st.binary(max_size=15).map(lambda raw: re.sub(rb":(-?\d+\n)", rb";\1", raw.split(b"\0", 1)[0]))


@settings(max_examples=40)
@given(names=st.lists(names, min_size=1, max_size=8))
def test_any_name_survives_the_text_and_back(names: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("names")
    switches: list[Switch] = [
        (1_000_000 * (place + 1), place % 3, b"x", 500, 1, name, 1000 + place) for place, name in enumerate(names)
    ]
    (folder / "perf.data").write_bytes(Forge().write(switches))
    (target,) = export(folder / "perf.data", "perf-sched-map", folder / "map.txt").paths
    read = imported(target).switches
    assert [to_bytes(text) for text in read["next_comm"].to_pylist()] == names
    assert read["next_tid"].to_pylist() == [1000 + place for place in range(len(names))]


def write_tasks(folder: Path, tasks: int) -> Path:
    """Write a recording in which each of so many tasks, and the idle task, is picked once."""
    switches: list[Switch] = [(1000 * place, 0, b"x", 1, 1, b"t", 10 + place) for place in range(1, tasks + 1)]
    switches.append((1000 * (tasks + 1), 0, b"x", 1, 1, b"swapper/0", 0))
    (folder / "perf.data").write_bytes(Forge().write(switches))
    return folder / "perf.data"


@pytest.mark.parametrize(("tasks", "ambiguous"), [(260, False), (261, True)])
def test_a_text_of_more_tasks_than_there_are_tags_is_said_to_be_ambiguous(
    tasks: int, ambiguous: bool, tmp_path: Path
) -> None:
    recording, target = write_tasks(tmp_path, tasks), tmp_path / "map.txt"
    warnings = export(recording, "perf-sched-map", target).quality.warnings
    said = "the text is ambiguous: perf has 260 tags, and this recording 261 tasks"
    assert any(warning.startswith(said) for warning in warnings) == ambiguous


def test_a_text_in_which_tags_are_reused_is_refused_at_the_first_such_line(tmp_path: Path) -> None:
    recording = write_tasks(tmp_path, 299)
    export(recording, "perf-sched-map", tmp_path / "map.txt")
    with pytest.raises(
        TraceError, match="from here on tags are ambiguous: 'A0' stands for t:271, and for t:11"
    ) as error:
        imported(tmp_path / "map.txt")
    assert error.value.where == f"{tmp_path / 'map.txt'}:261"
    assert "harness trace convert perf.data" in str(error.value)
    first = b"".join((tmp_path / "map.txt").read_bytes().splitlines(keepends=True)[:260])
    assert imported(first).switches["next_tid"].to_pylist() == [10 + place for place in range(1, 261)]
