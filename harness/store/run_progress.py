"""Where a run under way is: read from its manifest and its lock, so that every terminal sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timezone
from typing import Any

from harness.store import block_record
from harness.store.folder import RunFolder
from harness.store.lock import holder


@dataclass(frozen=True)
class StepCounts:
    """How many trials are planned and models begun, and how many of each are done."""

    trials: int
    trials_done: int
    models: int
    models_done: int


@dataclass(frozen=True)
class RunProgress:
    """The step that is under way and since when; `trial` counts from 1, None if no trial is being recorded.

    `process`: the id of the process that carries out the run, on the host that it runs on. `blocks_follow`: further
    blocks may follow the trials that are planned.
    """

    step: str | None
    since: str | None
    trial: int | None
    attempt: int | None
    trials: int
    trials_done: int
    models: int
    models_done: int
    process: int | None
    blocks_follow: bool = False

    @property
    def text(self) -> str:
        """Say where the run is, such as `trial 2 of 6 (001_nginx_ab), attempt 2`."""
        trials = f"{self.trials} or more" if self.blocks_follow else str(self.trials)
        if self.step is None:
            return f"between two steps, {self.trials_done} of {trials} trials done"
        if self.trial is not None:
            again = f", attempt {self.attempt}" if self.attempt and self.attempt > 1 else ""
            return f"trial {self.trial} of {trials} ({self.step.removeprefix('trial:')}){again}"
        if self.step == "train":
            return f"training, {self.models_done} of {self.models} models done"
        return f"{self.step}, {self.trials_done} of {trials} trials done"

    def seconds(self) -> float | None:
        """Return for how long the step has been under way."""
        if self.since is None:
            return None
        began = datetime.fromisoformat(self.since.replace("Z", "+00:00"))
        return max(0.0, (datetime.now(timezone.utc) - began).total_seconds())

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for programs."""
        return {**asdict(self), "text": self.text}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> RunProgress:
        """Return what `to_dict` was called on."""
        return cls(**{field.name: content[field.name] for field in fields(cls)})


def counts(manifest: Mapping[str, Any]) -> StepCounts:
    """Count the steps of a run, whether it is under way or not."""
    trials, models = (_of_kind(manifest["steps"], kind) for kind in ("trial:", "model:"))
    return StepCounts(
        trials=max(len(trials), int(manifest.get("trials_planned") or 0)),
        trials_done=sum(trial["state"] == "done" for trial in trials.values()),
        models=len(models),
        models_done=sum(model["state"] == "done" for model in models.values()),
    )


def of(folder: RunFolder) -> RunProgress | None:
    """Return where a run is; None if no process carries it out."""
    if folder.state != "running":
        return None
    steps = folder.manifest["steps"]
    step = _under_way(steps)
    name = step.removeprefix("trial:") if step and step.startswith("trial:") else None
    index = name.partition("_")[0] if name else ""
    return RunProgress(
        step=step,
        since=steps[step].get("started") if step else None,
        trial=int(index) + 1 if index.isdecimal() else None,
        attempt=1 + sum(other.startswith(f"attempt:{name}-") for other in steps) if name else None,
        **asdict(counts(folder.manifest)),
        process=holder(folder.path).get("pid"),
        blocks_follow=block_record.goes_on(folder.manifest),
    )


def _of_kind(steps: Mapping[str, Any], kind: str) -> dict[str, Any]:
    return {name: step for name, step in steps.items() if name.startswith(kind)}


def _under_way(steps: Mapping[str, Any]) -> str | None:
    """Return the step that began last; the models of a training run beside its own step, which stands for them."""
    running = [name for name, step in steps.items() if step["state"] == "running" and not name.startswith("model:")]
    return max(running, key=lambda name: steps[name].get("started") or "", default=None)
