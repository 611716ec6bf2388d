"""Feeds trackers and sums random events; run under sanitizers, which end it where it touches memory not its own.

Run as a program: `any_events.py LIBRARY ROUNDS`.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from table_decoder import TableDecoder

from harness.trace.native import library
from harness.trace.runqueue.sums import LeftAs, Sums
from harness.trace.runqueue.tracker import EventBatch, Tracker
from harness.trace.tables.columns import numbers, previous_in_group


def any_tables(draw: random.Random, rows: int, first_ns: int, in_order: bool) -> list[pa.Table]:
    """Draw switches, wakeups and migrations of few or many tasks and CPUs, in the order of time or in none."""
    tids = draw.choice(
        [[0, 1, 2, 3], list(range(200)), [-(1 << 31), -1, 0, (1 << 31) - 1], list(range(0, 1 << 20, 257))]
    )
    cpus = draw.choice([[0], [0, 1], [-32768, -1, 32767]])

    def times() -> np.ndarray:
        drawn = np.array([first_ns + draw.randrange(rows + 1) for _ in range(rows)], np.int64)
        return np.sort(drawn) if in_order else drawn

    def some(values: list[int], dtype: str) -> np.ndarray:
        return np.array(draw.choices(values, k=rows), dtype)

    switches = {"time_ns": times(), "cpu": some(cpus, "i2"), "prev_tid": some(tids, "i4"), "next_tid": some(tids, "i4")}
    wakeups = {"time_ns": times(), "tid": some(tids, "i4"), "target_cpu": some(cpus, "i2")}
    moves = {"time_ns": times(), "tid": some(tids, "i4"), "dest_cpu": some(cpus, "i2")}
    return [pa.table(columns) for columns in (switches, wakeups, moves)]


def add_up_random_events(draw: random.Random) -> int:
    """Add up a random stream in pieces. Return how many tasks and CPUs it has."""
    rows = draw.choice([0, 1, 5, 400])
    switches, wakeups, moves = any_tables(draw, rows, 0, in_order=True)
    codes = np.zeros(rows, "i4")
    for name in ("prev_state", "prev_comm", "next_comm"):
        switches = switches.append_column(name, pa.array(codes))
    runtimes = wakeups.rename_columns(["time_ns", "tid", "cpu"]).append_column("comm", pa.array(codes))
    runtimes = runtimes.append_column("runtime_ns", pa.array(np.full(rows, draw.choice([1, (1 << 63) - 1]), "i8")))
    decoder = TableDecoder({"switches": switches, "wakeups": wakeups, "migrations": moves, "runtimes": runtimes})
    meaning = draw.choice(list(LeftAs))
    sums = Sums(lambda _: meaning, draw.random() < 0.3, draw.choice([0, 3, 1000]))
    for limit_ns in (rows // 3, rows // 2, None):
        sums.take(decoder, limit_ns)  # type: ignore[arg-type]
    previous_in_group(numbers(wakeups, "tid"))
    return len(list(sums.tasks())) + len(list(sums.cpus()))


def feed_random_events(rounds: int) -> int:
    """Feed random streams to trackers and sums, and read all results. Return how many tasks and CPUs they hold."""
    draw, values = random.Random(7), 0
    for _ in range(rounds):
        tracker = Tracker(draw.random() < 0.3, draw.choice([0, 3, 1000]))
        in_order = draw.random() < 0.7
        for block in range(3):
            rows = draw.choice([0, 1, 5, 400])
            tables = any_tables(draw, rows, block * 1000, in_order)
            before_ns = draw.choice([None, block * 1000 + rows // 2])
            settled = rows if before_ns is None else int(np.searchsorted(tables[0]["time_ns"].to_numpy(), before_ns))
            wants, group = np.array(draw.choices([True, False], k=rows), bool), draw.choices([0, 1, 1, 2, 3], k=settled)
            waits = tracker.feed(EventBatch(*tables, wants, np.array(group, np.uint8)), before_ns)
            values += sum(int(np.sum(sets.flatten().to_numpy() * 0 + 1)) for sets in waits.sets)
        values += add_up_random_events(draw)
    return values


if __name__ == "__main__":
    library.LIBRARY = Path(sys.argv[1])
    print(feed_random_events(int(sys.argv[2])))
