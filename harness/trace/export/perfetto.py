"""A trace for Perfetto, written with the protobuf classes of the perfetto package.

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
from harness.trace.export import Exported, ReadOptions
from harness.trace.quality import require_switches
from harness.trace.reader import Trace, read
from harness.trace.runqueue.slicer import true_states_of
from harness.trace.tables.columns import codes, numbers, texts

_BATCH_SWITCHES = 50_000  # in one packet
# TASK_* of include/linux/sched.h since 4.14, by which Perfetto reads prev_state
_STATES = {"R": 0, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "Z": 32, "P": 64, "I": 128, "R+": 256}


def export(recording: Path, target: Path, kind: str, options: ReadOptions) -> Exported:
    """Write the trace to the file `target`."""
    trace = read(recording, strict=options.strict, formats_from=options.formats_from, states=options.states)
    require_switches(trace.path, trace.quality)
    make_folder(target.parent)
    with atomic_file(target) as file:
        file.write(_system(trace).SerializeToString())
        place = trace.switches.schema.get_field_index("prev_state")
        switches = trace.switches.set_column(place, "prev_state", true_states_of(trace))
        for cpu in np.unique(numbers(switches, "cpu")).tolist():
            for packets in _bundles(switches, trace.wakeups, cpu):
                file.write(packets.SerializeToString())
    return Exported([target], trace.quality)


def _system(trace: Trace) -> Any:
    """Return the first packet, with the kernel's release, from which Perfetto derives the meaning of the states."""
    packets = PerfettoTrace()
    name = packets.packet.add().system_info.utsname
    name.sysname, name.machine = "Linux", trace.header.arch or ""
    name.release = trace.header.os_release or ""
    return packets


def _bundles(all_switches: pa.Table, wakeups: pa.Table, cpu: int) -> list[Any]:
    """Return packets with the events of one CPU, each with the wakeups between its switches."""
    switches = all_switches.filter(pc.equal(all_switches["cpu"], cpu))
    wakings = wakeups.filter(pc.equal(wakeups["cpu"], cpu))
    edges = numbers(switches, "time_ns")[_BATCH_SWITCHES::_BATCH_SWITCHES]
    cuts = np.concatenate([[0], np.searchsorted(numbers(wakings, "time_ns"), edges), [wakings.num_rows]])
    bundles = []
    for index in range(len(cuts) - 1):
        packets = PerfettoTrace()
        packet = packets.packet.add()
        packet.trusted_packet_sequence_id = cpu + 1
        packet.ftrace_events.cpu = cpu
        batch = switches.slice(index * _BATCH_SWITCHES, _BATCH_SWITCHES)
        between = wakings.slice(int(cuts[index]), int(cuts[index + 1] - cuts[index]))
        _fill(packet.ftrace_events.compact_sched, batch, between)
        bundles.append(packets)
    return bundles


def _fill(target: Any, switches: pa.Table, wakings: pa.Table) -> None:
    next_names, waking_names = texts(switches, "next_comm"), texts(wakings, "comm")
    target.intern_table.extend(next_names + waking_names)
    target.switch_timestamp.extend(_time_differences(switches))
    states = np.array([_state_bits(text) for text in texts(switches, "prev_state")] or [0])
    target.switch_prev_state.extend(states[codes(switches, "prev_state")].tolist())
    target.switch_next_pid.extend(numbers(switches, "next_tid").tolist())
    target.switch_next_prio.extend(numbers(switches, "next_prio").tolist())
    target.switch_next_comm_index.extend(codes(switches, "next_comm").tolist())
    target.waking_timestamp.extend(_time_differences(wakings))
    target.waking_pid.extend(numbers(wakings, "tid").tolist())
    target.waking_target_cpu.extend(numbers(wakings, "target_cpu").tolist())
    target.waking_prio.extend(numbers(wakings, "prio").tolist())
    target.waking_comm_index.extend((codes(wakings, "comm") + len(next_names)).tolist())
    target.waking_common_flags.extend([0] * wakings.num_rows)


def _time_differences(table: pa.Table) -> list[int]:
    return np.diff(numbers(table, "time_ns"), prepend=0).tolist()


def _state_bits(letters: str) -> int:
    """Return the number of a state: the bits of its letters, or its hexadecimal digits."""
    parts = letters.removesuffix("+").split("|")
    bits = sum(_STATES[part] if part in _STATES else int(part, 16) if part.startswith("0x") else 0 for part in parts)
    return bits | (_STATES["R+"] if letters.endswith("+") else 0)
