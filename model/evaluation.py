"""Scores of one predictor on events that it has not seen: of a named one, or of one's own class."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import jobs
from model.data.find_recordings import recordings as find_recordings
from model.data.find_recordings import require_run_queues
from model.data.streams import require_disjoint
from model.jobs import Job
from model.predictor import OnProgress, Predictor, TrainablePredictor, ignore_progress
from model.predictors import find, require_installed, require_known
from model.scoring import frames
from model.scoring import outcomes as scoring
from model.scoring.compare import compare_outcomes
from model.scoring.honesty import HonestPredictor, require_inputs
from model.scoring.outcomes import Outcomes
from model.scoring.scores import score_online, score_outcomes, score_recordings
from model.scoring.seeds import combine_seeds

if TYPE_CHECKING:
    import pandas as pd

SPLIT = (0.7, 0.15, 0.15)
Recordings = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


@dataclass(frozen=True, repr=False)
class Evaluation:
    """The scores of a predictor, made by `evaluate`; all frames have 95 % intervals in `_low` and `_high`.

    `table`: all of it, with the keys of `scores.json` (docs/predictors.md explains each score). `outcomes`: for each
    seed, what became of each test event: arrays (n,). Losses are in bits, times in microseconds. `interval_trials`
    says how many recordings the intervals are over; with 1 they are about this recording only.
    """

    table: Mapping[str, Any]
    outcomes: tuple[Outcomes, ...] = field(repr=False)

    @property
    def predictor(self) -> str:
        """The name of the predictor."""
        return str(self.table["predictor"])

    @property
    def caveat(self) -> str | None:
        """What speaks against the scores, in words: guesses, recordings that do not fit; None where nothing does."""
        return self.table.get("caveat")

    def scores(self) -> pd.DataFrame:
        """Return the main scores as one row, with the columns of `harness.Run.scores`, so that rows can be joined."""
        return frames.row(self.table)

    def parts(self) -> pd.DataFrame:
        """Return a row for each score of each part (overall, forced, contested, open): value, low, high, events."""
        return frames.parts(self.table)

    def by_trial(self) -> pd.DataFrame:
        """Return `top1`, `contested_top1` and `bits_per_switch` of each recording, with standard errors (`_se`)."""
        return frames.by_trial(self.table)

    def compare(self, baseline: Evaluation) -> pd.DataFrame:
        """Return how much better this is than `baseline` on the same events, a row for each part and score.

        The comparison is paired, so that what is hard for both cancels: `difference` is value - baseline, `low` and
        `high` its 95 % interval, and `outcome` is `better`, `worse` or, if that holds 0, `unclear`. Raises StreamError
        if the two were scored on different events.
        """
        return frames.comparisons(compare_outcomes(self.outcomes, baseline.outcomes))

    def __repr__(self) -> str:
        part = "contested" if (self.table.get("contested") or {}).get("events") else "overall"
        top1, ends, chance = (self.table[part].get(name) for name in ("top1", "top1_ci", "chance_top1"))
        words = [
            f"{part} top-1 {top1:.1%}" + ("" if ends is None else f" ({ends[0]:.1%} to {ends[1]:.1%}, {self._basis})"),
            *([] if chance is None else [f"chance {chance:.1%}"]),
            f"{self.table['test_events']:,} events",
            *(["see its caveat"] if self.caveat else []),
        ]
        return f"Evaluation({self.predictor}: {', '.join(words)})"

    @property
    def _basis(self) -> str:
        trials = self.table.get("interval_trials") or 1
        return f"over {trials} recordings" if trials > 1 else "about this recording only"


def evaluate(
    predictor: str | TrainablePredictor,
    recordings: Recordings,
    *,
    test: Recordings = (),
    mark: str = "task",
    seeds: Sequence[int] = (0,),
    settings: Mapping[str, Any] | None = None,
    split: tuple[float, float, float] = SPLIT,
    across_clocks: bool = False,
    across_kernels: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> Evaluation:
    """Fit a predictor on the first part of each recording, and score it on the last; nothing is stored.

    `predictor`: a name (`model.predictors.KINDS`) or an object with `inputs`, `fit` and `predict`, which is fitted in
    place, and whose predictions are checked: they must be probabilities, and must not change with what comes later.
    `recordings`: folders of tables, trials or runs; a run stands for its usable trials. `split`: shares of train,
    validation and test part. With `test`, these other recordings are tested on as a whole. `seeds` and `settings` are
    for a name; a predictor without chance takes the first seed only. `mark`: `task` or `comm`.

    Raises model.errors.PredictionError: TableError or StreamError for recordings that cannot be used or do not fit
    together, SettingError for a wrong setting or for predictions that cannot be scored.
    """
    tables, tested = sides(recordings, test)
    own = None if isinstance(predictor, str) else predictor
    name = predictor if isinstance(predictor, str) else type(predictor).__name__
    used = seeds if own is None and _is_seeded(name) else seeds[:1]
    evaluated = [
        _evaluate(
            Job(tables, name, seed, mark, split, Path(), settings or {}, tested, across_clocks, across_kernels),
            own,
            on_progress,
        )
        for seed in used
    ]
    return combine([scores for scores, _ in evaluated], [outcomes for _, outcomes in evaluated])


def combine(tables: Sequence[Mapping[str, Any]], outcomes: Sequence[Outcomes]) -> Evaluation:
    """Put the seeds of one predictor together."""
    return Evaluation(combine_seeds(tables, outcomes), tuple(outcomes))


def sides(recordings: Recordings, test: Recordings) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the recordings to learn from, and those to test on as a whole, if any. Raises PredictionError."""
    tables, tested = folders_of(recordings), folders_of(test) if _paths(test) else ()
    if tested:
        require_disjoint(tables, tested)
    return tables, tested


def folders_of(recordings: Recordings) -> tuple[Path, ...]:
    """Return the folders of recordings that are named alone or as a sequence; of a run, its usable trials."""
    return tuple(find_recordings(_paths(recordings)))


def _paths(recordings: Recordings) -> list[Path]:
    if isinstance(recordings, (str, os.PathLike)):
        return [Path(recordings)]
    return [Path(recording) for recording in recordings]


def _is_seeded(name: str) -> bool:
    require_known(name)
    require_installed(name)
    return bool(find(name).seeded)


def _evaluate(job: Job, own: TrainablePredictor | None, on_progress: OnProgress) -> tuple[dict[str, Any], Outcomes]:
    """Fit and score one seed."""
    job.clocks()
    job.provenance()
    predictor: Predictor | TrainablePredictor = own or jobs.make_predictor(job)
    require_inputs(predictor)
    require_run_queues(predictor.inputs, [*job.tables, *job.test_tables])
    dataset = jobs.read_dataset(job)
    began = time.monotonic()
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), on_progress)
    fit_seconds = time.monotonic() - began
    honest = HonestPredictor(predictor, len(dataset.vocabulary))
    if own:
        honest.require_honesty(dataset.test[0])
    tested = scoring.evaluate(honest if own else predictor, dataset.test)
    scores = {**jobs.describe(job, predictor, dataset), "fit_seconds": fit_seconds, **score_outcomes(tested)}
    scores |= {"online": score_online(predictor, dataset.test), "by_trial": score_recordings(tested, dataset.test)}
    return scores, tested
