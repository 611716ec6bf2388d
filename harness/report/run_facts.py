"""Reads a run folder into plain values; what is missing or unreadable becomes a sentence, never a crash."""

from __future__ import annotations

import io
import json
import shlex
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.report import scores
from harness.report.groups import Group, groups
from harness.report.scores import Scored
from harness.report.text import number, visible, visible_lines
from harness.report.trials import Trial, mapping, read_trials

REPORT_STEP = "report"


@dataclass(frozen=True)
class Step:
    """What one step of the campaign cost."""

    name: str
    state: str
    seconds: float | None
    error: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class Run:
    """Everything the page is made of."""

    name: str
    question: str
    state: str
    error: str
    manifest: dict[str, Any]
    spec_text: str
    steps: list[Step]
    trials: list[Trial]
    planned: int | None
    models: list[Scored]
    groups: list[Group]
    problems: list[str] = field(default_factory=list)

    @property
    def fallback_reason(self) -> str:
        """Why the box that was asked for was not used; empty where it was."""
        return visible_lines(mapping(self.manifest, "box").get("fallback_reason") or "")

    @property
    def box_digest(self) -> str:
        """The digest of the guest image's recipe and builder; empty where no box is known yet."""
        return visible(mapping(self.manifest, "box").get("digest") or "")

    @property
    def spec_sha256(self) -> str:
        """The SHA-256 of the experiment file as it was read."""
        return visible(self.manifest.get("spec_sha256") or "")

    @property
    def command(self) -> str:
        """The command line that made this run."""
        found = self.manifest.get("command") or ""
        return visible(shlex.join(map(str, found)) if isinstance(found, list) else found)

    @property
    def wants_models(self) -> bool:
        """Whether the experiment asks for predictors at all."""
        return bool(mapping(mapping(self.manifest, "spec"), "model").get("predictors"))

    @property
    def unfinished(self) -> list[Step]:
        """Steps that were begun and are not done, beyond what is told elsewhere: the step that writes this page, the
        box that the fallback stands in for, trials that failed their verdict."""
        told = {REPORT_STEP} | {f"trial:{trial.name}" for trial in self.trials if trial.ok is False}
        if self.fallback_reason:
            told |= {f"{what}:{self.asked_box}" for what in ("box", "up")}
        return [step for step in self.steps if step.state != "done" and step.name not in told]

    @property
    def asked_box(self) -> str:
        """The box the experiment asks for."""
        asked = mapping(self.manifest, "box").get("asked") or mapping(mapping(self.manifest, "spec"), "machine").get(
            "box"
        )
        return visible(asked or "the box asked for")

    def error_of(self, step: str) -> str:
        """What a step failed with; empty where it did not."""
        return next((found.error for found in self.steps if found.name == step), "")

    def seconds_of(self, *, models: bool) -> float:
        """The seconds of all steps: of models, some of which are trained side by side, or of everything else."""
        return sum(step.seconds or 0.0 for step in self.steps if step.name.startswith("model:") == models)


def read_run(folder: Path) -> Run:
    """The facts of a run folder. Raises StoreError where its manifest is missing or is no JSON object."""
    manifest = _manifest(folder)
    spec = mapping(manifest, "spec")
    trials = read_trials(folder / "trials")
    models, problems = scores.read_models(folder / "models")
    return Run(
        name=visible(manifest.get("name") or folder.name),
        question=visible(spec.get("question") or manifest.get("name") or folder.name),
        state=visible(manifest.get("state", "unknown")),
        error=visible_lines(manifest.get("error") or ""),
        manifest=manifest,
        spec_text=_yaml(spec),
        steps=_steps(mapping(manifest, "steps")),
        trials=trials,
        planned=_planned(spec),
        models=models,
        groups=groups(models, {trial.name: trial.arm for trial in trials}),
        problems=problems,
    )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            "the run folder has no readable manifest", where=str(path), expected=f"a JSON object ({error})"
        ) from error
    if not isinstance(manifest, dict):
        raise StoreError("the manifest is not a JSON object", where=str(path))
    return manifest


def _planned(spec: dict[str, Any]) -> int | None:
    """How many trials were asked for: repetitions times arms."""
    repeat = number(mapping(spec, "trials").get("repeat"))
    if repeat is None:
        return None
    return int(repeat) * prod(len(values) for values in mapping(spec, "sweep").values() if isinstance(values, list))


def _yaml(spec: dict[str, Any]) -> str:
    from ruamel.yaml import YAML

    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 100
    writer.dump(spec, stream)
    return visible_lines(stream.getvalue()).rstrip()


def _steps(steps: dict[str, Any]) -> list[Step]:
    found = [
        Step(
            name=visible(name),
            state=visible(step.get("state", "unknown")),
            seconds=number(step.get("seconds")),
            error=visible_lines(step.get("error") or ""),
            outputs={visible(path): visible(digest) for path, digest in mapping(step, "outputs").items()},
        )
        for name, step in steps.items()
        if isinstance(step, dict)
    ]
    return [step for step in found if step.name != REPORT_STEP] + [step for step in found if step.name == REPORT_STEP]
