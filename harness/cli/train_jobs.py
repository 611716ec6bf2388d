"""Code shared by `harness train` and `harness evaluate`: turns a request into jobs, trains them, prints the scores."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.model_errors import as_model_error
from harness.cli.judgement import exit_unless_sound, print_qualities, refuse_changed, refuse_unsound
from harness.cli.made_tables import Names, named_as_given
from harness.cli.output import Output, note
from harness.errors import ModelError, UsageError

if TYPE_CHECKING:
    from harness.cli.recorded_quality import RecordedQuality
    from harness.progress import View
    from model.jobs import Job

SPLIT = (0.7, 0.15, 0.15)
TEMPORAL = "temporal"
Scores = dict[str, Any]


@dataclass(frozen=True)
class TrainRequest:
    """Every predictor with every seed on these recordings; `params` maps a predictor to its settings.

    `split` says what is tested on: "temporal" takes the last part of each recording, or the recordings in `test` where
    there are any. Any other value, one of `model.scoring.folds.BY`, tests on one group of recordings after the other.
    """

    paths: Sequence[Path]
    predictors: Sequence[str]
    mark: str = "task"
    seeds: Sequence[int] = (0,)
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    split: str = TEMPORAL
    test: Sequence[Path] = ()
    across_clocks: bool = False  # whether `test` may be of another clock than `paths`
    across_kernels: bool = False  # whether it may be of another kernel
    names: Names = field(default_factory=dict)  # what the user named, by the folder of its tables
    strict: bool = False  # whether to refuse recordings that are not whole

    @property
    def in_folds(self) -> bool:
        """Whether every model is trained once per fold, and its scores are means over the folds."""
        return self.split != TEMPORAL

    def recordings(self) -> tuple[Path, ...]:
        """Return the folders of the recordings trained on. Raises PredictionError."""
        from model.data import find_recordings

        return tuple(find_recordings.recordings(self.paths))

    def tested(self) -> tuple[Path, ...]:
        """Return those of the recordings in `test`. Raises PredictionError."""
        from model.data import find_recordings

        return tuple(find_recordings.recordings(self.test)) if self.test else ()

    def jobs(self, out: Path) -> list[tuple[Job, str | None]]:
        """Return one job per model and fold, each with its own folder under `out`, and the name of its fold.

        Raises PredictionError for a wrong setting or for recordings that do not fit together.
        """
        from model.data.streams import require_disjoint
        from model.scoring import folds

        self._check_settings()
        tables, test = self.recordings(), self.tested()
        if test:
            require_disjoint(tables, test)
        if not self.in_folds:
            jobs = list(self._jobs(tables, test, out))
            jobs[0].clocks(), jobs[0].provenance()  # all have the same recordings
            return [(job, None) for job in jobs]
        return [
            (job, fold.name)
            for fold in folds.make_folds(tables, self.split)
            for job in self._jobs(fold.train, fold.test, out, f".{fold.slug}")
        ]

    def _check_settings(self) -> None:
        """Create every predictor once, so that a wrong setting is an error before any recording is read."""
        from model.predictors import create

        for predictor in self.predictors:
            create(predictor, self.params.get(predictor, {}))

    def _jobs(self, tables: tuple[Path, ...], test: tuple[Path, ...], out: Path, suffix: str = "") -> Iterator[Job]:
        from harness.campaign.training import list_jobs

        return list_jobs(
            *(tables, self.predictors, self.seeds, self.mark, SPLIT, self.params, out),
            suffix=suffix,
            test_tables=test,
            across_clocks=self.across_clocks,
            across_kernels=self.across_kernels,
        )


def train_and_show(request: TrainRequest, out: Path, workers: int | None, output: Output) -> None:
    """Train and score what `out` does not hold yet; print all scores. Raises ModelError, naming the failed models.

    Exits with 1 after all that if a recording is not whole.
    """
    with named_as_given(request.names):
        _train_and_show(request, out, workers, output)


def _train_and_show(request: TrainRequest, out: Path, workers: int | None, output: Output) -> None:
    with as_model_error():
        jobs = request.jobs(out)
        recordings = judge([*request.recordings(), *request.tested()], request.strict, output, request.names)
    with _exclusive(out):
        scores, failed = _train([job for job, _ in jobs], workers, output.view())
        trained = [(scores[job.out_dir.name], fold, job.out_dir) for job, fold in jobs if job.out_dir.name in scores]
        if trained and (not failed or not output.as_json):  # with --json the error is the only document printed
            _show_trained(request, trained, recordings, output)
    if failed:
        raise ModelError("; ".join(failed))
    exit_unless_sound(recordings)


def judge(folders: Iterable[Path], strict: bool, output: Output, names: Names | None = None) -> list[RecordedQuality]:
    """Print the judgement of each recording; with `strict` raise TraceError for one that is not whole.

    Raises StoreError for a trial with a file that is not as its run wrote it.
    """
    from harness.cli.recorded_quality import read_qualities

    folders = list(folders)
    refuse_changed(folders)
    recordings = read_qualities(folders, names)
    if strict:
        refuse_unsound(recordings)
    print_qualities(recordings, output.quiet)
    return recordings


@contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    """Keep other trainings out of a folder, since two would mix their files. Raises LockedError, naming the other."""
    from harness.files import make_folder
    from harness.store.lock import locked

    make_folder(out)
    with locked(out):
        yield


def _show_trained(
    request: TrainRequest,
    trained: Sequence[tuple[Scores, str | None, Path]],
    recordings: Sequence[RecordedQuality],
    output: Output,
) -> None:
    """Print one row per predictor, its seeds combined; with folds, one table per predictor, with a row of means."""
    from model.scoring import folds, seeds

    tables = [{**scores, "fold": fold} if fold else scores for scores, fold, _ in trained]
    with as_model_error():
        summaries = seeds.summarise(tables, [folder for *_, folder in trained])
    if not request.in_folds:
        return show_scores(summaries, recordings, output)
    from harness.terminal.score_tables import score_legend, score_table

    means = [{**mean, "split": request.split} for mean in folds.summarise(summaries)]
    _print_json(means, recordings, output)
    for mean in means:
        row = {**mean, "fold": f"mean of {len(mean['folds'])}"}
        output.show(score_table(_with_online([*mean["folds"], row])))
    output.show(score_legend(means, request.split))


def _train(jobs: Sequence[Job], workers: int | None, view: View) -> tuple[dict[str, Scores], list[str]]:
    """Return the scores by the name of the model's folder, and the errors of the models that failed."""
    from harness.campaign import training

    todo, scores = _untrained(jobs, view)
    failed: dict[str, str] = {}
    with view.step("train", f"Train and score {len(todo)} model{'s' if len(todo) != 1 else ''}") as watcher:
        for name, result, _ in training.run_jobs(todo, view, watcher, workers):
            if isinstance(result, BaseException):
                failed[name] = str(result)
            else:
                scores[name] = dict(result)
        if failed and not scores:
            raise ModelError("; ".join(_reasons(failed)))
    return scores, _reasons(failed)


