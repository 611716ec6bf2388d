"""Finished run folders with chosen values, as far as comparing two runs reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import synthetic_run
from pyarrow import parquet

from harness import spec
from harness.store import RunFolder

DIGEST = "53aa4f91" * 8
MACHINE = {"kernel": "6.1.0-57-cloud-amd64", "accelerator": "tcg", "hypervisor_version": "QEMU 7.2", "cpus": 1}
COUNTED = {"clock": "counted", "cpu_speed": 125}
EXPERIMENT = {
    "name": "small",
    "machine": {"box": "debian-12"},
    "load": {"kind": "nginx_ab"},
    "trials": {"repeat": 3},
    "model": {"predictors": ["markov"]},
}
Scores = Mapping[str, Sequence[Sequence[float]]]  # predictor -> contested accuracy of each trial, of each seed


def make(
    path: Path,
    requests: Sequence[float] = (421.7, 420.8, 421.2),
    scores: Scores | None = None,
    *,
    arms: Sequence[str] = ("nginx_ab",),
    slice_factor: float = 1.0,
    machine: Mapping[str, Any] = COUNTED,
    box: Mapping[str, Any] | None = None,
    experiment: Mapping[str, Any] | None = None,
    **manifest: Any,
) -> RunFolder:
    """A run with one trial per value of `requests` in each arm; all its other metrics follow that value."""
    path.mkdir(parents=True)
    steps: dict[str, Any] = {}
    for arm in arms:
        names = [f"{number:03d}_{arm}" for number in range(len(requests))]
        for name, rate in zip(names, requests, strict=True):
            steps[f"trial:{name}"] = _done(arm=arm)
            _add_trial(path / "trials" / name, name, arm, rate, slice_factor)
        for predictor, by_trial in (scores or {}).items():
            for seed in range(len(by_trial[0])):
                model = f"{'' if len(arms) == 1 else arm + '.'}{predictor}_s{seed}"
                steps[f"model:{model}"] = _done(arm=arm, predictor=predictor, seed=seed)
                contested = {name: hits[seed] for name, hits in zip(names, by_trial, strict=True)}
                _add_model(path / "models" / model, predictor, seed, contested)
    known_box = {"name": "debian-12", "digest": DIGEST, "asked": "debian-12", "fallback_reason": None, **(box or {})}
    stage = {"box": known_box, "machine": {**MACHINE, **machine}, "packages": {"nginx": "1.22.1-9"}}
    content = synthetic_run.manifest(
        **{
            "name": path.name,
            "state": "done",
            "spec": spec.to_dict(spec.from_dict({**EXPERIMENT, **(experiment or {})})),
            "steps": steps,
            "arms": dict.fromkeys(arms, stage),
            "box": known_box,
            "machine": stage["machine"],
            **manifest,
        }
    )
    (path / "manifest.json").write_text(json.dumps(content))
    return RunFolder.open(path)


def _done(**detail: Any) -> dict[str, Any]:
    return {"state": "done", "seconds": 1.0, "outputs": {}, "detail": detail, "error": None}


def _add_trial(folder: Path, name: str, arm: str, rate: float, slice_factor: float) -> None:
    folder.mkdir(parents=True)
    facts = {"metrics": {"requests_per_s": rate}, "switches": round(rate * 52), "contested_share": 0.6 + rate / 1e4}
    facts |= {"idle_share": 0.0001, "tracer_share": 0.011, "quality": {"span_ns": 10_000_000_000}}
    (folder / "trial.json").write_text(json.dumps({"name": name, "arm": arm, **facts}))
    lengths = np.arange(1_000, 2_000) * slice_factor * rate
    table = pa.table({"slice_ns": lengths.astype(np.int64), "tid": np.full(len(lengths), 811, np.int32)})
    parquet.write_table(table, folder / "slices.parquet")


def _add_model(folder: Path, predictor: str, seed: int, contested: Mapping[str, float]) -> None:
    folder.mkdir(parents=True)
    rows = {
        trial: {"top1": (1 + hit) / 2, "contested_top1": hit, "bits_per_switch": 2 * (1 - hit)}
        for trial, hit in contested.items()
    }
    hit = float(np.mean(list(contested.values())))
    parts = {
        part: {"top1": hit, "top1_ci": [hit - 0.01, hit + 0.01]} for part in ("overall", "forced", "contested", "open")
    }
    (folder / "scores.json").write_text(json.dumps({"predictor": predictor, "seed": seed, "by_trial": rows, **parts}))
