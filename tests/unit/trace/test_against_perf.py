"""Our tables equal the output of `perf script`: the same rows and fields in the same order."""

from __future__ import annotations

import lzma
import os
import re
import subprocess
from pathlib import Path

import perf_text
import pyarrow.compute as pc
import pytest
import read_and_convert
from busy import NAMES
from locations import DATA
from older_perf import for_older_perf
from perf_record import MORE_EVENTS, record, record_killed, record_to_pipe

import harness.trace
from harness.trace.tracepoint.comm import to_text

pytestmark = pytest.mark.slow

TABLES = {
    "sched_switch": "switches",
    "sched_waking": "wakeups",
    "sched_wakeup": "wakeups",
    "sched_wakeup_new": "wakeups",
    "sched_stat_runtime": "runtimes",
    "sched_migrate_task": "migrations",
    "sched_process_fork": "forks",
    "sched_process_exec": "execs",
    "sched_process_exit": "exits",
}


def assert_equal_to_perf(path: Path, *, ties: bool = True) -> set[str]:
    """Compare the rows of every event; return the events that have rows.

    Without `ties`, rows of one time may stand in any order.
    """
    read_and_convert.assert_same(path)
    trace, printed = harness.trace.read(path), perf_text.script(path)
    for event, name in TABLES.items():
        table = getattr(trace, name)
        if name == "wakeups":
            table = table.filter(pc.equal(table["kind"].cast("string"), event.removeprefix("sched_")))
        ours, theirs = perf_text.as_perf_prints(table, event), printed.get(event, [])
        assert [row[0] for row in ours] == [row[0] for row in theirs], event
        assert (ours if ties else sorted(ours)) == (theirs if ties else sorted(theirs)), event
    return set(printed)


def test_the_kept_recording_is_read_as_perf_reads_it(nginx_recording: Path) -> None:
    assert assert_equal_to_perf(nginx_recording) >= {"sched_switch", "sched_waking", "sched_stat_runtime"}


@pytest.mark.parametrize("guest", ["debian11_guest_5_10", "debian13_guest_6_12"])
def test_recordings_of_other_kernels_are_read_as_perf_reads_them(guest: str, tmp_path: Path) -> None:
    path = tmp_path / "perf.data"
    path.write_bytes(for_older_perf(lzma.decompress((DATA / f"{guest}.perf.data.xz").read_bytes())))
    assert assert_equal_to_perf(path) >= {"sched_switch", "sched_waking", "sched_stat_runtime", "sched_process_fork"}
    trace = harness.trace.read(path, strict=True)
    assert trace.header.os_release is not None
    assert guest.endswith("_".join(trace.header.os_release.split(".")[:2]))
    assert (trace.quality.whole, trace.quality.cpus, trace.quality.warnings) == (True, (0,), ())
    has_vruntime = trace.runtimes["vruntime_ns"].null_count == 0
    assert has_vruntime == (guest == "debian11_guest_5_10")


def test_hostile_names_on_several_cpus_are_read_as_perf_reads_them(hostile_recording: Path) -> None:
    assert assert_equal_to_perf(hostile_recording) >= set(TABLES)


