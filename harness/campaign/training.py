"""The models of a campaign: every arm x predictor x seed without scores, trained in several processes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import plan, workers
from harness.campaign.steps import files_of, recorded_step
from harness.plan import Trial
from harness.progress import View, Watcher
from harness.spec import Experiment
from harness.store import RunFolder

if TYPE_CHECKING:
    from model.jobs import Job

QUICK = ("most_frequent", "markov")  # trained last, so that no long training is left over for one process


@dataclass(frozen=True)
class PlannedModel:
    """One model to train; `name` is its folder's name under `models/`."""

    name: str
    arm: str
    job: Job

    @property
    def step(self) -> str:
        """Its step in the manifest."""
        return f"model:{self.name}"


def train(
    experiment: Experiment, folder: RunFolder, view: View, trials: Sequence[Trial], processes: int | None = None
) -> list[str]:
    """Train and score every model that is not done yet; return the names of those that failed.

    Only recordings with a good verdict are used. Raises ModelError (harness.errors) when a worker process dies.
    """
    if not experiment.model.predictors:  # importing `model` takes seconds
        return []
    from model import jobs

    if untraced := plan.untraced(trials):
        view.show("info", f"no models for {', '.join(untraced)}: recorded without a tracer")
    planned = planned_models(folder, trials)
    for arm in sorted({model.arm for model in planned if not model.job.tables}):
        view.show("warn", f"no models for {arm}: none of its trials may be used")
    failed = [model.name for model in planned if not model.job.tables]
    todo = [
        model for model in planned if model.job.tables and not (folder.is_done(model.step) and jobs.done(model.job))
    ]
    if todo:
        with recorded_step(folder, view, "train", f"Train and score {len(todo)} models") as step:
            failed += _train(todo, folder, view, step.watcher, processes)
    return failed


def planned_models(folder: RunFolder, trials: Sequence[Trial]) -> list[PlannedModel]:
    """List every model of the experiment; an arm that is recorded without a tracer has none."""
    planned = []
    arms = {trial.arm.name: trial.arm.experiment for trial in trials}
    untraced = plan.untraced(trials)
    for arm, spec in ((name, experiment.model) for name, experiment in arms.items() if name not in untraced):
        tables = tuple(
            folder.trial_dir(t.name) for t in trials if t.arm.name == arm and folder.is_done(f"trial:{t.name}")
        )
        prefix, out = "" if len(arms) == 1 else f"{arm}.", folder.path / "models"
        jobs = list_jobs(tables, spec.predictors, spec.seeds, spec.mark, spec.split, spec.params, out, prefix=prefix)
        planned += [PlannedModel(job.out_dir.name, arm, job) for job in jobs]
    return planned


def list_jobs(
    tables: tuple[Path, ...],
    predictors: Sequence[str],
    seeds: Sequence[int],
    mark: str,
    split: tuple[float, float, float],
    params: Mapping[str, Mapping[str, Any]],
    out: Path,
    *,
    prefix: str = "",
    suffix: str = "",
    test_tables: tuple[Path, ...] = (),
    across_clocks: bool = False,
    across_kernels: bool = False,
) -> Iterator[Job]:
    """Yield one job per predictor and seed, each with its own folder under `out`.

    A predictor without randomness is trained with the first seed only.
    """
    from model.jobs import Job  # takes seconds
    from model.predictors import find

    for predictor in predictors:
        for seed in seeds if find(predictor).seeded else seeds[:1]:
            folder = out / f"{prefix}{predictor}_s{seed}{suffix}"
            given = params.get(predictor, {})
            yield Job(tables, predictor, seed, mark, split, folder, given, test_tables, across_clocks, across_kernels)


def run_jobs(
    jobs: Sequence[tuple[str, Job]], view: View, watcher: Watcher, processes: int | None
) -> Iterator[tuple[str, Mapping[str, Any] | BaseException, float]]:
    """Train models in several processes; yield `(name, scores or error, seconds)` of each as it ends.

    Raises ModelError when a worker process dies.
    """
    total = ProgressTotal(watcher, len(jobs))
    for name, scores in workers.run_in_processes(jobs, run_job, processes=processes, on_progress=total.report):
        total.finish(name)
        if not isinstance(scores, BaseException):
            _show_earlier_training(view, name, scores)
        yield name, scores, total.seconds(name)


def run_job(job: Job, report: workers.Report) -> dict[str, Any]:
    """Train and score one model. Runs in a worker process; `report` passes its progress to the parent."""
    from model import jobs

    return jobs.run(job, lambda note, done, total: report(done, total, note))


class ProgressTotal:
    """Adds up the progress of all models for one watcher."""

    def __init__(self, watcher: Watcher, count: int) -> None:
        self._watcher, self._count = watcher, count
        self._shares: dict[str, float] = {}
        self._began: dict[str, float] = {}

    def report(self, name: str, done: float, total: float | None, note: str) -> None:
        """Take the progress of one model."""
        self._began.setdefault(name, time.monotonic())
        if total:
            self._shares[name] = max(self._shares.get(name, 0.0), min(0.95, done / total))
        self._watcher.note(f"{name}: {note}")
        self._watcher.advance(sum(self._shares.values()), self._count)

    def finish(self, name: str) -> None:
        """Count one model as done, whether it succeeded or failed."""
        self._shares[name] = 1.0
        self._watcher.advance(sum(self._shares.values()), self._count)

    def seconds(self, name: str) -> float:
        """Return the seconds since one model's first progress report."""
        return time.monotonic() - self._began.get(name, time.monotonic())


def _train(
    todo: list[PlannedModel], folder: RunFolder, view: View, watcher: Watcher, processes: int | None
) -> list[str]:
    """Train `todo` and record each model's step; return the names of the models that failed."""
    unfinished = {model.name: model for model in todo}
    failed = []
    for model in todo:
        folder.begin(model.step)
    try:
        ordered = sorted(todo, key=lambda model: model.job.predictor in QUICK)
        jobs = [(model.name, model.job) for model in ordered]
        for name, scores, seconds in run_jobs(jobs, view, watcher, processes):
            if isinstance(scores, BaseException):
                failed.append(name)
                folder.fail(unfinished[name].step, scores)
                view.show("warn", f"{name} failed: {scores}")
            else:
                job = unfinished[name].job
                detail = {"arm": unfinished[name].arm, "predictor": job.predictor, "seed": job.seed}
                folder.finish(unfinished[name].step, files_of(job.out_dir), seconds, detail)
            del unfinished[name]
    except BaseException as error:  # no model stays "running"
        for model in unfinished.values():
            folder.fail(model.step, error)
        raise
    return failed


def _show_earlier_training(view: View, name: str, scores: Mapping[str, Any]) -> None:
    """Show whether a training continued an earlier one, or could not."""
    if epoch := scores.get("went_on_after_epoch"):
        view.show("info", f"{name} went on after epoch {epoch} of a training that was cut short")
    if reason := scores.get("training_set_aside"):
        view.show(
            "warn", f"{name} was trained from the start, because an earlier training cannot be continued: {reason}"
        )
