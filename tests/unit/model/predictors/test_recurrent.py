from __future__ import annotations

import pytest

from model.data import streams, synthetic
from model.errors import SettingError, StreamError
from model.predictor import ignore_progress
from model.predictors import create
from model.scoring.outcomes import evaluate
from model.scoring.scores import score_outcomes


def test_an_lstm_learns_a_source_with_two_events_of_memory(dataset: streams.Dataset, source: synthetic.Source) -> None:
    lstm = create("lstm", {"seed": 0, "hidden": 32, "max_epochs": 12})
    history = lstm.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    overall = score_outcomes(evaluate(lstm, dataset.test))["overall"]
    assert overall["bits_per_switch"] < source.entropy_bits() + 0.1  # type: ignore[index]
    assert overall["time_bits"] < source.slice_bits() + 0.14  # type: ignore[index]
    assert history[-1]["valid_bits"] < history[0]["valid_bits"]


def test_training_ends_once_validation_stops_improving(dataset: streams.Dataset) -> None:
    lstm = create("lstm", {"seed": 0, "hidden": 4, "max_epochs": 200, "patience": 1, "learning_rate": 1e-6})
    history = lstm.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    assert len(history) < 20


def test_a_limit_in_seconds_ends_training(dataset: streams.Dataset) -> None:
    lstm = create("lstm", {"seed": 0, "hidden": 4, "max_seconds": 0.0})
    assert len(lstm.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)) == 1


def test_a_network_learns_from_a_short_recording(dataset: streams.Dataset) -> None:
    stream = dataset.train[0].stream
    train, valid = streams.Segment(stream, 0, 100), streams.Segment(stream, 100, 180)
    lstm = create("lstm", {"seed": 0, "hidden": 8, "max_epochs": 10})
    history = lstm.fit([train], [valid], len(dataset.vocabulary), ignore_progress)
    assert history[-1]["valid_bits"] < history[0]["valid_bits"]


def test_too_few_events_are_refused(dataset: streams.Dataset) -> None:
    short = streams.Segment(dataset.train[0].stream, 0, 40)
    with pytest.raises(StreamError, match="the train part has fewer than 64 events"):
        create("lstm", {"seed": 0}).fit([short], dataset.valid, len(dataset.vocabulary), ignore_progress)


def test_an_lstm_cannot_read_the_runqueue() -> None:
    with pytest.raises(SettingError, match="'runqueue': expected 'marks', 'slices'"):
        create("lstm", {"regime": "runqueue"})
