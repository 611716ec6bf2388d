"""The written-out losses and gradients equal those of autograd for the same formulas."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from model.data.streams import STATES
from model.nn.likelihoods import LOG_DEVIATION
from model.nn.network import Inputs, Network

MARKS, BATCH, STEPS, HIDDEN = 5, 3, 7, 6


@pytest.fixture
def network() -> Network:
    torch.manual_seed(0)
    return Network(MARKS, torch.nn.LSTM, HIDDEN, 1, slices=True).double()


@pytest.fixture
def inputs() -> Inputs:
    draw = torch.Generator().manual_seed(0)

    def codes(most: int) -> torch.Tensor:
        return torch.randint(most, (BATCH, STEPS), generator=draw)

    def numbers() -> torch.Tensor:
        return torch.randn(BATCH, STEPS, generator=draw, dtype=torch.float64)

    return Inputs(codes(MARKS + 1), numbers(), codes(len(STATES)), codes(MARKS), numbers())


def plain_embedding(network: Network, inputs: Inputs) -> torch.Tensor:
    parts = [
        network.mark_in(inputs.previous_mark),
        network.state_in(inputs.previous_state),
        inputs.previous_log[..., None],
    ]
    return torch.cat(parts, dim=-1)


def plain_losses(network: Network, memory: torch.Tensor, inputs: Inputs) -> tuple[torch.Tensor, torch.Tensor]:
    mark_nats = functional.cross_entropy(network.mark_out(memory).flatten(0, 1), inputs.mark.flatten())
    deep = torch.tanh(network.slice_hidden(torch.cat([memory, network.mark_given(inputs.mark)], dim=-1)))
    log_weight, mean, log_deviation = network.slice_out(deep).chunk(3, dim=-1)
    deviation = torch.exp(log_deviation.clamp(*LOG_DEVIATION))
    normal = torch.distributions.Normal(mean, deviation).log_prob(inputs.log_dt[..., None])
    return mark_nats, -torch.logsumexp(torch.log_softmax(log_weight, dim=-1) + normal, dim=-1).mean()


def gradients(network: Network, losses: tuple[torch.Tensor, torch.Tensor]) -> list[torch.Tensor]:
    return list(torch.autograd.grad(losses[0] + 0.3 * losses[1], list(network.parameters())))


def test_losses_and_their_gradients_equal_those_of_the_plain_formulas(network: Network, inputs: Inputs) -> None:
    memory, _ = network.run(inputs)
    plain, _ = network.cell(plain_embedding(network, inputs))
    torch.testing.assert_close(memory, plain)
    losses, expected = network.losses(memory, inputs), plain_losses(network, plain, inputs)
    torch.testing.assert_close(losses, expected)
    torch.testing.assert_close(gradients(network, losses), gradients(network, expected))


def test_a_network_over_marks_alone_has_the_same_losses(inputs: Inputs) -> None:
    torch.manual_seed(0)
    network = Network(MARKS, torch.nn.LSTM, HIDDEN, 1, slices=False).double()
    memory, _ = network.run(inputs)
    torch.testing.assert_close(memory, network.cell(network.mark_in(inputs.previous_mark))[0])
    torch.testing.assert_close(network.losses(memory, inputs), plain_losses(network, memory, inputs))


def test_the_losses_are_those_of_the_mixture_that_predicts(network: Network, inputs: Inputs) -> None:
    memory, _ = network.run(inputs)
    log_weight, mean, log_deviation = network.mixture(memory, inputs.mark)
    normal = torch.distributions.Normal(mean, log_deviation.exp()).log_prob(inputs.log_dt[..., None])
    expected = -torch.logsumexp(log_weight + normal, dim=-1).mean()
    torch.testing.assert_close(network.losses(memory, inputs)[1], expected)