def _reasons(failed: Mapping[str, str]) -> list[str]:
    """Return each error once, with the models that it stopped: one bad recording stops all of them."""
    names: dict[str, list[str]] = {}
    for name, reason in failed.items():
        names.setdefault(reason, []).append(name)
    return [f"{', '.join(sorted(models))}: {reason}" for reason, models in names.items()]


def _untrained(jobs: Sequence[Job], view: View) -> tuple[list[tuple[str, Job]], dict[str, Scores]]:
    """Return the jobs still to run, by name, and the scores of those whose folder holds them already."""
    from model.jobs import stored

    todo, scores = [], {}
    for job in jobs:
        name = job.out_dir.name
        if known := stored(job):
            scores[name] = known
            view.show("info", f"{name} is trained already: the same settings on the same recordings")
        else:
            todo.append((name, job))
    return todo, scores


def parse_settings(settings: Sequence[str], predictors: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Turn `["gru.hidden=32"]` into `{"gru": {"hidden": 32}}`.

    Raises UsageError for any other form, and for a setting that the predictor does not have or cannot use.
    """
    params: dict[str, dict[str, Any]] = {}
    for setting in settings:
        path, _, value = setting.partition("=")
        predictor, _, name = path.partition(".")
        if not (name and value):
            raise UsageError(f"--set {setting}", expected="PREDICTOR.SETTING=VALUE, such as gru.hidden=32")
        if predictor not in predictors:
            raise UsageError(f"--set {setting}: no such predictor among {', '.join(predictors)}")
        if name == "seed":
            raise UsageError(f"--set {setting}", expected="--seed, which all predictors share")
        params.setdefault(predictor, {})[name] = _value(value)
    for predictor, chosen in params.items():
        _require_right(predictor, chosen)
    return params


def _require_right(predictor: str, settings: Mapping[str, Any]) -> None:
    from model.settings import wrong_settings

    for wrong in wrong_settings(predictor, settings):
        where = f"--set {predictor}.{wrong.name}"
        if wrong.expected:
            raise UsageError(f"{predictor}.{wrong.name} is {wrong.value!r}", where=where, expected=wrong.expected)
        known = ", ".join(wrong.known) or "no settings"
        raise UsageError(f"{predictor} has no setting {wrong.name!r}", where=where, expected=known)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def show_scores(summaries: list[Scores], recordings: Sequence[RecordedQuality], output: Output) -> None:
    """Print the scores of one or several predictors, as `model.scoring.seeds.summarise` returns them."""
    from harness.terminal.score_tables import score_legend, score_table

    _print_json(summaries, recordings, output)
    output.show(score_table(_with_online(summaries)), score_legend(summaries))


def _print_json(summaries: Sequence[Scores], recordings: Sequence[RecordedQuality], output: Output) -> None:
    _print_notes(summaries, output)
    output.data({"scores": summaries, "recordings": [one.to_dict() for one in recordings]})


def _print_notes(summaries: Sequence[Scores], output: Output) -> None:
    """Print to stderr what is worth knowing beside the scores, such as machines that differ; nothing with --quiet."""
    for text in dict.fromkeys(text for summary in summaries for text in summary.get("notes") or ()):
        if not output.quiet:
            note(f"note: {text}")


def _with_online(summaries: Iterable[Scores]) -> list[Scores]:
    """Add a row of online scores after each predictor that has them."""
    rows: list[Scores] = []
    for scores in summaries:
        rows.append(scores)
        if scores.get("online"):
            rows.append({**scores, **scores["online"], "predictor": f"{scores['predictor']}, online"})
    return rows
