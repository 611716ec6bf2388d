"""`harness trace` on a real recording."""

from __future__ import annotations

import ast
import json
import lzma
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.csv as pc_csv
import pyarrow.parquet as pq
import pytest
from command_line import LIMIT_S, harness, notes
from kept import unpacked_into
from locations import DATA
from shorten import shortened

from model.data import clocks
from model.data.clocks import Clock


def summary(path: Path, code: int = 0) -> Any:
    (one,) = json.loads(harness("trace", "summary", path, "--json", code=code).stdout)["recordings"]
    return one


def test_convert_writes_every_table_and_prints_its_path(raw: Path, tmp_path: Path) -> None:
    document = json.loads(harness("trace", "convert", raw, "-o", tmp_path / "t", "--json").stdout)
    assert {"switches", "wakeups", "slices", "runtimes"} <= set(document["paths"])
    assert all(Path(path).is_file() for path in document["paths"].values())
    assert document["quality"]["lost_events"] == 0


def test_a_cut_recording_is_converted_as_far_as_it_goes_and_exits_with_1(raw: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.data"
    short.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    formats = ("--formats-from", raw)  # which perf writes at the end
    result = harness("trace", "convert", short, "-o", tmp_path / "t", *formats, code=1)
    assert "this recording is not whole: " in result.stderr
    assert (tmp_path / "t" / "slices.parquet").exists()
    harness("trace", "convert", short, "-o", tmp_path / "strict", "--strict", *formats, code=1)
    assert not (tmp_path / "strict" / "slices.parquet").exists()


EVERY_COMMAND = (
    ["summary"],
    ["convert", "-o", "out"],
    *(["export", "--to", kind, "-o", "out"] for kind in ("csv", "parquet", "perfetto", "perf-sched-map")),
)


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
@pytest.mark.parametrize("name", ["cpu_clock", "no_samples"])
def test_of_a_recording_without_scheduler_events_nothing_is_made(name: str, command: list[str], tmp_path: Path) -> None:
    words = [str(tmp_path / word) if word == "out" else word for word in command]
    result = harness("trace", words[0], unpacked_into(tmp_path, name), *words[1:], code=1)
    assert "no scheduler events in this recording: it holds" in result.stderr
    assert "try: record with `perf sched record`" in result.stderr
    assert "formats" not in result.stderr
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.name != name]


def test_a_recording_that_lost_its_formats_names_the_way_to_read_it(raw: Path, tmp_path: Path) -> None:
    (tmp_path / "short.data").write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    result = harness("trace", "convert", tmp_path / "short.data", "-o", tmp_path / "t", code=1)
    assert "the file is cut" in result.stderr
    assert "try: name a whole recording of the same kernel with --formats-from" in result.stderr
    assert not (tmp_path / "t").exists()


def test_a_recording_of_one_command_is_converted_without_slices(tmp_path: Path) -> None:
    result = harness("trace", "convert", unpacked_into(tmp_path, "one_command"), "-o", tmp_path / "t", code=1)
    assert "warning: recorded without -a: only the switches of 40 tasks are in the file" in result.stderr
    assert "slices" not in result.stdout
    assert not (tmp_path / "t" / "slices.parquet").exists()
    assert pq.read_metadata(tmp_path / "t" / "switches.parquet").num_rows > 0


@pytest.mark.parametrize("kind", ["perfetto", "perf-sched-map"])
def test_a_recording_without_switches_cannot_be_drawn(kind: str, tmp_path: Path) -> None:
    result = harness(
        "trace", "export", unpacked_into(tmp_path, "wakeups_only"), "--to", kind, "-o", tmp_path / "out", code=1
    )
    assert "no sched_switch in this recording" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_recording_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    result = harness("trace", "summary", tmp_path / "x", code=1)
    assert "error:" in result.stderr


def test_the_summary_is_text_or_json(raw: Path) -> None:
    assert "nginx" in harness("trace", "summary", raw).stdout
    document = summary(raw)
    assert document["quality"]["whole"] is True
    assert {"nginx", "ab"} <= {task["comm"] for task in document["tasks"]}


