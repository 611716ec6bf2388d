"""What a recording says of the kernel it was made on, in the `guest.json` beside its tables."""

from __future__ import annotations

import re
from pathlib import Path

from model.data.metadata import guest_facts
from model.data.streams import Stream
from model.replay import events
from model.replay.eevdf_queue import Rules

EEVDF_SINCE = (6, 6)
DELAY_DEQUEUE_SINCE = (6, 12)
_SLICE = "/sys/kernel/debug/sched/base_slice_ns"
_FEATURES = "/sys/kernel/debug/sched/features"


def release(folder: Path) -> tuple[int, int] | None:
    """(6, 12) of 6.12.117-cloud-amd64; None where it is not told."""
    found = re.match(r"(\d+)\.(\d+)", str(guest_facts(folder).get("kernel", "")))
    return (int(found[1]), int(found[2])) if found else None


def is_eevdf(stream: Stream) -> bool:
    """By the kernel's release, and where that is not told, by its tracing no vruntime."""
    told = release(stream.folder)
    return told >= EEVDF_SINCE if told else not events.has_vruntime(stream)


def eevdf_rules(folder: Path, slice_ns: int | None = None, delay_dequeue: bool | None = None) -> Rules:
    """As asked for, else as the recording tells, else those of Linux 6.12 on one CPU."""
    told = guest_facts(folder).get("scheduler")
    scheduler = told if isinstance(told, dict) else {}
    features, known = str(scheduler.get(_FEATURES, "")).split(), Rules()
    if slice_ns is None:
        text = str(scheduler.get(_SLICE, ""))
        slice_ns = int(text) if text.isdigit() and int(text) else known.slice_ns
    if delay_dequeue is None:
        old = (release(folder) or DELAY_DEQUEUE_SINCE) < DELAY_DEQUEUE_SINCE
        delay_dequeue = "NO_DELAY_DEQUEUE" not in features and not old
    return Rules(slice_ns, delay_dequeue=delay_dequeue, run_to_parity="NO_RUN_TO_PARITY" not in features)
