"""Summarises the slices of one trial: which tasks ran, for how long, and how long they waited."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as compute
import pyarrow.parquet as parquet

from harness.visible import visible

TASKS_SHOWN = 12
REST = "all others"
_BINS_A_DECADE = 8
_COLUMNS = ["start_ns", "slice_ns", "cpu", "comm", "tid", "end_state", "wake_ns", "contested"]


@dataclass(frozen=True)
class Distribution:
    """A distribution of durations: their count, quantiles in nanoseconds, and a histogram on a logarithmic grid."""

    count: int
    p05: float
    p25: float
    p50: float
    p75: float
    p95: float
    p99: float
    bins: tuple[int, ...]


@dataclass(frozen=True)
class TaskSummary:
    """One task of one trial; `slot` is its colour, the same in every figure of the page."""

    label: str
    slot: int
    switches: int
    cpu_share: float
    slices: Distribution
    latency: Distribution | None


@dataclass(frozen=True)
class RecordingSummary:
    """One trial's slices in numbers. Shares are between 0 and 1; `span_s` is the recorded time."""

    switches: int
    span_s: float
    contested_share: float | None
    idle_share: float
    latency: Distribution | None
    tasks: list[TaskSummary]
    task_count: int
    unended: int  # slices whose end was not recorded; the other numbers leave them out
    edges_ns: tuple[float, ...]
    slices: pd.DataFrame  # start_ns, slice_ns, cpu, slot, end_state, wait_ns, contested; sorted by start_ns


def read_slices(folder: Path) -> pd.DataFrame:
    """Read the slices of one trial, sorted by time; `task` is a label, `wait_ns` the wakeup latency or -1 for none.

    Raises OSError, ValueError or KeyError (pyarrow's own errors derive from them) where the table is not readable.
    """
    with pa.OSFile(os.fsencode(folder / "slices.parquet")) as source:  # its name may be no UTF-8
        table = parquet.read_table(source, columns=_COLUMNS, page_checksum_verification=True)
    unended = table["slice_ns"].null_count
    table = table.filter(compute.is_valid(table["slice_ns"]))
    wait = compute.fill_null(compute.subtract(table["start_ns"], table["wake_ns"].cast("int64")), -1)
    table = table.drop_columns("wake_ns").append_column("wait_ns", wait)
    frame = table.to_pandas().sort_values("start_ns", kind="stable", ignore_index=True)
    frame["task"] = _labels(frame)
    frame.attrs["unended"] = unended
    return frame


def _labels(frame: pd.DataFrame) -> pd.Categorical:
    """Label the task of every slice: its comm, numbered by first appearance where tasks share it; idle is one task.

    Tids are unique too, but differ in every recording, whereas `nginx#1` can be compared between recordings.
    """
    comm_codes, comms = pd.factorize(frame["comm"])
    tids = frame["tid"].to_numpy(dtype=np.int64)
    codes, keys = pd.factorize(comm_codes.astype(np.int64) << 32 | tids)
    comm_of_key = [int(key) >> 32 for key in keys]
    sharing = Counter(comm for comm, key in zip(comm_of_key, keys, strict=True) if int(key) & 0xFFFFFFFF)
    numbered: Counter[int] = Counter()
    names = []
    for code, key in zip(comm_of_key, keys, strict=True):
        comm, idle = visible(comms[code]), not int(key) & 0xFFFFFFFF
        names.append("idle" if idle else comm if sharing[code] == 1 else f"{comm}#{numbered[code]}")
        numbered[code] += not idle
    categories = list(dict.fromkeys(names))
    category = {name: index for index, name in enumerate(categories)}
    return pd.Categorical.from_codes(
        np.array([category[name] for name in names], dtype=np.int64)[codes], pd.Index(categories)
    )


