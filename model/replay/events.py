"""One CPU's recording as one sequence of events in time order: switches, wakeups, forks and accounted run times."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from model.data import parquet
from model.data.streams import STATES, Stream

# Kinds, in the order in which events of one nanosecond are replayed. WAKING: a task is to be queued; WOKEN: it is.
RUNTIME, WAKING, WOKEN, FORK, SWITCH = 0, 1, 2, 3, 4
_WAKEUPS = {"waking": WAKING, "wakeup": WOKEN, "wakeup_new": FORK}
_RUNNABLE = tuple(code for code, state in enumerate(STATES) if state in ("R", "R+", "P"))


@dataclass(frozen=True)
class Events:
    """(m,) int64 columns in time order; -1 where an event has no such value."""

    time_ns: np.ndarray
    kind: np.ndarray
    tid: np.ndarray
    prio: np.ndarray
    value: np.ndarray  # runtime_ns of a run time, the event number in the stream of a switch
    vruntime_ns: np.ndarray


def read_events(stream: Stream, stop: int) -> Events:
    """Read the events of the stream's CPU up to the switch that begins event `stop - 1`. Raises TableError."""
    tables = [_switches(stream, stop), _wakeups(stream), _runtimes(stream)]
    end_ns = int(stream.start_ns[stop - 1]) if stop else -1
    columns = [np.concatenate(parts) for parts in zip(*tables, strict=True)]
    before_end = columns[0] <= end_ns
    columns = [column[before_end] for column in columns]
    order = np.lexsort((columns[1], columns[0]))
    return Events(*(column[order] for column in columns))


def with_wakings(events: Events) -> Events:
    """Return the events with WAKING alone for wakeups: WOKEN are left out or, where there is no WAKING, renamed."""
    woken = events.kind == WOKEN
    if (events.kind == WAKING).any():
        return Events(*(getattr(events, column.name)[~woken] for column in fields(Events)))
    return replace(events, kind=np.where(woken, WAKING, events.kind))


def still_runnable(stream: Stream, event: int) -> bool:
    """Return whether the task of `event` was still runnable when its slice ended."""
    return int(stream.end_state[event]) in _RUNNABLE


def _switches(stream: Stream, stop: int) -> list[np.ndarray]:
    absent = np.full(stop, -1, np.int64)
    return [stream.start_ns[:stop], np.full(stop, SWITCH), absent, absent, np.arange(stop), absent]


def _wakeups(stream: Stream) -> list[np.ndarray]:
    table = parquet.read(stream.folder, "wakeups")
    texts, code = parquet.coded(table, "kind")
    kind = np.array([_WAKEUPS.get(text, -1) for text in texts], np.int64)[code]
    keep = (kind >= 0) & (table["target_cpu"].to_numpy() == stream.cpu)
    time_ns, tid, prio = (table[name].to_numpy()[keep].astype(np.int64) for name in ("time_ns", "tid", "prio"))
    absent = np.full(len(tid), -1, np.int64)
    return [time_ns, kind[keep], tid, prio, absent, absent]


def _runtimes(stream: Stream) -> list[np.ndarray]:
    table = parquet.read(stream.folder, "runtimes")
    keep = table["cpu"].to_numpy() == stream.cpu
    vruntime = table["vruntime_ns"].fill_null(-1).to_numpy()[keep].astype(np.int64)
    time_ns, tid, run = (table[name].to_numpy()[keep].astype(np.int64) for name in ("time_ns", "tid", "runtime_ns"))
    return [time_ns, np.full(len(tid), RUNTIME), tid, np.full(len(tid), -1), run, vruntime]


def has_vruntime(folder: Path) -> bool:
    """Return whether the accounted run times have a vruntime, as those of kernels before 6.8 have."""
    table = parquet.read(folder, "runtimes")
    return not len(table) or table["vruntime_ns"].null_count < len(table)
