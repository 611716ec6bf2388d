"""A Perfetto trace has every switch and wakeup."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as PerfettoTrace

import harness.trace
from harness.trace.export import export


def test_the_perfetto_trace_read_back_has_every_switch_and_wakeup(hostile_recording: Path, tmp_path: Path) -> None:
    trace = harness.trace.read(hostile_recording)
    (target,) = export(hostile_recording, "perfetto", tmp_path / "trace.pftrace").paths
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


def test_a_perfetto_trace_of_a_shifted_kernel_shows_the_true_states(shifted_recording: Path, tmp_path: Path) -> None:
    (target,) = export(shifted_recording, "perfetto", tmp_path / "trace.pftrace").paths
    packets = PerfettoTrace.FromString(target.read_bytes()).packet[1:]
    written = Counter(state for packet in packets for state in packet.ftrace_events.compact_sched.switch_prev_state)
    printed = Counter(harness.trace.read(shifted_recording).switches["prev_state"].to_pylist())
    assert (written[0], written[1], written[2]) == (printed["S"], printed["D"], printed["T"])
    assert written[128] > 100  # idle kernel threads, printed as R+
    assert written[128] + written[256] == printed["R+"]


def test_a_perfetto_trace_of_many_batches_loses_nothing(
    nginx_recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.trace.export.perfetto._BATCH_SWITCHES", 100)
    trace = harness.trace.read(nginx_recording)
    (target,) = export(nginx_recording, "perfetto", tmp_path / "trace.pftrace").paths
    packets = PerfettoTrace.FromString(target.read_bytes()).packet[1:]
    assert len(packets) == -(-trace.switches.num_rows // 100)
    bundles = [packet.ftrace_events.compact_sched for packet in packets]
    assert sum(len(bundle.switch_timestamp) for bundle in bundles) == trace.switches.num_rows
    assert sum(len(bundle.waking_timestamp) for bundle in bundles) == trace.wakeups.num_rows
