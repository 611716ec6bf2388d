"""`model.evaluate`, `train` and `load`: the scores are those of the jobs, whoever wrote the predictor."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import model
from model.data import synthetic
from model.errors import CheckpointError, FolderError, SettingError, StreamError, TableError
from model.predictors.markov import Markov
from model.scoring.compare import compare

SHORT = {"max_epochs": 1, "hidden": 8, "steps": 32}


class First:
    """The baseline `markov` of order 1, with its predictions changed by `change`: someone else's predictor."""

    def __init__(self, change: Callable[[model.Segment, model.Prediction], model.Prediction] | None = None) -> None:
        self.markov, self.change = Markov(order=1), change
        self.inputs = "marks"

    def fit(
        self,
        train: Sequence[model.Segment],
        valid: Sequence[model.Segment],
        marks: int,
        on_progress: model.OnProgress,
    ) -> None:
        self.markov.fit(train, valid, marks, on_progress)

    def predict(self, segment: model.Segment) -> model.Prediction:
        prediction = self.markov.predict(segment)
        return self.change(segment, prediction) if self.change else prediction


@pytest.fixture(scope="module")
def stored(short_recording: Path, tmp_path_factory: pytest.TempPathFactory) -> model.StoredModel:
    return model.train("markov", short_recording, tmp_path_factory.mktemp("models"), settings={"order": 1})


def test_one_s_own_predictor_gets_the_scores_of_a_named_one(short_recording: Path, stored: model.StoredModel) -> None:
    named = model.evaluate("markov", short_recording, settings={"order": 1})
    own = model.evaluate(First(), [short_recording])
    for other in (own, stored.evaluation):
        assert other.parts().equals(named.parts())
        assert other.by_trial().equals(named.by_trial())
    assert set(named.compare(own).outcome) == {"unclear"}


def test_frames_hold_the_scores_and_their_intervals(stored: model.StoredModel) -> None:
    evaluation = stored.evaluation
    row, contested = evaluation.scores().iloc[0], evaluation.table["contested"]
    assert (row.contested_top1_low, row.contested_top1, row.contested_top1_high) == (
        contested["top1_ci"][0],
        contested["top1"],
        contested["top1_ci"][1],
    )
    parts = evaluation.parts().set_index(["part", "score"])
    assert parts.loc[("overall", "bits_per_switch"), "low"] == evaluation.table["overall"]["bits_ci"][0]
    assert parts.loc[("overall", "time_mae_us"), "high"] == evaluation.table["overall"]["time_mae_ci"][1]
    assert list(evaluation.by_trial().trial) == ["000_known"]


def test_a_comparison_is_that_of_the_stored_models(short_recording: Path, stored: model.StoredModel) -> None:
    other = model.train("most_frequent", short_recording, stored.path.parent)
    frame = stored.evaluation.compare(other.evaluation)
    known = compare([stored.path], [other.path])
    assert frame.difference.tolist() == [one.together.difference for one in known]
    assert frame.outcome.tolist() == [one.outcome for one in known]


def test_seeds_of_a_network_are_put_together(short_recording: Path) -> None:
    evaluation = model.evaluate("gru", short_recording, seeds=[0, 1], settings=SHORT)
    assert evaluation.table["seeds"] == [0, 1]
    assert len(evaluation.outcomes) == 2
    assert evaluation.table["overall"]["top1_ci"]


def test_a_training_leaves_torch_with_its_threads_also_when_it_fails(short_recording: Path, tmp_path: Path) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        model.train("gru", short_recording, tmp_path, settings=SHORT)
        assert torch.get_num_threads() == 3
        with pytest.raises(RuntimeError, match="stop"):
            model.train("lstm", short_recording, tmp_path, settings=SHORT, on_progress=_stop)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def _stop(*_: object) -> None:
    assert torch.get_num_threads() == 1
    raise RuntimeError("stop")


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so_before_the_training(
    short_recording: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"file.*: expected a folder that can be written"):
        model.train("markov", short_recording, tmp_path / "file" / "models", on_progress=_stop)
    (tmp_path / "markov_s0").touch()  # where the folder of the model belongs
    with pytest.raises(FolderError, match="markov_s0"):
        model.train("markov", short_recording, tmp_path)


@pytest.mark.parametrize(
    "error", [FileNotFoundError(errno.ENOENT, "No such file", "elsewhere"), BrokenPipeError(errno.EPIPE, "Broken pipe")]
)
def test_an_error_of_who_watches_a_training_stays_what_it_is(
    error: OSError, short_recording: Path, tmp_path: Path
) -> None:
    def fails(*_: object) -> None:
        raise error

    with pytest.raises(type(error)):
        model.train("markov", short_recording, tmp_path, on_progress=fails)


