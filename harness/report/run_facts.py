"""Reads a run folder into plain values; whatever is missing or unreadable becomes a sentence, never a crash."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Any

from harness.report.model_scores import ModelScores, read_models
from harness.report.seed_groups import SeedGroup, group_seeds
from harness.report.text import number
from harness.report.trial_facts import TrialFacts, mapping, read_trials
from harness.store import Integrity, RunFolder, spec_changes
from harness.store import label as labels
from harness.store.clock import now
from harness.store.integrity import REPORTED
from harness.visible import visible, visible_lines

REPORT_STEP, CALM_STEP, SET_ASIDE = "report", "calm:", "set-aside:"


@dataclass(frozen=True)
class StepCost:
    """One step of the campaign: its state, its seconds, its error, and the SHA-256 of each file it left."""

    name: str
    state: str
    seconds: float | None
    error: str
    outputs: dict[str, str]


@dataclass(frozen=True)
class RunFacts:
    """Everything that the page shows."""

    name: str
    question: str
    state: str
    error: str
    manifest: dict[str, Any]
    spec_text: str
    steps: list[StepCost]
    trials: list[TrialFacts]
    planned: int | None
    models: list[ModelScores]
    groups: list[SeedGroup]
    integrity: Integrity
    checked: str  # when the files were read again
    folder: Path = Path()
    problems: list[str] = field(default_factory=list)

    @property
    def fallback_reason(self) -> str:
        """Why the requested box was not used; empty where it was."""
        return visible_lines(mapping(self.manifest, "box").get("fallback_reason") or "")

    @property
    def label(self) -> str:
        """The line of words that a person gave the run; empty without one."""
        return visible(labels.read(self.folder) or "")

    @property
    def repeats(self) -> str:
        """The run that this one repeats, and what the comparison of both says; empty where it repeats none."""
        repeated = visible(mapping(self.manifest, "repeats").get("run") or "")
        step = mapping(mapping(self.manifest, "steps"), "repeat")
        conclusion = visible(mapping(step, "detail").get("conclusion") or "not compared yet")
        return f"{repeated}: {conclusion}" if repeated else ""

    @property
    def model_changes(self) -> list[str]:
        """What was changed of the models after the trials were recorded, and when."""
        return [visible(change) for change in spec_changes.in_words(self.manifest)]

    @property
    def waited_for_calm_s(self) -> float:
        """How long the run waited for a busy host to become calm before it recorded a trial again."""
        return sum(step.seconds or 0.0 for step in self.steps if step.name.startswith(CALM_STEP))

    @property
    def box_digest(self) -> str:
        """The digest of the box's recipe and builder; empty where no box is known yet."""
        return visible(mapping(self.manifest, "box").get("digest") or "")

    @property
    def spec_sha256(self) -> str:
        """The SHA-256 of the experiment file when it was read."""
        return visible(self.manifest.get("spec_sha256") or "")

    @property
    def command(self) -> str:
        """The command line that made this run."""
        command = self.manifest.get("command") or ""
        return visible(shlex.join(map(str, command)) if isinstance(command, list) else command)

    @property
    def wants_models(self) -> bool:
        """Whether the experiment names any predictor."""
        return bool(mapping(mapping(self.manifest, "spec"), "model").get("predictors"))

    @property
    def unfinished(self) -> list[StepCost]:
        """Steps that were started and are not done.

        Left out are steps that the page shows elsewhere: writing this page, the box that the fallback replaces, trials
        that failed their verdict.
        """
        shown_elsewhere = {REPORT_STEP} | {f"trial:{trial.name}" for trial in self.trials if trial.ok is False}
        if self.fallback_reason:
            shown_elsewhere |= {f"{step}:{self.requested_box}" for step in ("box", "up")}
        steps = [step for step in self.steps if not step.name.startswith(SET_ASIDE)]
        return [step for step in steps if step.state != "done" and step.name not in shown_elsewhere]

    @property
    def requested_box(self) -> str:
        """The box that the experiment names."""
        box, machine = mapping(self.manifest, "box"), mapping(mapping(self.manifest, "spec"), "machine")
        return visible(box.get("asked") or machine.get("box") or "the requested box")

    def ending_as(self, state: str, error: str | None) -> RunFacts:
        """Return these facts for a run that will have ended so."""
        return replace(self, state=state, error=visible_lines(error or ""))

    def error_of(self, name: str) -> str:
        """Return the error of the step named `name`; empty where it has none."""
        return next((step.error for step in self.steps if step.name == name), "")

    def seconds_of(self, *, models: bool) -> float:
        """Return the seconds of all steps of models, some of which are trained at the same time, or of all others."""
        steps = [step for step in self.steps if not step.name.startswith(SET_ASIDE)]
        return sum(step.seconds or 0.0 for step in steps if step.name.startswith("model:") == models)


def read_run(folder: Path) -> RunFacts:
    """Read a run folder, without the files that are not as the run wrote them.

    Raises StoreError when its manifest is missing, damaged or of another schema.
    """
    run = RunFolder.open(folder)
    manifest, integrity = run.manifest, run.check_files(REPORTED)
    spec = mapping(manifest, "spec")
    trials, unread = read_trials(folder / "trials", integrity)
    models, problems = read_models(folder / "models", integrity.unbelieved_models)
    return RunFacts(
        name=visible(run.path.name),
        question=visible(spec.get("question") or run.path.name),
        state=visible(manifest.get("state", "unknown")),
        error=visible_lines(manifest.get("error") or ""),
        manifest=manifest,
        spec_text=_yaml(spec),
        steps=_steps(mapping(manifest, "steps")),
        trials=trials,
        planned=_planned(manifest),
        models=models,
        groups=group_seeds(models, {trial.name: trial.arm for trial in trials}),
        integrity=integrity,
        checked=now(),
        folder=folder,
        problems=[*unread, *problems],
    )


def _planned(manifest: dict[str, Any]) -> int | None:
    """How many trials the experiment plans: repetitions times arms, where a version before 0.3.0 did not count them."""
    if (planned := number(manifest.get("trials_planned"))) is not None:
        return int(planned)
    spec = mapping(manifest, "spec")
    repeat = number(mapping(spec, "trials").get("repeat"))
    if repeat is None:
        return None
    return int(repeat) * prod(len(values) for values in mapping(spec, "sweep").values() if isinstance(values, list))


def _yaml(spec: dict[str, Any]) -> str:
    from harness.spec import to_yaml

    return visible_lines(to_yaml(spec)).rstrip()


def _steps(steps: dict[str, Any]) -> list[StepCost]:
    costs = [
        StepCost(
            name=visible(name),
            state=visible(step.get("state", "unknown")),
            seconds=number(step.get("seconds")),
            error=visible_lines(step.get("error") or ""),
            outputs={visible(path): visible(digest) for path, digest in mapping(step, "outputs").items()},
        )
        for name, step in steps.items()
        if isinstance(step, dict)
    ]
    others = [step for step in costs if step.name != REPORT_STEP]  # an earlier page is not this one
    return [*others, StepCost(REPORT_STEP, "running", None, "", {})]
