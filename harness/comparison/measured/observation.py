"""What each usable trial of a run measured, and where and when: host, boot, block."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from harness.comparison.measured.metrics import BY_KERNEL
from harness.errors import StoreError
from harness.load_results import metrics_of, results
from harness.noise.odd_trials import switches_per_s
from harness.recorded_clock import RecordedClock
from harness.store import RunFolder
from harness.store.finished_steps import arm_of, finished_models, usable_trials
from harness.store.integrity import COMPARED
from harness.store.trial_record import HINT, read_guest, read_scores, read_trial

QUANTILES = {"slice p50": 0.50, "slice p90": 0.90, "slice p99": 0.99}
WAKEUP_QUANTILES = {"wakeup latency p50": 0.50, "wakeup latency p90": 0.90, "wakeup latency p99": 0.99}
SCORES = {  # of a predictor -> its name in `by_trial` of scores.json
    "accuracy": "top1",
    "contested accuracy": "contested_top1",
    "bits/switch": "bits_per_switch",
}
COMPARED_SCORES = ("contested accuracy", "bits/switch")
LENGTHS = pa.schema([pa.field("slice_ns", pa.int64(), nullable=False), pa.field("tid", pa.int32(), nullable=False)])
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Observation:
    """What one usable trial measured.

    `host` and `boot` are `unknown` where nothing names them. `block` is the round of the campaign that the trial
    belongs to; `recorded_at` (UTC) is when its recording began; `late`: a later block had begun by then. `values` has
    finite numbers by the metric's name, in the metric's own unit (`metrics.metric`); those of a predictor are the means
    of `scores`, which has one for each seed, None where the seed has none. `settings` are the swept values. `load_s` is
    how long the load ran by its own count, with what it did before and after the recording; None of a mix.
    """

    run: str
    trial: str
    arm: str
    folder: Path
    host: str
    boot: str
    block: int
    recorded_at: str
    late: bool
    values: Mapping[str, float]
    settings: Mapping[str, Any]
    clock: RecordedClock
    load_s: float | None = None
    scores: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


def observe(run: RunFolder, *, slices: bool = True, check: bool = True) -> list[Observation]:
    """Read every usable trial of a run, by name, each file once.

    Without `slices`, the metrics of slices are left out, and their tables are not read. Without `check`, files are not
    compared with the manifest, as while a campaign goes on. Raises StoreError for a file that is damaged or is not the
    one that the manifest lists, and when no trial may be used.
    """
    manifest = run.manifest
    trials = usable_trials(manifest)
    if not trials:
        hint = "`harness show` says why; `harness run --resume` goes on with an unfinished run"
        raise StoreError("none of its trials may be used", where=str(run.path), hint=hint)
    for problem in run.check_files(COMPARED).of_files if check else ():
        what = f"{problem.path} is not the file that the run wrote: {problem.kind} ({problem.detail})"
        raise StoreError(what, where=str(run.path), hint=HINT)
    scores = _scores(run.path, manifest, trials)
    return [
        _observation(run, manifest, name, scores.get(name, {}), slices)
        for name in sorted(name for names in trials.values() for name in names)
    ]


def _observation(
    run: RunFolder, manifest: Mapping[str, Any], name: str, scores: Mapping[str, Sequence[float | None]], slices: bool
) -> Observation:
    folder, step = run.trial_dir(name), manifest["steps"][f"trial:{name}"]
    trial = read_trial(folder)
    values = dict(_recorded(trial, folder if slices else None)) | dict(_means(scores))
    return Observation(
        run=run.path.name,
        trial=name,
        arm=arm_of(step),
        folder=folder,
        host=str(trial.get("host_id") or _host(manifest)),
        boot=str(trial.get("boot_id") or _boot(folder)),
        block=int(trial.get("block") or trial.get("repetition") or 0),
        recorded_at=str(trial.get("recorded_at") or step.get("started") or ""),
        late=bool(trial.get("late")),
        values={metric: float(value) for metric, value in values.items() if value is not None and isfinite(value)},
        settings=trial.get("settings") or {},
        clock=RecordedClock.of(trial.get("machine") or manifest.get("machine") or {}),
        load_s=_positive(metrics_of(trial).get("seconds")),
        scores=scores,
    )


def _positive(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and isfinite(value) and value > 0 else None


def _host(manifest: Mapping[str, Any]) -> str:
    """Return what identifies the host; of an earlier version, which kept no id, its processor, CPUs and memory."""
    host = manifest.get("host") or {}
    known = [str(host[key]) for key in ("cpu", "cores", "memory_mb") if host.get(key) is not None]
    return str(host.get("id") or " ".join(known) or UNKNOWN)


def _boot(folder: Path) -> str:
    try:
        return str(read_guest(folder).get("boot_id") or UNKNOWN)
    except StoreError:  # it is no file that is compared: without it, the boot is unknown
        return UNKNOWN


def _recorded(trial: Mapping[str, Any], folder: Path | None) -> Iterator[tuple[str, float | None]]:
    yield from ((result.name, result.mean) for result in results(trial))
    yield "switches/s", switches_per_s(trial)
    yield f"{BY_KERNEL}switches/s", trial.get("guest_switches_per_s")
    yield f"{BY_KERNEL}connections/s", trial.get("guest_connections_per_s") or None  # most loads make none
    yield f"{BY_KERNEL}idle share", trial.get("guest_idle_share")
    if folder and trial.get("tracer") != "none":
        yield from _from_slices(folder / "slices.parquet")
    yield from ((f"{name} share", trial.get(f"{name}_share")) for name in ("contested", "idle", "tracer"))
    yield "host share", (trial.get("host") or {}).get("share")


def _from_slices(path: Path) -> Iterator[tuple[str, float]]:
    """Yield quantiles of slice lengths and wakeup latencies, ns, without the idle task."""
    lengths, latencies = read_times(path)
    for names, values in ((QUANTILES, lengths), (WAKEUP_QUANTILES, latencies)):
        if len(values):
            yield from zip(names, map(float, np.quantile(values, list(names.values()))), strict=True)


def read_times(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return slice lengths and wakeup latencies of a trial, (n,) and (m,), ns, without the idle task's.

    A task that had been preempted has no wakeup. A table without the time of wakeups, as of an import, has none either.
    Raises StoreError if the table is missing, cannot be read, or lacks a length or a task.
    """
    if not path.is_file():
        raise _unreadable(path, "it is missing, or no regular file")
    try:
        with pa.OSFile(os.fsencode(path)) as source:  # its name may be no UTF-8
            file = parquet.ParquetFile(source, page_checksum_verification=True)
            known = [name for name in ("slice_ns", "tid", "start_ns", "wake_ns") if name in file.schema_arrow.names]
            table = file.read(columns=known)
        slices = table.select(LENGTHS.names).cast(LENGTHS)
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    is_task = pc.not_equal(slices["tid"], 0)
    lengths = slices["slice_ns"].filter(is_task).to_numpy()
    if not {"start_ns", "wake_ns"} <= {*known}:
        return lengths, np.empty(0)
    table = table.filter(is_task)
    return lengths, pc.drop_null(pc.subtract(table["start_ns"], table["wake_ns"])).to_numpy()


def _unreadable(path: Path, error: object) -> StoreError:
    return StoreError(f"{path.name} cannot be read: {error}", where=str(path), hint=HINT)


def _scores(
    run: Path, manifest: Mapping[str, Any], trials: Mapping[str, Iterable[str]]
) -> dict[str, dict[str, list[float | None]]]:
    """Return by trial and metric the scores of each predictor of its arm, one for each seed."""
    found: dict[str, dict[str, list[float | None]]] = {}
    for name, step in finished_models(manifest).items():
        scores = read_scores(run / "models" / name)
        rows = scores.get("by_trial") or {}
        for trial in trials.get(arm_of(step), ()):
            for kind, key in SCORES.items():
                seeds = found.setdefault(trial, {}).setdefault(f"{scores['predictor']}: {kind}", [])
                seeds.append(rows.get(trial, {}).get(key))
    return found


def _means(scores: Mapping[str, Sequence[float | None]]) -> Iterator[tuple[str, float]]:
    """Yield the scores that are compared, each the mean over the seeds that have it."""
    for name, seeds in scores.items():
        known = [score for score in seeds if score is not None]
        if known and name.rpartition(": ")[2] in COMPARED_SCORES:
            yield name, float(np.mean(known))