def test_intervals_over_recordings_say_so(source: synthetic.Source, short_recording: Path, tmp_path: Path) -> None:
    others = [tmp_path / name for name in ("001_known", "002_known")]
    for number, other in enumerate(others):
        synthetic.write(other, replace(source, seed=source.seed), events=1_000 + number)
    evaluation = model.evaluate(First(), short_recording, test=others)
    assert "over 2 recordings" in repr(evaluation)
    assert list(evaluation.by_trial().trial) == ["001_known", "002_known"]
    assert "about this recording only" in repr(model.evaluate("markov", short_recording))


def doubled(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    return replace(prediction, log_probs=prediction.log_probs + np.log(2))


def impossible(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    log_probs = prediction.log_probs.copy()
    log_probs[3, 0] = -np.inf
    return replace(prediction, log_probs=log_probs)


def without_a_mark(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    return replace(prediction, log_probs=prediction.log_probs[:, 1:])


def knows_the_mark(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    log_probs = np.full_like(prediction.log_probs, np.log(0.1 / (prediction.log_probs.shape[1] - 1)))
    log_probs[np.arange(len(segment)), segment.of(segment.stream.mark)] = np.log(0.9)
    return replace(prediction, log_probs=log_probs)


def knows_the_slice(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    ones = np.ones((len(segment), 1))
    return replace(
        prediction, dt=model.density.LogNormalMixture(ones, np.log(segment.slice_us())[:, None], 0.01 * ones)
    )


def by_the_last_slice(segment: model.Segment, prediction: model.Prediction) -> model.Prediction:
    last = model.lagged(segment.stream.slice_ns, segment.start, segment.stop, 1, 0)
    ones = np.ones((len(segment), 1))
    return replace(prediction, dt=model.density.LogNormalMixture(ones, np.log1p(last), ones))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (doubled, "add up to 2: expected 1"),
        (impossible, "a probability of 0"),
        (without_a_mark, "a column per mark"),
        (knows_the_mark, "looks at the future"),
        (knows_the_slice, "looks at the future"),
        (by_the_last_slice, "looks at more than its inputs, marks"),
    ],
)
def test_predictions_that_cannot_be_scored_are_refused(
    short_recording: Path, change: Callable[[model.Segment, model.Prediction], model.Prediction], words: str
) -> None:
    with pytest.raises(SettingError, match=words):
        model.evaluate(First(change), short_recording)


def test_a_predictor_has_to_say_what_it_looks_at(short_recording: Path) -> None:
    own = First()
    own.inputs = "everything"
    with pytest.raises(SettingError, match="one of marks, slices, runqueue"):
        model.evaluate(own, short_recording)


def test_a_wrong_name_setting_or_recording_is_an_error_that_says_so(short_recording: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="did you mean 'markov'"):
        model.evaluate("markow", short_recording)
    with pytest.raises(SettingError, match="order"):
        model.evaluate("markov", short_recording, settings={"order": -1})
    with pytest.raises(TableError, match=r"expected a run or its tables; .*, in Python `harness.convert`"):
        model.evaluate("markov", tmp_path)
    with pytest.raises(TableError, match="no recordings named"):
        model.evaluate("markov", [])
    with pytest.raises(SettingError, match="both learned from and tested on"):
        model.evaluate("markov", short_recording, test=[short_recording])
    with pytest.raises(SettingError, match="three positive shares"):
        model.evaluate("markov", short_recording, split=(1.0, 0.0, 0.0))
    with pytest.raises(StreamError, match="named twice"):
        model.evaluate("markov", [short_recording, short_recording])


def test_a_stored_model_opens_again_and_is_not_trained_twice(short_recording: Path, stored: model.StoredModel) -> None:
    written = (stored.path / "scores.json").stat().st_mtime_ns
    again = model.train("markov", short_recording, stored.path.parent, settings={"order": 1})
    assert (again.path / "scores.json").stat().st_mtime_ns == written
    assert repr(model.load(stored.path)) == repr(stored)
    assert (again.name, again.mark, again.settings["order"], again.marks[0]) == ("markov", "task", 1, "<unknown>")


def test_a_stored_model_is_scored_on_and_forecasts_other_recordings(recording: Path, stored: model.StoredModel) -> None:
    evaluation = stored.evaluate(recording, share=0.1)
    assert evaluation.table["test_events"] == 2_000
    forecast = stored.forecast(recording, events=5, top=2)
    assert isinstance(forecast, pd.DataFrame)
    assert len(forecast) == 5
    assert {len(likeliest) for likeliest in forecast.likeliest} == {2}


def test_a_changed_or_missing_model_is_an_error(stored: model.StoredModel, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(stored.path, tmp_path / "copy"))
    scores = (copy / "scores.json").read_text()
    (copy / "scores.json").write_text(scores.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(TableError, match="SHA-256 differs"):
        _ = model.load(copy).evaluation
    (copy / "scores.json").unlink()
    with pytest.raises(TableError, match="expected the scores of a model"):
        _ = model.load(copy).evaluation
    with pytest.raises(CheckpointError):
        model.load(tmp_path / "none")
