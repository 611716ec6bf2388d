"""The contract of every predictor in `model.predictors.KINDS`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from model import checkpoint, contents
from model.checkpoint import Checkpoint
from model.data import streams, synthetic
from model.data.marks import UNKNOWN
from model.data.streams import Segment
from model.predictor import INPUTS, Neural, OnlineLearner, Predictor, ignore_progress
from model.predictors import INPUTS_OF, KINDS, NETWORKS, REPRODUCTIONS, create, find, installed
from model.scoring.honesty import HonestPredictor, with_other_future
from model.settings import SETTINGS

SMALL: dict[str, dict[str, object]] = {
    "lstm": {"hidden": 8, "max_epochs": 2},
    "gru": {"hidden": 8, "max_epochs": 2, "regime": "marks"},
    "mingru": {"hidden": 8, "max_epochs": 2},
    "transformer": {"hidden": 8, "max_epochs": 2},
    "rmtpp": {"hidden": 8, "max_epochs": 2},
    "nhp": {"hidden": 8, "max_epochs": 2},
    "decision_tree": {"depth": 4},
    "gradient_boosting": {"rounds": 5, "leaves": 7},
    **{kind: {"sequences": 100, "steps": 1} for kind in REPRODUCTIONS},
}


def made(kind: str, seed: int = 0) -> Predictor:
    return create(kind, {**SMALL.get(kind, {}), **({"seed": seed} if find(kind).seeded else {})})


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> streams.Dataset:
    folder = tmp_path_factory.mktemp("known") / "000_known"
    synthetic.write(folder, synthetic.Source(tasks=4, seed=5), events=3_000)
    return streams.load([folder])


# Predictors of an extra are tested where it is installed.
@pytest.fixture(scope="module", params=[kind for kind in KINDS if installed(kind)])
def fitted(request: pytest.FixtureRequest, dataset: streams.Dataset) -> tuple[str, Predictor]:
    predictor = made(request.param)
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    return request.param, predictor


def test_its_settings_are_those_that_the_experiment_file_is_checked_by(fitted: tuple[str, Predictor]) -> None:
    kind, predictor = fitted
    assert find(kind).settings_type is SETTINGS[kind]
    assert predictor.settings() == create(kind, predictor.settings()).settings()


def test_it_has_known_inputs(fitted: tuple[str, Predictor]) -> None:
    assert find(fitted[0]).inputs == INPUTS_OF[fitted[0]]
    assert fitted[1].inputs in INPUTS


def test_probabilities_are_positive_and_add_up(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    test = dataset.test[0]
    probability = np.exp(fitted[1].predict(test).log_probs)
    assert probability.shape == (len(test), len(dataset.vocabulary))
    assert (probability > 0).all()
    assert probability.sum(axis=1) == pytest.approx(1, abs=1e-6)


def test_slice_densities_are_densities(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    test = dataset.test[0]
    density = fitted[1].predict(test).dt
    low, median, high = (density.quantile(share) for share in (0.1, 0.5, 0.9))
    assert (low > 0).all()
    assert (low <= median).all()
    assert (median <= high).all()
    assert density.cdf(median) == pytest.approx(0.5, abs=1e-3)
    assert np.isfinite(density.log_pdf(test.of(test.stream.slice_us()))).all()


def test_it_looks_at_no_more_than_it_may(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    HonestPredictor(fitted[1], len(dataset.vocabulary)).require_honesty(dataset.test[0])


def test_a_prediction_does_not_depend_on_the_length_of_the_segment(
    fitted: tuple[str, Predictor], dataset: streams.Dataset
) -> None:
    test = dataset.test[0]
    whole = fitted[1].predict(test).log_probs[:50]
    part = fitted[1].predict(Segment(test.stream, test.start, test.start + 50)).log_probs
    assert whole == pytest.approx(part, abs=1e-5)


def test_the_first_event_of_a_recording_can_be_predicted(
    fitted: tuple[str, Predictor], dataset: streams.Dataset
) -> None:
    assert np.isfinite(fitted[1].predict(Segment(dataset.train[0].stream, 0, 3)).log_probs).all()


def test_unknown_tasks_have_some_probability_and_break_nothing(
    fitted: tuple[str, Predictor], dataset: streams.Dataset
) -> None:
    test = dataset.test[0]
    mark, event = test.stream.mark.copy(), test.start + 20
    mark[event : event + 20] = UNKNOWN
    strange = Segment(dataclasses.replace(test.stream, mark=mark), test.start, test.start + 60)
    prediction = fitted[1].predict(strange)
    assert np.isfinite(prediction.log_probs).all()
    assert np.isfinite(prediction.dt.log_pdf(strange.slice_us())).all()
    assert np.isfinite(prediction.dt.quantile(0.5)).all()


def test_a_stored_predictor_predicts_the_same(
    fitted: tuple[str, Predictor], dataset: streams.Dataset, tmp_path: Path
) -> None:
    kind, predictor = fitted
    checkpoint.save(tmp_path, Checkpoint(predictor, kind, dataset.vocabulary, "task", {}))
    test, again = dataset.test[0], checkpoint.load(tmp_path).predictor
    assert again.settings() == predictor.settings()
    left, right = predictor.predict(test), again.predict(test)
    assert np.array_equal(left.log_probs, right.log_probs)
    dt = test.of(test.stream.slice_us())
    assert np.array_equal(left.dt.log_pdf(dt), right.dt.log_pdf(dt))


def test_the_same_seed_learns_the_same(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    kind, predictor = fitted
    again = made(kind)
    again.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    assert np.array_equal(again.predict(dataset.test[0]).log_probs, predictor.predict(dataset.test[0]).log_probs)


def online(fitted: tuple[str, Predictor]) -> Predictor:
    """Return its online learner; the predictor itself where it has none."""
    if not isinstance(fitted[1], OnlineLearner):
        assert not hasattr(fitted[1], "learner")
        return fitted[1]
    return fitted[1].learner()  # type: ignore[return-value]


def test_an_online_learner_does_not_look_ahead(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    test = dataset.test[0]
    event = test.start + 100
    seen = Segment(test.stream, test.start, event + 1)
    other = Segment(with_other_future(test.stream, event), test.start, event + 1)
    left, right = (online(fitted).predict(segment) for segment in (seen, other))
    assert np.array_equal(left.log_probs, right.log_probs)
    dt = seen.slice_us()
    assert np.array_equal(left.dt.log_pdf(dt)[:-1], right.dt.log_pdf(dt)[:-1])


def test_an_online_learner_continues_across_segments_and_starts_again_elsewhere(
    fitted: tuple[str, Predictor], dataset: streams.Dataset
) -> None:
    stream, start = dataset.test[0].stream, dataset.test[0].start
    whole, first, second = (
        Segment(stream, a, b) for a, b in ((start, start + 60), (start, start + 25), (start + 25, start + 60))
    )
    expected, learner = online(fitted).predict(whole).log_probs, online(fitted)
    pieces = np.concatenate([learner.predict(part).log_probs for part in (first, second)])
    assert pieces == pytest.approx(expected, abs=1e-5)
    assert learner.predict(whole).log_probs == pytest.approx(expected, abs=1e-5)


def test_predicting_does_not_learn_and_online_learning_does_not_change_what_was_fitted(
    fitted: tuple[str, Predictor], dataset: streams.Dataset
) -> None:
    part = Segment(dataset.test[0].stream, dataset.test[0].start, dataset.test[0].start + 60)
    before = fitted[1].predict(part).log_probs
    learned_on = online(fitted).predict(part).log_probs
    assert np.array_equal(fitted[1].predict(part).log_probs, before)
    assert np.array_equal(learned_on, before) != isinstance(fitted[1], OnlineLearner)
    if isinstance(fitted[1], OnlineLearner):  # nothing was learned yet
        assert learned_on[0] == pytest.approx(before[0])


def test_a_walk_may_begin_with_a_recording(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    stream = dataset.train[0].stream
    session = fitted[1].session(Segment(stream, 0, len(stream)))
    if session is None:
        assert fitted[1].inputs == "runqueue"
        return
    for _ in range(3):
        assert session.marks().sum() == pytest.approx(1, abs=1e-6)
        assert np.isfinite(session.slice_of(1).quantile(0.5)).all()
        session.push(1, 20.0, 2)


def test_a_walk_predicts_as_predict_does(fitted: tuple[str, Predictor], dataset: streams.Dataset) -> None:
    predictor, test = fitted[1], dataset.test[0]
    session = predictor.session(test)
    assert (session is None) == (predictor.inputs == "runqueue")
    if session is None:
        return
    steps = Segment(test.stream, test.start, test.start + 20)
    expected, dt = predictor.predict(steps), steps.of(test.stream.slice_us())
    for step, event in enumerate(range(steps.start, steps.stop)):
        assert session.marks() == pytest.approx(np.exp(expected.log_probs[step]), abs=1e-5)
        mark = int(test.stream.mark[event])
        own = session.slice_of(mark).log_pdf(dt[step : step + 1])[0]
        assert own == pytest.approx(expected.dt.log_pdf(dt)[step], abs=1e-3)
        session.push(mark, float(dt[step]), int(test.stream.end_state[event]))


@pytest.fixture(scope="module")
def read(
    fitted: tuple[str, Predictor], dataset: streams.Dataset, tmp_path_factory: pytest.TempPathFactory
) -> contents.Contents:
    """What is read of the predictor when it is stored."""
    (kind, predictor), folder = fitted, tmp_path_factory.mktemp("read")
    checkpoint.save(folder, Checkpoint(predictor, kind, dataset.vocabulary, "task", {"trials": ["000_known"]}))
    return contents.read(folder)


def test_each_number_that_is_stored_is_in_a_layer_or_in_a_part_that_says_what_it_is(read: contents.Contents) -> None:
    predictor = read.stored.predictor
    stored = sum(array.size for array in predictor.arrays().values())
    buffers = list(predictor.one_step().network.buffers()) if isinstance(predictor, Neural) else []
    parts = sum(part.numbers for part in read.parts) + sum(buffer.numel() for buffer in buffers)
    assert read.parameters + parts == stored
    choices = [part for part in read.parts if part.name == "choices"]
    assert sum(part.numbers for part in choices) < 10  # whatever is larger has a name of its own
    assert all(part.count for part in read.parts)


def test_a_predictor_that_is_a_network_has_a_step_and_trains_all_its_weights(read: contents.Contents) -> None:
    import torch

    networks = [value for value in vars(read.stored.predictor).values() if isinstance(value, torch.nn.Module)]
    assert isinstance(read.stored.predictor, Neural) == bool(networks) == bool(read.layers)
    assert bool(networks) == (read.stored.kind in NETWORKS)
    assert read.trainable == read.parameters == sum(each.numel() for net in networks for each in net.parameters())


def test_the_graph_of_a_network_names_its_layers_and_joins_each_input_to_a_result(read: contents.Contents) -> None:
    pytest.importorskip("torchview", reason="the extra graph is not installed")
    from model.graph.trace import trace

    if not isinstance(predictor := read.stored.predictor, Neural):
        return
    step = predictor.one_step()
    graph = trace(step)
    names = {kind: [node.name for node in graph.nodes if node.kind == kind] for kind in ("input", "layer", "result")}
    modules = {name for name, module in step.network.named_modules() if name and not list(module.children())}
    unread = {"state_in"} if predictor.inputs == "marks" else set()
    assert {*names["layer"]} == modules - unread
    assert (sorted(names["input"]), sorted(names["result"])) == (sorted(step.inputs), sorted(step.outputs))
    assert {*range(len(graph.nodes))} == {end for edge in graph.edges for end in edge}
    assert len(graph.nodes) < 80
