"""One CPU's recording as one sequence: switches, wakeups and accounted run times, in the order they were traced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from model.data import parquet
from model.data.streams import STATES, Stream
from model.errors import StreamError

RUNTIME, WAKEUP, FORK, SWITCH = 0, 1, 2, 3  # the order in which events of one nanosecond are taken
_RUNNABLE = tuple(code for code, state in enumerate(STATES) if state in ("R", "R+", "P"))


@dataclass(frozen=True)
class Events:
    """(m,) each, in time order. `value` is runtime_ns, or the event number of a switch; `vruntime_ns` -1 if unknown."""

    time_ns: np.ndarray
    kind: np.ndarray
    tid: np.ndarray
    prio: np.ndarray
    value: np.ndarray
    vruntime_ns: np.ndarray


def read(stream: Stream, stop: int) -> Events:
    """Everything on the stream's CPU up to the switch that begins event `stop - 1`. Raises TableError, StreamError."""
    parts = [_switches(stream, stop), _wakeups(stream), _runtimes(stream)]
    end_ns = int(stream.start_ns[stop - 1]) if stop else -1
    columns = [np.concatenate([part[column] for part in parts]) for column in range(6)]
    keep = columns[0] <= end_ns
    columns = [column[keep] for column in columns]
    order = np.lexsort((columns[1], columns[0]))
    return Events(*(column[order] for column in columns))


def still_runnable(stream: Stream, event: int) -> bool:
    """Whether the task of `event` wanted to go on when its slice ended."""
    return int(stream.end_state[event]) in _RUNNABLE


def _switches(stream: Stream, stop: int) -> list[np.ndarray]:
    size, nothing = stop, np.full(stop, -1, np.int64)
    return [stream.start_ns[:stop], np.full(size, SWITCH), nothing, nothing, np.arange(size), nothing]


def _wakeups(stream: Stream) -> list[np.ndarray]:
    table = parquet.read(stream.folder, "wakeups")
    kind = np.array(parquet.texts(table, "kind"), dtype=object)
    # `waking` comes when a task is chosen to wake, `wakeup` when it is queued; a recording has either or both.
    woken = kind == ("waking" if "waking" in kind else "wakeup")
    keep = (woken | (kind == "wakeup_new")) & (table["target_cpu"].to_numpy() == stream.cpu)
    columns = [table[name].to_numpy()[keep].astype(np.int64) for name in ("time_ns", "tid", "prio")]
    kinds = np.where(kind[keep] == "wakeup_new", FORK, WAKEUP)
    nothing = np.full(int(keep.sum()), -1, np.int64)
    return [columns[0], kinds, columns[1], columns[2], nothing, nothing]


def _runtimes(stream: Stream) -> list[np.ndarray]:
    table = parquet.read(stream.folder, "runtimes")
    keep = table["cpu"].to_numpy() == stream.cpu
    vruntime = table["vruntime_ns"].fill_null(-1).to_numpy()[keep].astype(np.int64)
    time_ns, tid, run = (table[name].to_numpy()[keep].astype(np.int64) for name in ("time_ns", "tid", "runtime_ns"))
    return [time_ns, np.full(len(tid), RUNTIME), tid, np.full(len(tid), -1), run, vruntime]


def has_vruntime(stream: Stream) -> bool:
    """Whether a recording's accounted run times say a vruntime; so do those of kernels before 6.8."""
    table = parquet.read(stream.folder, "runtimes")
    return not len(table) or table["vruntime_ns"].null_count < len(table)


def demand_vruntime(stream: Stream) -> None:
    """Raises StreamError where run times were accounted and none of them says a vruntime."""
    if not has_vruntime(stream):
        kernel = "its kernel traces no vruntime (EEVDF, Linux 6.6 and later)"
        raise StreamError(f"{stream.folder}: {kernel}: CFS cannot be replayed from it, eevdf_replay can")