def test_every_hostile_name_is_in_the_tables(hostile_recording: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    seen = set(trace.switches["next_comm"].to_pylist())
    assert {to_text(name) for name in NAMES} <= seen


def test_several_cpus_and_migrations_were_recorded(hostile_recording: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    assert len(trace.quality.cpus) >= 2
    assert trace.migrations.num_rows > 0


@pytest.mark.parametrize(
    "options",
    [("-g",), ("-C", str(min(os.sched_getaffinity(0)))), ("-k", "monotonic"), ("-m", "1"), ("-z",), ("-g", "-z")],
    ids=" ".join,
)
def test_recordings_made_with_other_options_are_read_as_perf_reads_them(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    recording = record(tmp_path / "perf.data", *options, *MORE_EVENTS, rounds=8)
    assert "sched_switch" in assert_equal_to_perf(recording)


@pytest.mark.parametrize("options", [(), ("-z",), ("-g",)], ids="pipe{}".format)
def test_recordings_from_a_pipe_are_read_as_perf_reads_them(tmp_path: Path, options: tuple[str, ...]) -> None:
    recording = record_to_pipe(tmp_path / "perf.data", *options, *MORE_EVENTS, rounds=8)
    assert "sched_switch" in assert_equal_to_perf(recording)


@pytest.mark.parametrize("options", [("--threads",), ("--threads", "-z")], ids=" ".join)
def test_folders_of_recordings_are_read_as_perf_reads_them(tmp_path: Path, options: tuple[str, ...]) -> None:
    recording = record(tmp_path / "perf.data", *options, *MORE_EVENTS, rounds=8)
    assert recording.is_dir()
    assert "sched_switch" in assert_equal_to_perf(recording, ties=False)


def test_a_recording_that_lost_events_is_read_as_perf_reads_it_and_its_losses_are_counted(
    lossy_recording: Path,
) -> None:
    assert_equal_to_perf(lossy_recording)
    printed = subprocess.run(
        ["perf", "script", "-i", str(lossy_recording), "--show-lost-events", "-F", "comm,event"],
        capture_output=True,
        check=True,
        timeout=perf_text.LIMIT_S,
    ).stdout
    quality = harness.trace.read(lossy_recording).quality
    # events lost after the last LOST record are counted only by LOST_SAMPLES, which perf does not print
    assert quality.lost_events >= sum(map(int, re.findall(rb"PERF_RECORD_LOST lost (\d+)", printed))) > 0
    assert quality.chain_breaks > 0
    assert not quality.whole


def test_the_file_of_a_killed_recorder_is_read_with_the_formats_of_another_recording(tmp_path: Path) -> None:
    whole = record(tmp_path / "whole.perf.data", rounds=1)
    recording = record_killed(tmp_path / "perf.data", formats_from=whole)
    alone = harness.trace.read(recording)
    assert alone.quality.killed
    assert alone.switches.num_rows == 0
    assert any("formats_from" in warning for warning in alone.quality.warnings)
    trace = harness.trace.read(recording, formats_from=whole)
    assert trace.quality.killed
    assert trace.quality.samples == alone.quality.samples == sum(trace.quality.counts.values())
    assert trace.switches.num_rows > 100


def test_the_chosen_clock_is_known(tmp_path: Path) -> None:
    recording = record(tmp_path / "perf.data", "-k", "monotonic", rounds=2)
    assert harness.trace.read(recording).quality.clock == "monotonic"


def test_the_facts_that_perf_wrote_about_the_machine_are_kept(nginx_recording: Path) -> None:
    header = harness.trace.read(nginx_recording).header
    assert header.os_release is not None
    assert header.os_release.startswith("6.18.")
    assert header.nrcpus == 2
    assert header.arch == "x86_64"
    assert header.perf_version == "6.1.192"
    assert header.cmdline[1:3] == ("sched", "record")


def test_the_counts_of_events_are_those_of_perf(nginx_recording: Path) -> None:
    quality, printed = harness.trace.read(nginx_recording).quality, perf_text.script(nginx_recording)
    assert quality.counts == {f"sched:{event}": len(rows) for event, rows in printed.items()}
    assert quality.samples == sum(quality.counts.values())
    assert (quality.lost_events, quality.inversions, quality.cpus, quality.clock) == (0, 0, (1,), "perf")


def test_chain_breaks_are_those_of_a_plain_count(nginx_recording: Path, hostile_recording: Path) -> None:
    for recording in (nginx_recording, hostile_recording):
        trace, last, breaks = harness.trace.read(recording), {}, 0
        for row in trace.switches.to_pylist():
            breaks += last.get(row["cpu"], row["prev_tid"]) != row["prev_tid"]
            last[row["cpu"]] = row["next_tid"]
        assert trace.quality.chain_breaks == breaks
        assert trace.quality.whole == (breaks == 0)
