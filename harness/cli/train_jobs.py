"""What `harness train` and `harness evaluate` share: from what was asked for to jobs, and from jobs to scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.output import Output
from harness.errors import ModelError, UsageError

if TYPE_CHECKING:
    from harness.progress import View
    from model.jobs import Job

SPLIT = (0.7, 0.15, 0.15)
TEMPORAL = "temporal"
Scores = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """Every predictor with every seed on these recordings; `params` holds settings by predictor.

    Tested on the end of each recording (`split` temporal), on the recordings behind `test`, or, for each of the ways to
    split in `model.scoring.folds`, on one group of recordings after the other.
    """

    paths: Sequence[Path]
    predictors: Sequence[str]
    mark: str = "task"
    seeds: Sequence[int] = (0,)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    split: str = TEMPORAL
    test: Sequence[Path] = ()

    @property
    def in_folds(self) -> bool:
        """Whether every model is trained several times, and scores are means over that."""
        return self.split != TEMPORAL

    def jobs(self, out: Path) -> list[tuple[Job, str | None]]:
        """One job a model and fold, each in its own folder under `out`, and what its fold holds out."""
        from model.data.find_recordings import recordings, require_one_kernel
        from model.data.streams import require_disjoint
        from model.scoring import folds

        self.check()
        tables, test = tuple(recordings(self.paths)), tuple(recordings(self.test) if self.test else ())
        require_one_kernel([*tables, *test])
        if test:
            require_disjoint(tables, test)
        if not self.in_folds:
            return [(job, None) for job in self._jobs(tables, test, out, "")]
        made = [
            (fold, self._jobs(fold.train, fold.test, out, f".{fold.slug}"))
            for fold in folds.make_folds(tables, self.split)
        ]
        return [(job, fold.name) for fold, jobs in made for job in jobs]

    def check(self) -> None:
        """Make every predictor once, so that a setting that is none is told before anything is read."""
        from model.predictors import create

        for predictor in self.predictors:
            create(predictor, self.params.get(predictor, {}))

    def _jobs(self, tables: tuple[Path, ...], test: tuple[Path, ...], out: Path, suffix: str) -> Iterator[Job]:
        """One seed is enough where chance plays no part."""
        from model.jobs import Job
        from model.predictors import find

        for predictor in self.predictors:
            for seed in self.seeds if find(predictor).seeded else self.seeds[:1]:
                folder, params = out / f"{predictor}_s{seed}{suffix}", self.params.get(predictor, {})
                yield Job(tables, predictor, seed, self.mark, SPLIT, folder, params, test)


def fit(asked: Asked, out: Path, workers: int | None, output: Output) -> None:
    """Train what is not trained yet, score it, and print the scores. ModelError names every model that failed."""
    with as_model_error():
        jobs = asked.jobs(out)
    with _alone(out):
        scores, failed = _fit([job for job, _ in jobs], workers, output.view())
        found = [(scores[job.out_dir.name], fold, job.out_dir) for job, fold in jobs if job.out_dir.name in scores]
        if found and (not failed or not output.as_json):  # as JSON an error is the one document that is printed
            _answer(asked, found, output)
    if failed:
        raise ModelError("; ".join(failed))


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Two trainings of one model would mix their files. LockedError, naming the other process."""
    from harness.files import make_folder
    from harness.store.lock import locked

    make_folder(out)
    with locked(out):
        yield


def _answer(asked: Asked, found: Sequence[tuple[Scores, str | None, Path]], output: Output) -> None:
    """Print the scores, the seeds of a predictor as one, those of folds with their mean."""
    from model.scoring import folds, seeds

    tables = [{**scores, "fold": fold} if fold else scores for scores, fold, _ in found]
    with as_model_error():
        told = seeds.summarise(tables, [folder for *_, folder in found])
    if not asked.in_folds:
        return answer(told, output)
    from harness.terminal.score_tables import score_legend, score_table

    means = [{**one, "split": asked.split} for one in folds.summarise(told)]
    output.data(means[0] if len(means) == 1 else means)
    for one in means:
        mean = {**one, "fold": f"mean of {len(one['folds'])}"}
        output.show(score_table(_with_online([*one["folds"], mean])))
    output.show(score_legend(means, asked.split))


def _fit(jobs: Sequence[Job], workers: int | None, view: View) -> tuple[dict[str, Scores], list[str]]:
    """Scores by the name of the model's folder, and what became of those that failed."""
    from harness.campaign import training

    todo, scores = _left_to_do(jobs, view)
    failed: dict[str, str] = {}
    with view.step("train", f"Train and score {len(todo)} model{'s' if len(todo) != 1 else ''}") as watcher:
        for name, found, _ in training.run_jobs(todo, view, watcher, workers):
            if isinstance(found, BaseException):
                failed[name] = str(found)
            else:
                scores[name] = dict(found)
        if failed and not scores:
            raise ModelError("; ".join(_reasons(failed)))
    return scores, _reasons(failed)


def _reasons(failed: Mapping[str, str]) -> list[str]:
    """Why models failed, by name; each reason once, for one bad recording fails all of them."""
    names: dict[str, list[str]] = {}
    for name, reason in failed.items():
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(sorted(those))}: {reason}" for reason, those in names.items()]


def _left_to_do(jobs: Sequence[Job], view: View) -> tuple[list[tuple[str, Job]], dict[str, Scores]]:
    """The jobs to run, by name; and the scores of those whose folder holds them already."""
    from model.jobs import stored

    todo, scores = [], {}
    for job in jobs:
        name = job.out_dir.name
        if found := stored(job):
            scores[name] = found
            view.show("info", f"{name} is trained already: the same settings on the same recordings")
        else:
            todo.append((name, job))
    return todo, scores


def params_of(settings: Sequence[str], predictors: Sequence[str]) -> dict[str, dict[str, Any]]:
    """`["gru.hidden=32"]` to `{"gru": {"hidden": 32}}`. UsageError where it is not of that form."""
    params: dict[str, dict[str, Any]] = {}
    for setting in settings:
        place, _, value = setting.partition("=")
        predictor, _, name = place.partition(".")
        if not (name and value):
            raise UsageError(f"--set {setting}", expected="PREDICTOR.SETTING=VALUE, such as gru.hidden=32")
        if predictor not in predictors:
            raise UsageError(f"--set {setting}: no such predictor among {', '.join(predictors)}")
        params.setdefault(predictor, {})[name] = _value(value)
    return params


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def answer(told: list[Scores], output: Output) -> None:
    """Print one table of scores, or several; each is one that `model.scoring.seeds.combine_seeds` made."""
    from harness.terminal.score_tables import score_legend, score_table

    output.data(told[0] if len(told) == 1 else told)
    output.show(score_table(_with_online(told)), score_legend(told))


def _with_online(scores: Iterable[Scores]) -> list[Scores]:
    """Each table, and after it that of the same predictor learning on, where it can."""
    rows: list[Scores] = []
    for one in scores:
        learned_on = {**one, **one["online"], "predictor": f"{one['predictor']}, online"} if one.get("online") else None
        rows += [one, learned_on] if learned_on else [one]
    return rows


@contextmanager
def as_model_error() -> Iterator[None]:
    """The prediction package knows nothing of this command; its errors become one that has an exit code."""
    from model.errors import PredictionError

    try:
        yield
    except PredictionError as error:
        raise ModelError(str(error)) from error
