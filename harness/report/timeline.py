"""Packs slices into the few bytes each that the page carries for its timeline.

One slice is five unsigned LEB128 numbers: the gap to the end of the slice before it on that CPU (ns, zigzag, since
clocks may step back), its length (ns), `slot * 2 + contested`, the end state's index, and the wakeup latency plus one
(ns; 0 where the task was preempted and so never waited for a wakeup). About 8 bytes a slice, 11 as base64.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.report.hits import Hits
from harness.report.recording_summary import RecordingSummary
from harness.visible import visible

SLICES_A_PAGE = 300_000
CPUS_SHOWN = 4
_SEVEN_BITS = 7


@dataclass(frozen=True)
class Timeline:
    """One CPU of one trial: `packed` is base64 and holds the last `shown` of `total` slices, from `start_ns` on."""

    trial: str
    cpu: int
    start_ns: int
    skipped_ns: int  # from the start of the recording to `start_ns`
    shown: int
    total: int
    busy_ns: int  # the sum of the packed slices; the page adds them up again to check that it unpacked them right
    states: tuple[str, ...]
    tasks: tuple[tuple[int, str], ...]
    packed: str
    hits: tuple[Hits, ...] = ()

    def meta(self) -> dict[str, Any]:
        """Return what the page's script needs besides the packed bytes, as plain values for JSON."""
        return {
            "trial": self.trial,
            "cpu": self.cpu,
            "start": str(self.start_ns),
            "skipped": self.skipped_ns,
            "shown": self.shown,
            "total": self.total,
            "busy": self.busy_ns,
            "states": list(self.states),
            "tasks": [[slot, label] for slot, label in self.tasks],
            "hits": [each.meta(self.shown) for each in self.hits],
        }


def timelines(
    recordings: Sequence[tuple[str, RecordingSummary]], hits: Sequence[Hits] = (), limit: int = SLICES_A_PAGE
) -> list[Timeline]:
    """Pack the slices of every (trial name, recording) and CPU; together they show at most `limit` slices.

    Of a longer recording it is the end, because predictors are scored there.
    """
    parts = [
        (name, int(str(cpu)), recording, rows)
        for name, recording in recordings
        for cpu, rows in list(recording.slices.groupby("cpu", sort=True))[:CPUS_SHOWN]
    ]
    shares = _shares([len(rows) for *_, rows in parts], limit)
    return [
        _timeline(name, cpu, recording, rows, most, [each for each in hits if (each.trial, each.cpu) == (name, cpu)])
        for (name, cpu, recording, rows), most in zip(parts, shares, strict=True)
    ]


def _shares(wanted: list[int], limit: int) -> list[int]:
    """Divide `limit` evenly; a share that is not used up goes to the others."""
    shares = [0] * len(wanted)
    left = limit
    for rank, index in enumerate(sorted(range(len(wanted)), key=wanted.__getitem__)):
        shares[index] = min(wanted[index], left // (len(wanted) - rank))
        left -= shares[index]
    return shares


def _timeline(
    name: str, cpu: int, recording: RecordingSummary, rows: pd.DataFrame, most: int, hits: Sequence[Hits]
) -> Timeline:
    tail = rows.iloc[len(rows) - most :]
    states, state_names = pd.factorize(tail["end_state"].astype(object).fillna("?"))
    slots = set(tail["slot"].tolist())
    start_ns = int(tail["start_ns"].iloc[0]) if len(tail) else 0
    return Timeline(
        trial=name,
        cpu=cpu,
        start_ns=start_ns,
        skipped_ns=start_ns - int(recording.slices["start_ns"].iloc[0]) if len(tail) else 0,
        shown=len(tail),
        total=len(rows),
        busy_ns=int(tail["slice_ns"].sum()),
        states=tuple(visible(state) for state in state_names),
        tasks=tuple((task.slot, task.label) for task in recording.tasks if task.slot in slots),
        packed=base64.b64encode(pack(tail, states)).decode("ascii"),
        hits=tuple(hits),
    )


def pack(rows: pd.DataFrame, states: np.ndarray) -> bytes:
    """Encode the slices in `rows`; `states` holds the index of the end state of each."""
    starts = rows["start_ns"].to_numpy(dtype=np.int64)
    lengths = rows["slice_ns"].to_numpy(dtype=np.int64)
    gaps = starts - np.concatenate([starts[:1], (starts + lengths)[:-1]])
    waited = rows["wait_ns"].to_numpy(dtype=np.int64)
    contested = rows["contested"].fillna(False).to_numpy(dtype=bool)
    columns = [
        np.where(gaps < 0, -2 * gaps - 1, 2 * gaps),
        np.maximum(lengths, 0),
        rows["slot"].to_numpy(dtype=np.int64) * 2 + contested,
        np.asarray(states, dtype=np.int64),
        np.maximum(waited, -1) + 1,
    ]
    return leb128(np.stack(columns, axis=1).ravel())


def leb128(values: np.ndarray) -> bytes:
    """Encode non-negative integers as unsigned LEB128, all at once (DWARF 5, section 7.6)."""
    if not values.size:
        return b""
    unsigned = values.astype(np.uint64)
    widths = np.maximum(1, -(-_bit_length(unsigned) // _SEVEN_BITS))
    digits = np.arange(int(widths.max()), dtype=np.uint64)
    sevens = (unsigned[:, None] >> (digits * np.uint64(_SEVEN_BITS))) & np.uint64(0x7F)
    used = digits[None, :] < widths[:, None].astype(np.uint64)
    continued = digits[None, :] < (widths[:, None] - 1).astype(np.uint64)
    return (sevens | (continued.astype(np.uint64) << np.uint64(_SEVEN_BITS)))[used].astype(np.uint8).tobytes()


def _bit_length(values: np.ndarray) -> np.ndarray:
    lengths = np.zeros(values.shape, dtype=np.int64)
    left = values.copy()
    for step in (32, 16, 8, 4, 2, 1):
        large = left >= (np.uint64(1) << np.uint64(step))
        lengths[large] += step
        left[large] >>= np.uint64(step)
    return lengths + (left > 0)
