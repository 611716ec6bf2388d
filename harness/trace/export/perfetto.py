"""A trace for Perfetto, written with the perfetto package's own protobuf classes.

Switches and wakeups go into `compact_sched`, one bundle per CPU and batch: columns of numbers with times as
differences, and a table of names (perfetto's ftrace_event_bundle.proto).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace as PerfettoTrace

from harness.files import atomic_file, make_folder
from harness.trace.reader import Trace, read
from harness.trace.tables.columns import codes, numbers, texts
from harness.trace.tracepoint.task_state import true_state

_BATCH = 50_000  # switches in a packet
# the numbers of include/linux/sched.h since 4.14, which Perfetto reads prev_state by
_STATES = {"R": 0, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "Z": 32, "P": 64, "I": 128, "R+": 256}


def export(recording: Path, target: Path, kind: str, formats_from: Path | None) -> list[Path]:
    """Write the trace to the file `target`."""
    trace = read(recording, formats_from=formats_from)
    make_folder(target.parent)
    with atomic_file(target) as file:
        file.write(_system(trace).SerializeToString())
        for cpu in np.unique(numbers(trace.switches, "cpu")).tolist():
            for packets in _bundles(trace, cpu):
                file.write(packets.SerializeToString())
    return [target]


def _system(trace: Trace) -> Any:
    """A first packet with the kernel's release, by which Perfetto knows what the states mean."""
    packets = PerfettoTrace()
    name = packets.packet.add().system_info.utsname
    name.sysname, name.machine = "Linux", trace.header.arch or ""
    name.release = trace.header.os_release or ""
    return packets


def _bundles(trace: Trace, cpu: int) -> list[Any]:
    """Packets with the events of one CPU, whose wakeups lie between its switches."""
    switches = trace.switches.filter(pc.equal(trace.switches["cpu"], cpu))
    wakings = trace.wakeups.filter(pc.equal(trace.wakeups["cpu"], cpu))
    edges = numbers(switches, "time_ns")[_BATCH::_BATCH]
    cuts = np.concatenate([[0], np.searchsorted(numbers(wakings, "time_ns"), edges), [wakings.num_rows]])
    found = []
    for place in range(len(cuts) - 1):
        packets = PerfettoTrace()
        packet = packets.packet.add()
        packet.trusted_packet_sequence_id = cpu + 1
        packet.ftrace_events.cpu = cpu
        part = wakings.slice(int(cuts[place]), int(cuts[place + 1] - cuts[place]))
        _fill(packet.ftrace_events.compact_sched, switches.slice(place * _BATCH, _BATCH), part, trace.shifted_states)
        found.append(packets)
    return found


def _fill(target: Any, switches: pa.Table, wakings: pa.Table, shifted: bool) -> None:
    next_names, waking_names = texts(switches, "next_comm"), texts(wakings, "comm")
    target.intern_table.extend(next_names + waking_names)
    target.switch_timestamp.extend(_differences(switches))
    states = np.array([_number(true_state(text, shifted)) for text in texts(switches, "prev_state")] or [0])
    target.switch_prev_state.extend(states[codes(switches, "prev_state")].tolist())
    target.switch_next_pid.extend(numbers(switches, "next_tid").tolist())
    target.switch_next_prio.extend(numbers(switches, "next_prio").tolist())
    target.switch_next_comm_index.extend(codes(switches, "next_comm").tolist())
    target.waking_timestamp.extend(_differences(wakings))
    target.waking_pid.extend(numbers(wakings, "tid").tolist())
    target.waking_target_cpu.extend(numbers(wakings, "target_cpu").tolist())
    target.waking_prio.extend(numbers(wakings, "prio").tolist())
    target.waking_comm_index.extend((codes(wakings, "comm") + len(next_names)).tolist())
    target.waking_common_flags.extend([0] * wakings.num_rows)


def _differences(table: pa.Table) -> list[int]:
    times: np.ndarray = numbers(table, "time_ns")
    return np.diff(times, prepend=0).tolist()


def _number(letters: str) -> int:
    """The number of a state: the sum of its letters' bits, or what is given in hexadecimal."""
    parts = letters.removesuffix("+").split("|")
    bits = sum(_STATES[part] if part in _STATES else int(part, 16) if part.startswith("0x") else 0 for part in parts)
    return bits | (256 if letters.endswith("+") else 0)
