"""What the replay of CFS has to guess, because the recording or what lies beside it does not say it."""

from __future__ import annotations

from pathlib import Path

from model.data import parquet
from model.data.task_groups import groups_of
from model.replay import kernel


def guesses(folder: Path) -> list[str]:
    """Return each guess in words; none for a recording with its guest's facts, or of EEVDF. Raises TableError."""
    if kernel.is_eevdf(folder):
        return []
    kinds = set(parquet.coded(parquet.read(folder, "wakeups"), "kind")[0])
    told = {
        "which tasks are a scheduling group was inferred from vruntimes": bool(groups_of(folder)),
        "batch tasks were taken for normal ones": bool(groups_of(folder)),
        "latency and granularities are the kernel's defaults": kernel.knows_cfs_settings(folder),
        "the kernel was taken for one since Linux 5.14": kernel.release(folder) is not None,
        "when a task was queued was estimated (sched_waking without sched_wakeup)": "wakeup" in kinds,
        "vruntimes were guessed (no sched_stat_runtime)": len(parquet.read(folder, "runtimes")) > 0,
    }
    return [guess for guess, known in told.items() if not known]
