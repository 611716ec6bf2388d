"""Finished campaigns of several arms with chosen values, as far as comparing arms reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import comparable_run
import numpy as np
import pyarrow as pa
import synthetic_run
from pyarrow import parquet

from harness import spec
from harness.store import RunFolder


def make(
    path: Path,
    arms: Mapping[str, Sequence[float | None]],
    scores: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    *,
    boots: Sequence[int] | None = None,
    split: Sequence[int] = (),
    host: str = "9d3c",
    late: Sequence[int] = (),
    metrics: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    machine: Mapping[str, Mapping[str, Any]] | None = None,
    slices: bool = True,
    **manifest: Any,
) -> RunFolder:
    """A campaign with a block for each value (requests/s) of an arm; None is a trial that was lost.

    `boots`: the number of the boot of each block; `split` blocks have another one after their first arm.
    `scores`: contested accuracy by arm, predictor and block. `metrics`: more metrics of the load, by arm and block.
    `machine`: facts of the machine by arm.
    """
    path.mkdir(parents=True)
    steps: dict[str, Any] = {}
    by_trial: dict[str, dict[str, dict[str, float]]] = {}
    for place, (arm, rates) in enumerate(arms.items()):
        for block, rate in enumerate(rates):
            if rate is None:
                continue
            name = f"{block * len(arms) + place:03d}_{arm}"
            steps[f"trial:{name}"] = {**comparable_run._done(arm=arm), "started": _time(block, place)}
            facts = {
                "settings": _settings(arm),
                "verdict": {"ok": True, "checks": []},
                "block": block,
                "boot_id": f"boot-{boots[block] if boots else 0}" + "-again" * (block in split and place > 0),
                "host_id": host,
                "recorded_at": _time(block, place),
                "late": block in late,
                "machine": {**comparable_run.COUNTED, **(machine or {}).get(arm, {})},
                "metrics": {"requests_per_s": rate, **((metrics or {}).get(arm, [{}] * len(rates))[block])},
            }
            _add_trial(path / "trials" / name, name, arm, rate, facts, slices)
            for predictor, hits in (scores or {}).get(arm, {}).items():
                by_trial.setdefault(f"{arm}.{predictor}", {})[name] = {"contested_top1": hits[block], "top1": 0.9}
    for model, rows in by_trial.items():
        arm, _, predictor = model.rpartition(".")
        steps[f"model:{model}_s0"] = comparable_run._done(arm=arm, predictor=predictor, seed=0)
        folder = path / "models" / f"{model}_s0"
        folder.mkdir(parents=True)
        (folder / "scores.json").write_text(json.dumps({"predictor": predictor, "seed": 0, "by_trial": rows}))
    stages = {arm: {"box": {"name": "debian-12"}, "machine": comparable_run.COUNTED, "packages": {}} for arm in arms}
    content = {
        "name": path.name,
        "spec": spec.to_dict(spec.from_dict(comparable_run.EXPERIMENT)),
        "steps": steps,
        "arms": stages,
        **manifest,
    }
    (path / "manifest.json").write_text(json.dumps(synthetic_run.manifest(**content)))
    return RunFolder.open(path)


def _time(block: int, place: int) -> str:
    return f"2026-11-30T{10 + block // 20:02d}:{block % 20 * 3 + place:02d}:00.000Z"


def _settings(arm: str) -> dict[str, Any]:
    """Return `load.concurrency` or `record.seconds` of an arm that is named after it."""
    _, _, setting = arm.removesuffix("__again").partition("__")
    name, _, value = setting.partition("-")
    paths = {"concurrency": "load.concurrency", "seconds": "record.seconds"}
    return {paths[name]: int(value)} if name in paths else {}


def _add_trial(folder: Path, name: str, arm: str, rate: float, facts: Mapping[str, Any], slices: bool) -> None:
    folder.mkdir(parents=True)
    known: dict[str, Any] = {"name": name, "arm": arm, "tracer": "perf" if slices else "none", **facts}
    if slices:
        known |= {"switches": round(rate * 52), "contested_share": 0.6 + rate / 1e4, "idle_share": 0.0001}
        known |= {"tracer_share": 0.011, "quality": {"span_ns": 10_000_000_000}, "host": {"share": 0.001}}
        lengths = (np.arange(1_000, 1_100) * rate).astype(np.int64)
        starts = np.cumsum(lengths)
        wakes = pa.array(starts - lengths // 3, mask=np.arange(len(lengths)) % 4 == 0)
        tids = np.where(np.arange(len(lengths)) % 10 == 0, 0, 811).astype(np.int32)
        table = pa.table({"slice_ns": lengths, "tid": tids, "start_ns": starts, "wake_ns": wakes})
        parquet.write_table(table, folder / "slices.parquet")
    (folder / "trial.json").write_text(json.dumps(known))
