"""The models of a campaign: every arm x predictor x seed that is not scored yet, spread over processes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.campaign.steps import recorded_step
from harness.plan import Trial
from harness.progress import View, Watcher
from harness.spec import Experiment
from harness.store import RunFolder
from harness.workers import Report, spread

if TYPE_CHECKING:
    from model.jobs import Job


@dataclass(frozen=True)
class Fit:
    """One model to be trained; `name` is its folder's name under `models/` and its step is `model:<name>`."""

    name: str
    arm: str
    job: Job

    @property
    def step(self) -> str:
        """Its name in the manifest."""
        return f"model:{self.name}"


def train(
    experiment: Experiment, folder: RunFolder, view: View, trials: Sequence[Trial], workers: int | None = None
) -> list[str]:
    """Train and score what is not done yet; returns the names of the models that failed.

    Only recordings whose verdict is good are used. Raises ModelError (harness.errors) when a worker process dies.
    """
    from model import jobs

    wanted = fits(experiment, folder, trials)
    for arm in sorted({fit.arm for fit in wanted if not fit.job.tables}):
        view.say("warn", f"no models for {arm}: none of its trials may be used")
    failed = [fit.name for fit in wanted if not fit.job.tables]
    todo = [fit for fit in wanted if fit.job.tables and not (folder.done(fit.step) and jobs.done(fit.job))]
    if todo:
        with recorded_step(folder, view, "train", f"Train and score {len(todo)} models") as step:
            failed += _train(todo, folder, view, step.watcher, workers)
    return failed


def fits(experiment: Experiment, folder: RunFolder, trials: Sequence[Trial]) -> list[Fit]:
    """Every model that the experiment asks for; one seed is enough where chance plays no part."""
    from model.jobs import Job
    from model.predictors import find

    made = []
    arms = {trial.arm.name: trial.arm.experiment.model for trial in trials}
    for arm, wanted in arms.items():
        tables = tuple(folder.trial_dir(t.name) for t in trials if t.arm.name == arm and folder.done(f"trial:{t.name}"))
        for predictor in wanted.predictors:
            seeds = wanted.seeds if getattr(find(predictor), "seeded", True) else wanted.seeds[:1]
            for seed in seeds:
                name = f"{predictor}_s{seed}" if len(arms) == 1 else f"{arm}.{predictor}_s{seed}"
                out = folder.path / "models" / name
                params = wanted.params.get(predictor, {})
                made.append(Fit(name, arm, Job(tables, predictor, seed, wanted.mark, wanted.split, out, params)))
    return made


def work(job: Job, report: Report) -> dict[str, Any]:
    """Runs in a worker process: what `model` says of its progress is passed on to the parent."""
    from model import jobs

    return jobs.run(job, lambda note, done, total: report(done, total, note))


def tell(view: View, name: str, scores: Mapping[str, Any]) -> None:
    """Say it where a training went on from what an earlier one had kept, or left that aside."""
    if after := scores.get("went_on_after_epoch"):
        view.say("info", f"{name} went on after epoch {after} of a training that was cut short")
    if reason := scores.get("training_set_aside"):
        view.say("warn", f"{name} was trained from the start, what an earlier training kept being of no use: {reason}")


def _train(todo: list[Fit], folder: RunFolder, view: View, watcher: Watcher, workers: int | None) -> list[str]:
    left = {fit.name: fit for fit in todo}
    for fit in todo:
        folder.begin(fit.step)
    try:
        return _fit(left, folder, view, watcher, workers)
    except BaseException as error:  # none of them is under way any more
        for fit in left.values():
            folder.fail(fit.step, error)
        raise


def _fit(left: dict[str, Fit], folder: RunFolder, view: View, watcher: Watcher, workers: int | None) -> list[str]:
    """Train what is in `left`, taking out of it what is done or failed; returns the names of those that failed."""
    todo, heard = list(left.values()), Heard(watcher, len(left))
    failed: list[str] = []
    longest_first = sorted(todo, key=lambda fit: fit.job.predictor in ("most_frequent", "markov"))
    for name, answer in spread(
        [(fit.name, fit.job) for fit in longest_first], work, workers=workers, heard=heard.progress
    ):
        heard.ended(name)
        fit = left[name]
        if isinstance(answer, BaseException):
            failed.append(name)
            folder.fail(fit.step, answer)
            view.say("warn", f"{name} failed: {answer}")
        else:
            detail = {"arm": fit.arm, "predictor": fit.job.predictor, "seed": fit.job.seed}
            folder.finish(fit.step, _files(Path(fit.job.out_dir)), heard.seconds(name), detail)
            tell(view, name, answer)
        del left[name]
    return failed


class Heard:
    """Adds up the progress of all models."""

    def __init__(self, watcher: Watcher, count: int) -> None:
        self._watcher, self._count = watcher, count
        self._shares: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def progress(self, name: str, done: float, total: float | None, note: str) -> None:
        """Take what one model's worker says."""
        self._began.setdefault(name, time.monotonic())
        if total:
            self._shares[name] = max(self._shares.get(name, 0.0), min(0.95, done / total))
        self._watcher.note(f"{name}: {note}")
        self._watcher.advance(sum(self._shares.values()), self._count)

    def ended(self, name: str) -> None:
        """One model is done, well or not."""
        self._shares[name] = 1.0
        self._watcher.advance(sum(self._shares.values()), self._count)

    def seconds(self, name: str) -> float:
        """How long ago one model was first heard of."""
        return time.monotonic() - self._began.get(name, time.monotonic())


def _files(out: Path) -> list[Path]:
    return sorted(path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
