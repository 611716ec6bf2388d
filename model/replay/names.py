"""The name of a thread at a given time, from slices and wakeups: threads change their names, and tids are reused."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data import parquet


@dataclass(frozen=True)
class ThreadNames:
    """For each tid the times (ns, ascending) at which its name changed, the first one included, and the names."""

    since_ns: dict[int, list[int]] = field(default_factory=dict)
    names: dict[int, list[str]] = field(default_factory=dict)

    def name_at(self, tid: int, time_ns: int) -> str:
        """Return the last name up to then; the first name if that comes later, "" for an unknown tid."""
        since_ns = self.since_ns.get(tid)
        return self.names[tid][max(bisect_right(since_ns, time_ns) - 1, 0)] if since_ns else ""


def read_thread_names(folder: Path) -> ThreadNames:
    """Read the names of a recording's threads. Raises TableError.

    The name in a wakeup is valid from the time of the wakeup. The name in a slice is valid from 1 ns after the switch:
    at the switch, a replay must not know the picked task.
    """
    tables = [_table_names(folder, "slices", "start_ns", 1), _table_names(folder, "wakeups", "time_ns", 0)]
    texts = list(dict.fromkeys(text for table in tables for text in table[0]))
    index = {text: number for number, text in enumerate(texts)}
    name = np.concatenate([np.array([index[text] for text in table[0]])[table[1]] for table in tables])
    tid, time_ns = (np.concatenate([table[column] for table in tables]) for column in (2, 3))
    order = np.lexsort((time_ns, tid))
    tid, time_ns, name = tid[order], time_ns[order], name[order]
    changed = np.ones(len(tid), bool)
    changed[1:] = (tid[1:] != tid[:-1]) | (name[1:] != name[:-1])
    thread_names = ThreadNames()
    for thread, since, number in zip(
        tid[changed].tolist(), time_ns[changed].tolist(), name[changed].tolist(), strict=True
    ):
        thread_names.since_ns.setdefault(thread, []).append(since)
        thread_names.names.setdefault(thread, []).append(texts[number])
    return thread_names


def _table_names(
    folder: Path, table_name: str, time: str, delay_ns: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Return a table's names, and per row (n,) the name's index, the tid, and the time (ns) from which it is valid."""
    table = parquet.read(folder, table_name)
    texts, code = parquet.coded(table, "comm")
    return texts, code, table["tid"].to_numpy().astype(np.int64), table[time].to_numpy().astype(np.int64) + delay_ns
