"""A predictor that was trained and stored: its scores, and what it predicts for other recordings."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model import checkpoint, jobs, predict
from model.errors import FolderError, TableError
from model.evaluation import SPLIT, Evaluation, Recordings, combine, folders_of, sides
from model.files import is_changed, read_json
from model.jobs import Job
from model.predictor import OnProgress, Predictor, ignore_progress
from model.scoring.outcomes import SCORES, read_outcomes

if TYPE_CHECKING:
    import pandas as pd

FULL = (errno.ENOSPC, errno.EDQUOT)


class StoredModel:
    """A fitted predictor and the folder it lies in, made by `train` or `load`; nothing in it is executed.

    `os.fspath` gives the folder.
    """

    def __init__(self, path: Path, stored: checkpoint.Checkpoint) -> None:
        self.path, self._stored = path, stored

    @property
    def name(self) -> str:
        """The name of the predictor."""
        return self._stored.kind

    @property
    def predictor(self) -> Predictor:
        """The fitted predictor itself, with `predict` and `session`."""
        return self._stored.predictor

    @property
    def settings(self) -> dict[str, object]:
        """Its settings, such as `hidden`; the seed is one of them where it is used."""
        return self.predictor.settings()

    @property
    def mark(self) -> str:
        """What it predicts: `task` (name and thread) or `comm` (name)."""
        return self._stored.mark

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks by index, as `Prediction.log_probs` has its columns; the first stands for every other task."""
        return self._stored.vocabulary.names

    @property
    def about(self) -> Mapping[str, object]:
        """What is stored with it: the recordings it learned from, split, seed and clock."""
        return self._stored.about

    @cached_property
    def evaluation(self) -> Evaluation:
        """The scores that it was stored with. Raises TableError where there are none, or they were changed."""
        try:
            table = read_json(self.path / SCORES)
        except (OSError, ValueError) as error:
            what = f"{self.path / SCORES}: {error}: expected the scores of a model"
            raise TableError(f"{what}; train it again") from error
        if is_changed(table):
            raise TableError(f"{self.path / SCORES}: not as it was written, as its SHA-256 differs: train it again")
        return combine([table], [read_outcomes(self.path)])

    def evaluate(
        self,
        recordings: Recordings,
        share: float = 1.0,
        *,
        across_clocks: bool = False,
        across_kernels: bool = False,
    ) -> Evaluation:
        """Score it on the last `share` of each recording, best of ones that it did not learn from.

        The recordings that it learned from are named in `table["also_learned_from"]`. Raises PredictionError, also for
        recordings of another clock or kernel than it learned from, unless `across_clocks` or `across_kernels` is set.
        """
        across = {"across_clocks": across_clocks, "across_kernels": across_kernels}
        table, outcomes = predict.score(self.path, folders_of(recordings), share, **across)
        return combine([table], [outcomes])

    def predict(
        self,
        recordings: Recordings,
        share: float = 1.0,
        *,
        across_clocks: bool = False,
        across_kernels: bool = False,
    ) -> pd.DataFrame:
        """Return a row for each switch of the last `share` of each recording: what was likely, and what came.

        `mark` came, and `likeliest` was the most probable, with the probability `confidence`; `hit` says whether they
        are the same. `probability` is that of the mark that came, `bits` its -log2. `median_us` is the predicted median
        of its stay and `slice_us` how long it stayed, in microseconds. `chance` is the probability of a hit by a blind
        pick among those that could be picked, two or more of them where `contested`. `event` counts the switches of
        a `cpu` of a `trial`, `start_ns` is on the recording's clock. `learned`: the model learned from this recording,
        and is better than it would be elsewhere. Raises what `evaluate` raises.
        """
        import pandas as pd

        across = {"across_clocks": across_clocks, "across_kernels": across_kernels}
        return pd.DataFrame(predict.predict(self.path, folders_of(recordings), share, **across))

    def forecast(self, recording: str | os.PathLike[str], events: int = 20, top: int = 3) -> pd.DataFrame:
        """Return a row for each of the last `events` switches of each CPU: what was likely, and what came.

        `likeliest`: the `top` likeliest marks with their probabilities; `mark`: the one that came; `median_us`: the
        predicted median of its stay, `slice_us`: how long it stayed, both in microseconds. Raises PredictionError.
        """
        import pandas as pd

        forecasts = [
            one for folder in folders_of(recording) for one in predict.forecast(self.path, folder, events, top)
        ]
        return pd.DataFrame([asdict(forecast) for forecast in forecasts])

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def __repr__(self) -> str:
        learned = ", ".join(map(str, self._trials))
        return f"StoredModel({str(self.path)!r}: {self.name}, {len(self.marks)} marks, learned from {learned or '?'})"

    @property
    def _trials(self) -> list[Any]:
        trials = self.about.get("trials")
        return trials if isinstance(trials, list) else []


def load(path: str | os.PathLike[str]) -> StoredModel:
    """Open a model that `train`, `harness train` or a run stored. Raises CheckpointError for one that was changed."""
    return StoredModel(Path(path), checkpoint.load(Path(path)))


def train(
    predictor: str,
    recordings: Recordings,
    out: str | os.PathLike[str],
    *,
    test: Recordings = (),
    mark: str = "task",
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    split: tuple[float, float, float] = SPLIT,
    across_clocks: bool = False,
    across_kernels: bool = False,
    on_progress: OnProgress = ignore_progress,
) -> StoredModel:
    """Fit, score and store a predictor in `out`, in the folder `PREDICTOR_sSEED`, as `harness train` does.

    A folder that holds the scores of the same settings on the same recordings is not trained again, and a network
    whose training was killed continues. The arguments are those of `evaluate`; `harness train` trains several seeds at
    a time. Raises PredictionError: FolderError where `out` cannot be written.
    """
    tables, tested = sides(recordings, test)
    folder = Path(out) / f"{predictor}_s{seed}"
    job = Job(tables, predictor, seed, mark, split, folder, settings or {}, tested, across_clocks, across_kernels)
    if not jobs.done(job):
        with _writing(folder):
            jobs.run(job, on_progress)
    return load(folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Make the folder around `folder` before minutes of training, and name what cannot be written as an error."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        if not _is_of(folder, error):
            raise
        what = f"{error.filename or folder}: {error.strerror or error}"
        raise FolderError(f"{what}: expected a folder that can be written, with room for a model") from error


def _is_of(folder: Path, error: OSError) -> bool:
    """Return whether an error is about a path above or in `folder`; one of a full disk names none."""
    if isinstance(error.filename, (str, os.PathLike)):
        named = Path(error.filename).absolute()
        return named in folder.absolute().parents or named.is_relative_to(folder.absolute())
    return error.errno in FULL