def test_the_summary_needs_none_of_the_large_libraries(raw: Path) -> None:
    code = (
        "import sys, atexit; atexit.register(lambda: print(sorted(sys.modules))); from harness.cli import main; main()"
    )
    command = [sys.executable, "-c", code, "trace", "summary", str(raw), "--limit", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LIMIT_S)
    modules = ast.literal_eval(done.stdout.splitlines()[-1])
    assert "typer" in modules
    assert not {"pydantic", "numpy", "pyarrow", "pandas"} & set(modules)


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1.5", "", "9" * 5000])
def test_a_limit_that_is_no_number_of_tasks_is_a_wrong_argument(limit: str, raw: Path) -> None:
    result = harness("trace", "summary", raw, "--limit", limit, code=2)
    assert "Invalid value for '--limit'" in result.stderr


@pytest.fixture
def undecided(tmp_path: Path) -> Path:
    """The beginning of a recording of a kernel that shifts states, too short to show it."""
    path = tmp_path / "undecided.data"
    whole = lzma.decompress((DATA / "ubuntu_4_15_0_55_shifted.perf.data.xz").read_bytes())
    path.write_bytes(shortened(whole, 400))
    return path


def test_the_summary_says_what_decided_how_states_are_read(undecided: Path) -> None:
    result = harness("trace", "summary", undecided)
    assert "UNDECIDED, taken as printed" in result.stdout
    assert "--states shifted" in result.stderr
    assert "as printed: as asked for" in harness("trace", "summary", undecided, "--states", "unshifted").stdout
    document = summary(undecided)
    assert document["quality"]["states"]["decided_by"] == "nothing"


def test_convert_and_export_read_states_as_they_are_told(undecided: Path, tmp_path: Path) -> None:
    assert "UNDECIDED" in harness("trace", "convert", undecided, "-o", tmp_path / "t").stderr
    for states, letters in (("shifted", {"S", "R+"}), ("unshifted", {"D", "R+"})):
        harness("trace", "convert", undecided, "-o", tmp_path / states, "--states", states)
        harness("trace", "export", undecided, "--to", "csv", "-o", tmp_path / "csv", "--states", states)
        slices = pq.read_table(tmp_path / states / "slices.parquet")
        assert set(slices["end_state"].to_pylist()) == letters
        assert (
            pc_csv.read_csv(tmp_path / "csv" / "slices.csv")["end_state"].to_pylist() == slices["end_state"].to_pylist()
        )


@pytest.mark.parametrize("command", [("convert", "-o", "t"), ("summary",), ("export", "--to", "csv", "-o", "t")])
def test_an_unknown_reading_of_states_is_a_usage_error_that_lists_the_right_ones(command: tuple[str, ...]) -> None:
    result = harness("trace", command[0], "/dev/null", *command[1:], "--states", "shift", code=2)
    assert "--states: unknown reading of states 'shift'" in result.stderr
    assert "expected: shifted or unshifted" in result.stderr


def test_a_recording_beside_its_trial_keeps_the_clock_of_its_machine(raw: Path, tmp_path: Path) -> None:
    perf_data = tmp_path / "perf.data"
    perf_data.write_bytes(shortened(raw.read_bytes(), 500))
    (tmp_path / "trial.json").write_text(json.dumps({"machine": {"clock": "counted", "cpu_speed": 250}}))
    harness("trace", "convert", perf_data, "-o", tmp_path / "t")
    harness("trace", "export", perf_data, "--to", "parquet", "-o", tmp_path / "exported")
    assert clocks.of_recording(tmp_path / "t") == clocks.of_recording(tmp_path / "exported") == Clock("counted", 250)
    shown = harness("trace", "summary", perf_data).stdout
    assert "counted: 250 instructions per microsecond (4 ns each)" in shown
    document = summary(perf_data)
    assert document["about"] == {"clock": "counted", "cpu_speed": "250"}


def test_an_imported_text_is_judged_as_a_converted_recording_is(tmp_path: Path) -> None:
    text = DATA / "texts" / "hostile_names.script.txt"
    document = json.loads(harness("trace", "import", text, "-o", tmp_path / "t", "--json").stdout)
    assert set(document["paths"]) >= {"switches", "wakeups", "slices", "runtimes"}
    assert (document["quality"]["whole"], document["quality"]["samples"]) == (True, 30)
    lossy = DATA / "texts" / "lost_events.map.txt"
    assert "not whole: 18,129 events lost" in harness("trace", "import", lossy, "-o", tmp_path / "l", code=1).stderr
    harness("trace", "import", lossy, "-o", tmp_path / "strict", "--strict", code=1)
    assert not list((tmp_path / "strict").glob("*"))


