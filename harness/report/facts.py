"""Reads a run folder into plain values; what is missing or unreadable becomes a sentence, never a crash."""

from __future__ import annotations

import io
import json
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.report import recordings, scores
from harness.report.recordings import Recording
from harness.report.scores import Group, Scored
from harness.report.text import number, plain, visible, visible_lines

REPORT_STEP = "report"


@dataclass(frozen=True)
class Check:
    """One check of a verdict, as text."""

    name: str
    ok: bool
    value: str
    limit: str
    why: str


@dataclass(frozen=True)
class Trial:
    """One trial: its verdict (`ok` is None where there is none), load metrics, warnings, and recording or `missing`."""

    name: str
    arm: str
    ok: bool | None
    attempts: int | None
    checks: list[Check]
    metrics: dict[str, Any]
    warnings: list[str]
    guest: dict[str, Any]
    recording: Recording | None
    missing: str


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
        return visible_lines(_dict(self.manifest, "box").get("fallback_reason") or "")

    @property
    def box_digest(self) -> str:
        """The digest of the guest image's recipe and builder; empty where no box is known yet."""
        return visible(_dict(self.manifest, "box").get("digest") or "")

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
        return bool(_dict(_dict(self.manifest, "spec"), "model").get("predictors"))

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
        asked = _dict(self.manifest, "box").get("asked") or _dict(_dict(self.manifest, "spec"), "machine").get("box")
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
    spec = _dict(manifest, "spec")
    trials = _trials(folder / "trials")
    models, problems = scores.read_models(folder / "models")
    return Run(
        name=visible(manifest.get("name") or folder.name),
        question=visible(spec.get("question") or manifest.get("name") or folder.name),
        state=visible(manifest.get("state", "unknown")),
        error=visible_lines(manifest.get("error") or ""),
        manifest=manifest,
        spec_text=_yaml(spec),
        steps=_steps(_dict(manifest, "steps")),
        trials=trials,
        planned=_planned(spec),
        models=models,
        groups=scores.groups(models, {trial.name: trial.arm for trial in trials}),
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


def _dict(mapping: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = mapping.get(key)
    return found if isinstance(found, dict) else {}


def _planned(spec: dict[str, Any]) -> int | None:
    """How many trials were asked for: repetitions times arms."""
    repeat = number(_dict(spec, "trials").get("repeat"))
    if repeat is None:
        return None
    return int(repeat) * prod(len(values) for values in _dict(spec, "sweep").values() if isinstance(values, list))


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
            outputs={visible(path): visible(digest) for path, digest in _dict(step, "outputs").items()},
        )
        for name, step in steps.items()
        if isinstance(step, dict)
    ]
    return [step for step in found if step.name != REPORT_STEP] + [step for step in found if step.name == REPORT_STEP]


def _trials(folder: Path) -> list[Trial]:
    """Every trial folder; colours are shared, so that a task looks the same in all of them."""
    paths = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    frames, missing = {}, {}
    for path in paths:
        try:
            frames[path] = recordings.read_slices(path)
        except FileNotFoundError:
            missing[path] = "It has no slices.parquet: nothing was recorded, or the recording was not read."
        except (OSError, ValueError, KeyError) as error:
            missing[path] = f"Its slices.parquet cannot be read: {visible(error)}"
    slots = recordings.palette(list(frames.values()))
    trials = []
    for path in paths:
        frame = frames.get(path)
        summary = recordings.summarise(frame, slots) if frame is not None and len(frame) else None
        why = missing.get(path, "" if summary else "Its recording holds no slice.")
        trials.append(_trial(path, summary, why))
    return trials


def _trial(path: Path, recording: Recording | None, missing: str) -> Trial:
    facts, guest = _json(path / "trial.json"), _json(path / "guest.json")
    verdict = _dict(facts, "verdict")
    ok = verdict.get("ok")
    attempts = number(facts.get("attempts"))
    return Trial(
        name=visible(facts.get("name") or path.name),
        arm=visible(facts.get("arm") or path.name),
        ok=ok if isinstance(ok, bool) else None,
        attempts=int(attempts) if attempts is not None else None,
        checks=[_check(check) for check in verdict.get("checks") or () if isinstance(check, dict)],
        metrics=_dict(facts, "metrics"),
        warnings=_warnings(facts),
        guest=guest,
        recording=recording,
        missing=missing,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check(check: dict[str, Any]) -> Check:
    return Check(
        name=visible(check.get("name", "")).replace("_", " "),
        ok=check.get("ok") is True,
        value=plain(check.get("value")),
        limit=plain(check.get("limit")),
        why=visible(check.get("why") or ""),
    )


def _warnings(facts: dict[str, Any]) -> list[str]:
    quality = _dict(facts, "quality")
    found: Iterable[Any] = quality.get("warnings") or ()
    return [visible(found)] if isinstance(found, str) else [visible(warning) for warning in found]