def assign_colours(frames: list[pd.DataFrame]) -> dict[str, int]:
    """Give the tasks with most switches over all trials a colour slot each: idle has 0, the rest share the last."""
    totals: dict[str, int] = {}
    for frame in frames:
        for label, switches in frame["task"].value_counts().items():
            totals[str(label)] = totals.get(str(label), 0) + int(switches)
    totals.pop("idle", None)
    chosen = sorted(totals, key=lambda label: (-totals[label], label))[: TASKS_SHOWN - 1]
    return {"idle": 0} | {label: slot for slot, label in enumerate(chosen, start=1)}


def summarise(frame: pd.DataFrame, slots: dict[str, int]) -> RecordingSummary:
    """Turn one trial's slices into the numbers that the page shows."""
    frame = frame.copy(deep=False)
    task_slots = np.array(
        [slots.get(str(label), TASKS_SHOWN) for label in frame["task"].cat.categories], dtype=np.int64
    )
    frame["slot"] = task_slots[frame["task"].cat.codes.to_numpy()] if len(frame) else np.empty(0, dtype=np.int64)
    lengths = frame["slice_ns"].to_numpy(dtype=np.float64)
    waited = frame["wait_ns"].to_numpy(dtype=np.float64)
    waited = np.where(waited >= 0, waited, np.nan)
    edges = _edges(np.concatenate([lengths, waited]))
    total = float(lengths.sum()) or 1.0
    begin, end = int(frame["start_ns"].min()), int((frame["start_ns"] + frame["slice_ns"]).max())
    contested = frame["contested"].dropna()
    names = {slot: label for label, slot in slots.items()} | {TASKS_SHOWN: REST}
    tasks = [
        _task(names[slot], slot, lengths[rows], waited[rows], edges, total)
        for slot in sorted(set(frame["slot"].tolist()))
        for rows in [(frame["slot"] == slot).to_numpy()]
    ]
    return RecordingSummary(
        switches=len(frame),
        span_s=(end - begin) / 1e9,
        contested_share=float(contested.astype(bool).mean()) if len(contested) else None,
        idle_share=float(lengths[(frame["slot"] == 0).to_numpy()].sum()) / total,
        latency=_distribution(waited[(frame["slot"] != 0).to_numpy()], edges),
        tasks=sorted(tasks, key=lambda task: (task.slot == TASKS_SHOWN, -task.switches)),
        unended=frame.attrs.get("unended", 0),
        task_count=int(frame["task"].nunique()),
        edges_ns=tuple(edges.tolist()),
        slices=frame,
    )


def _task(
    label: str, slot: int, lengths: np.ndarray, waited: np.ndarray, edges: np.ndarray, total: float
) -> TaskSummary:
    slices = _distribution(lengths, edges)
    if slices is None:  # every slot comes from a slice, and a slice always has a length
        raise ValueError(f"the task {label} has no slices")
    latency = None if slot == 0 else _distribution(waited, edges)
    return TaskSummary(label, slot, slices.count, float(lengths.sum()) / total, slices, latency)


def _edges(values: np.ndarray) -> np.ndarray:
    """Return bin edges in nanoseconds, eight per decade, over whole decades that hold every value from 100 ns on."""
    known = values[np.isfinite(values) & (values > 0)]
    low, high = (known.min(), known.max()) if known.size else (1e3, 1e6)
    first = int(np.clip(np.floor(np.log10(low)), 2, 9))
    last = int(np.clip(np.ceil(np.log10(high) + 1e-9), first + 1, 12))
    return np.logspace(first, last, (last - first) * _BINS_A_DECADE + 1)


def _distribution(values: np.ndarray, edges: np.ndarray) -> Distribution | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    p05, p25, p50, p75, p95, p99 = map(float, np.quantile(known, [0.05, 0.25, 0.5, 0.75, 0.95, 0.99]))
    bins, _ = np.histogram(np.clip(known, edges[0], edges[-1]), bins=edges)
    return Distribution(int(known.size), p05, p25, p50, p75, p95, p99, tuple(int(n) for n in bins))