def test_a_text_beside_its_trial_keeps_the_clock_of_its_machine(tmp_path: Path) -> None:
    shutil.copy(DATA / "texts" / "hostile_names.script.txt", tmp_path / "script.txt")
    (tmp_path / "trial.json").write_text(json.dumps({"machine": {"clock": "counted", "cpu_speed": 250}}))
    harness("trace", "import", tmp_path / "script.txt", "-o", tmp_path / "t")
    assert clocks.of_recording(tmp_path / "t") == Clock("counted", 250)


@pytest.mark.parametrize("beside", [None, "{", "[]", '{"machine": 3}', "{}"])
def test_a_bare_recording_names_no_clock(raw: Path, tmp_path: Path, beside: str | None) -> None:
    perf_data = tmp_path / "perf.data"
    perf_data.write_bytes(shortened(raw.read_bytes(), 500))
    if beside is not None:
        (tmp_path / "trial.json").write_text(beside)
    harness("trace", "convert", perf_data, "-o", tmp_path / "t")
    assert b"clock" not in pq.read_schema(tmp_path / "t" / "slices.parquet").metadata
    assert summary(perf_data)["about"] is None


def test_the_text_of_perf_sched_map_is_exported_and_imported(raw: Path, tmp_path: Path) -> None:
    harness("trace", "export", raw, "--to", "perf-sched-map", "-o", tmp_path / "map.txt")
    result = harness("trace", "import", tmp_path / "map.txt", "-o", tmp_path / "t")
    assert "switches: " in result.stdout
    assert "no states, priorities or wakeups" in result.stderr
    assert (tmp_path / "t" / "switches.parquet").is_file()
    harness("trace", "export", raw, "--to", "perfeto", "-o", tmp_path / "x", code=2)


@pytest.mark.parametrize("command", [["summary"], ["export", "--to", "csv", "-o", "out"], ["convert", "-o", "out"]])
def test_every_command_judges_what_it_reads(raw: Path, tmp_path: Path, command: list[str]) -> None:
    name, *options = [str(tmp_path / word) if word == "out" else word for word in command]
    sound = harness("trace", name, raw, *options)
    assert notes(sound).startswith("sound: ")
    assert len(notes(sound).splitlines()) == 1
    short = tmp_path / "short.data"
    short.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    options += ["--formats-from", str(raw)]  # which lie at the end
    damaged = harness("trace", name, short, *options, "--json", code=1)
    assert "this recording is not whole: " in damaged.stderr
    (judged,) = json.loads(damaged.stdout).get("recordings", [json.loads(damaged.stdout)])
    assert judged["quality"]["whole"] is False
    assert "error:" in harness("trace", name, short, *options, "--strict", code=1).stderr


def test_a_summary_leaves_out_what_a_recording_of_one_command_does_not_tell(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "one_command")
    document = summary(path, code=1)
    assert {cpu["switches"] > 0 for cpu in document["cpus"]} == {True}
    for name in ("busy_ns", "idle_ns", "contested", "runnable_mean", "runnable_max"):
        assert [cpu[name] for cpu in document["cpus"]] == [None, None]
    for name in ("run_ns", "run_mean_ns", "run_max_ns", "delays", "delay_mean_ns", "delay_max_ns"):
        assert {task[name] for task in document["tasks"]} == {None}
    runs = [task["runs"] for task in document["tasks"]]
    assert runs == sorted(runs, reverse=True)
    shown = harness("trace", "summary", path, code=1)
    assert "only the switches of some tasks recorded" in shown.stdout
    busiest = next(line for line in shown.stdout.splitlines() if line.strip().startswith(document["tasks"][0]["comm"]))
    assert busiest.split()[-6:] == ["-", "-", "-", str(document["tasks"][0]["preemptions"]), "-", "-"]


def test_a_summary_without_wakeups_has_run_times_and_no_delays(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "switches_only")
    document = summary(path)
    assert all(cpu["busy_ns"] > 0 and cpu["contested"] is None for cpu in document["cpus"])
    assert any(task["run_ns"] > 0 and task["delay_mean_ns"] is None for task in document["tasks"])


def test_a_killed_recorder_that_wrote_no_sample_is_not_asked_for_formats(tmp_path: Path) -> None:
    path = unpacked_into(tmp_path, "no_samples")
    data_size = 48  # offset in the header; perf writes it last
    content = path.read_bytes()
    path.write_bytes(content[:data_size] + bytes(8) + content[data_size + 8 : -8000])
    result = harness("trace", "convert", path, "-o", tmp_path / "t", code=1)
    assert "no scheduler events in this recording: the recorder was killed" in result.stderr
    assert "formats" not in result.stderr
