from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from model.data import streams, synthetic
from model.data.streams import Segment
from model.nn.batches import Scale, to_inputs
from model.nn.network import Inputs
from model.nn.point_processes import GRID, ContinuousLstm, ExponentialIntensity, quadrature
from model.predictor import ignore_progress
from model.predictors import create
from model.scoring.outcomes import evaluate
from model.scoring.scores import score_outcomes

pytestmark = pytest.mark.slow

KINDS = (ExponentialIntensity, ContinuousLstm)


@pytest.fixture
def inputs(dataset: streams.Dataset) -> Inputs:
    stream = dataset.train[0].stream
    return to_inputs(Segment(stream, 0, 200), Scale.measure(dataset.train), len(dataset.vocabulary))


def network(kind: type[torch.nn.Module], dataset: streams.Dataset) -> torch.nn.Module:
    """A network with weights far enough from zero that its intensities change in time."""
    torch.manual_seed(0)
    made = kind(len(dataset.vocabulary), 8, Scale.measure(dataset.train).deviation, longest=1e4).eval()
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.5 * torch.randn_like(weight))
        if isinstance(made, ExponentialIntensity):
            made.slope.fill_(-0.3)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_in_pieces_gives_the_memory_of_the_whole(
    kind: type[torch.nn.Module], dataset: streams.Dataset, inputs: Inputs
) -> None:
    made = network(kind, dataset)
    names = Inputs.__annotations__
    whole, _ = made.run(inputs)
    first, state = made.run(Inputs(*(getattr(inputs, name)[:, :77] for name in names)))
    second, _ = made.run(Inputs(*(getattr(inputs, name)[:, 77:] for name in names)), state)
    assert torch.allclose(torch.cat([first, second], dim=1), whole, atol=1e-6)


@pytest.mark.parametrize(("kind", "tolerance"), [(ExponentialIntensity, 1e-4), (ContinuousLstm, 0.01)])
def test_the_training_losses_are_those_that_are_scored(
    kind: type[torch.nn.Module], tolerance: float, dataset: streams.Dataset, inputs: Inputs
) -> None:
    made, scale = network(kind, dataset), Scale.measure(dataset.train)
    with torch.no_grad():
        memory, _ = made.run(inputs)
        mark_nats, slice_nats = made.losses(memory, inputs)
        log_probs = made.log_probs(memory[0]).numpy()
        density = made.density(memory[0], math.exp(scale.mean))
    log_us = inputs.log_dt[0].double().numpy() * scale.deviation + scale.mean
    standardised = density.log_pdf(np.exp(log_us)) + log_us + math.log(scale.deviation)
    assert float(slice_nats) == pytest.approx(-standardised.mean(), abs=tolerance)
    assert float(mark_nats) == pytest.approx(-log_probs[np.arange(200), inputs.mark[0]].mean(), abs=1e-5)


def test_the_intensities_of_all_marks_add_up_to_the_rate_of_the_slice_end(
    dataset: streams.Dataset, inputs: Inputs
) -> None:
    made = network(ContinuousLstm, dataset)
    with torch.no_grad():
        memory, _ = made.run(inputs)
        gap = (inputs.previous_log[0, 1:] * made.deviation).exp()  # how long event i - 1 lasted
        ended = made.total(memory[0, :-1], gap[:, None])[:, 0]
        before = made.rates(memory[0, 1:, : made.hidden]).sum(dim=-1)
    assert torch.allclose(ended, before, rtol=1e-4)


def test_the_quadrature_is_accurate_from_zero_to_a_million_slices() -> None:
    until = torch.tensor([1e-4, 0.3, 1.0, 40.0, 1e3, 1e6], dtype=torch.float64)
    node, weight = quadrature(until)
    for rate in (1e-5, 1e-2, 1.0):  # the rate decays to 0.01
        integral = ((0.01 + torch.exp(-rate * node)) * weight).sum(dim=-1)
        exact = 0.01 * until + (1 - torch.exp(-rate * until)) / rate
        assert torch.allclose(integral, exact, rtol=0.02)


def test_the_grid_of_times_rises_from_zero_to_beyond_every_slice() -> None:
    assert GRID[0] == 0
    assert (np.diff(GRID) > 0).all()
    assert GRID[-1] == 1e6


@pytest.mark.parametrize(("kind", "bits", "time_bits"), [("rmtpp", 0.1, 1.0), ("nhp", 0.25, 0.29)])
def test_a_point_process_learns_a_source_with_two_events_of_memory(
    kind: str, bits: float, time_bits: float, dataset: streams.Dataset, source: synthetic.Source
) -> None:
    made = create(kind, {"seed": 0, "max_epochs": 7})
    made.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    overall = score_outcomes(evaluate(made, dataset.test))["overall"]
    assert overall["bits_per_switch"] < source.entropy_bits() + bits  # type: ignore[index]
    assert overall["time_bits"] < source.slice_bits() + time_bits  # type: ignore[index]
