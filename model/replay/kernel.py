"""The kernel that made a recording, and the replay of that kernel's scheduler."""

from __future__ import annotations

import re
from pathlib import Path

from model.data import metadata
from model.data.streams import Stream
from model.errors import StreamError
from model.replay import cfs, eevdf_queue, events
from model.replay.candidates import Replay
from model.replay.cfs_replay import ReplayedCfs
from model.replay.eevdf_replay import GroupedOrFlatEevdf
from model.replay.names import ThreadNames

BUDDIES_KEPT_SINCE = (5, 14)  # earlier kernels clear a buddy whenever it is picked
EEVDF_SINCE = (6, 6)
DELAY_DEQUEUE_SINCE = (6, 12)
_SLICE = "/sys/kernel/debug/sched/base_slice_ns"
_FEATURES = "/sys/kernel/debug/sched/features"


def release(folder: Path) -> tuple[int, int] | None:
    """Return major and minor release, (6, 12) for 6.12.117-cloud-amd64; None if it is unknown."""
    match = re.match(r"(\d+)\.(\d+)", metadata.kernel(folder))
    return (int(match[1]), int(match[2])) if match else None


def is_eevdf(stream: Stream) -> bool:
    """Return whether the kernel has EEVDF: by its release or, if unknown, by whether it traces no vruntime."""
    version = release(stream.folder)
    return version >= EEVDF_SINCE if version else not events.has_vruntime(stream)


def require_cfs(stream: Stream) -> None:
    """Raise StreamError if the kernel has EEVDF, or if run times were accounted and none of them has a vruntime."""
    if is_eevdf(stream) or not events.has_vruntime(stream):
        reason = "its kernel has EEVDF (Linux 6.6 and later) or traces no vruntime (6.8 and later)"
        raise StreamError(f"{stream.folder}: {reason}: CFS cannot be replayed from it, eevdf_replay can")


def eevdf_rules(folder: Path, slice_ns: int | None = None, delay_dequeue: bool | None = None) -> eevdf_queue.Rules:
    """Return the given rules, else those of the recording's kernel, else those of Linux 6.12 on one CPU."""
    facts = metadata.guest_facts(folder).get("scheduler")
    scheduler = facts if isinstance(facts, dict) else {}
    features, defaults = str(scheduler.get(_FEATURES, "")).split(), eevdf_queue.Rules()
    if slice_ns is None:
        text = str(scheduler.get(_SLICE, ""))
        slice_ns = int(text) if text.isdigit() and int(text) else defaults.slice_ns
    if delay_dequeue is None:
        old = (release(folder) or DELAY_DEQUEUE_SINCE) < DELAY_DEQUEUE_SINCE
        delay_dequeue = "NO_DELAY_DEQUEUE" not in features and not old
    return eevdf_queue.Rules(slice_ns, delay_dequeue=delay_dequeue, run_to_parity="NO_RUN_TO_PARITY" not in features)


def create_replay(stream: Stream, names: ThreadNames) -> Replay:
    """Make the replay of the recording's kernel: EEVDF since Linux 6.6, CFS before. Raises TableError."""
    if is_eevdf(stream):
        return GroupedOrFlatEevdf(stream, names, eevdf_rules(stream.folder))
    version = release(stream.folder)
    forget = version is not None and version < BUDDIES_KEPT_SINCE
    return ReplayedCfs(stream, names, cfs.Rules(forget_buddies_when_picked=forget))
