"""What `harness train` and `harness evaluate` share: from what was asked for to jobs, and from jobs to scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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
Scores = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """Every predictor with every seed on these recordings; `params` holds settings by predictor."""

    paths: Sequence[Path]
    predictors: Sequence[str]
    mark: str = "task"
    seeds: Sequence[int] = (0,)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def jobs(self, out: Path) -> Iterator[Job]:
        """One job a model, each in its own folder under `out`; one seed where chance plays no part."""
        from model.jobs import Job
        from model.predictors import find
        from model.sources import recordings

        tables = tuple(recordings(self.paths))
        for predictor in self.predictors:
            for seed in self.seeds if find(predictor).seeded else self.seeds[:1]:
                params = self.params.get(predictor, {})
                yield Job(tables, predictor, seed, self.mark, SPLIT, out / f"{predictor}_s{seed}", params)


def fit(asked: Asked, out: Path, workers: int | None, output: Output) -> None:
    """Train what is not trained yet, score it, and print the scores. ModelError names every model that failed."""
    with as_model_error():
        jobs = list(asked.jobs(out))
    scores, failed = _fit(jobs, workers, output.view())
    if not (failed and output.as_json):  # then the error is the one JSON document that is printed
        answer([scores[job.out_dir.name] for job in jobs if job.out_dir.name in scores], output)
    if failed:
        raise ModelError("; ".join(failed))


def _fit(jobs: Sequence[Job], workers: int | None, view: View) -> tuple[dict[str, Scores], list[str]]:
    """Scores by the name of the model's folder, and what became of those that failed."""
    from harness import engine, training

    todo, scores = _left_to_do(jobs, view)
    failed = []
    with view.step("train", f"Train and score {len(todo)} models") as watcher:
        heard = training.Heard(watcher, len(todo))
        for name, found in engine.spread(todo, training.work, workers=workers, heard=heard.progress):
            heard.ended(name)
            if isinstance(found, BaseException):
                failed.append(f"{name}: {found}")
            else:
                scores[name] = found
                training.tell(view, name, found)
    return scores, failed


def _left_to_do(jobs: Sequence[Job], view: View) -> tuple[list[tuple[str, Job]], dict[str, Scores]]:
    """The jobs to run, by name; and the scores of those whose folder holds them already."""
    from model.jobs import stored

    todo, scores = [], {}
    for job in jobs:
        name = job.out_dir.name
        if found := stored(job):
            scores[name] = found
            view.say("info", f"{name} is trained already: the same settings on the same recordings")
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


def answer(scores: list[Scores], output: Output) -> None:
    """Print one table of scores, or several."""
    from harness import show

    output.data(scores[0] if len(scores) == 1 else scores)
    output.show(show.scores_of(scores))


@contextmanager
def as_model_error() -> Iterator[None]:
    """The prediction package knows nothing of this command; its errors become one that has an exit code."""
    from model.errors import PredictionError

    try:
        yield
    except PredictionError as error:
        raise ModelError(str(error)) from error
