"""What the stored models of a run predict, of every switch of its trials or of other recordings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.model_errors import as_model_error
from harness.api.opening import open_recording
from harness.api.trial import Trial
from harness.errors import UsageError
from harness.store import RunFolder
from harness.store.finished_steps import finished_models
from harness.store.integrity import require_unchanged

if TYPE_CHECKING:
    import pandas as pd

    from model import StoredModel

Recordings = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
CONFIG = "config.json"


@dataclass(frozen=True)
class StoredIn:
    """A model that a run trained, as its manifest has it."""

    folder: Path
    predictor: str
    arm: str
    seed: int


@dataclass(frozen=True)
class Choice:
    """The models that are asked for, of a run with these usable trials: by name, or of one arm or seed only."""

    run: RunFolder
    usable: Sequence[Trial]
    predictor: str | os.PathLike[str]
    arm: str | None = None
    seed: int | None = None

    def folders(self) -> list[Path]:
        """Return the folders of the models. Raises UsageError where there is none."""
        stored = list(_stored(self.run))
        name = self.predictor if isinstance(self.predictor, str) else None
        named = [each for each in stored if name in (each.predictor, each.folder.name)]
        if not named and os.path.isfile(Path(self.predictor) / CONFIG):
            return [Path(self.predictor)]
        wanted = [each for each in named if self.arm in (None, each.arm) and self.seed in (None, each.seed)]
        if not wanted:
            raise self._missing(stored)
        return [each.folder for each in wanted]

    def trials(self, model: StoredModel) -> list[Trial]:
        """Return the trials that a model of the run learned from; for another model all those of the arm.

        Raises UsageError where there is none.
        """
        names: Any = model.about.get("trials") or ()
        own = self.is_of_run(model.path)
        found = [trial for trial in self.usable if (trial.name in names if own else self.arm in (None, trial.arm))]
        if not found:
            raise UsageError("there is no usable trial to predict", where=self.run.path.name, expected="recordings")
        return found

    def is_of_run(self, model: Path) -> bool:
        """Return whether the run trained this model."""
        return model.resolve().parent == self.run.path / "models"

    def _missing(self, stored: Sequence[StoredIn]) -> UsageError:
        names = ", ".join(dict.fromkeys(each.predictor for each in stored))
        wanted = {"of the arm": self.arm, "with the seed": self.seed}
        words = [f"{word} {value}" for word, value in wanted.items() if value is not None]
        what = " ".join([f"there is no model {os.fspath(self.predictor)!r}", *words])
        return UsageError(what, where=self.run.path.name, expected=f"one of {names}" if names else "a model's folder")


def predict(
    choice: Choice, recordings: Recordings | None, share: float | None, across: Mapping[str, bool]
) -> pd.DataFrame:
    """Apply each chosen model; return a row for each switch and model. Raises as `Run.predict` says."""
    import pandas as pd

    with as_model_error():
        given = None if recordings is None else _open(recordings)
        frames = [_of_model(folder, choice, given, share, across) for folder in choice.folders()]
    return pd.concat(frames, ignore_index=True)


def _of_model(
    folder: Path, choice: Choice, given: Sequence[Any] | None, share: float | None, across: Mapping[str, bool]
) -> pd.DataFrame:
    import model

    require_unchanged(folder)
    stored = model.load(folder)
    recordings = choice.trials(stored) if given is None else given
    if share is None:
        share = _test_share(stored) if given is None and choice.is_of_run(folder) else 1.0
    frame = stored.predict(recordings, share, **across)
    arms = {trial.name: trial.arm for trial in recordings if isinstance(trial, Trial)}
    seed: Any = stored.about.get("seed")
    for column, value in (("arm", frame.trial.map(arms.get)), ("seed", seed), ("model", folder.name)):
        frame.insert(0, column, value)
    return frame


def _open(recordings: Recordings) -> list[Any]:
    from model.evaluation import folders_of

    return [open_recording(folder) for folder in folders_of(recordings)]


def _test_share(stored: StoredModel) -> float:
    """Return the share of each recording that the model was tested on, and did not learn from."""
    split: Any = stored.about.get("split")
    return float(split[2])


def _stored(run: RunFolder) -> Iterator[StoredIn]:
    for name, step in finished_models(run.manifest).items():
        folder, detail = run.path / "models" / name, step["detail"]
        yield StoredIn(folder, str(detail.get("predictor")), str(detail.get("arm")), int(detail.get("seed") or 0))
