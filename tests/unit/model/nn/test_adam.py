from __future__ import annotations

import torch

from model.nn.adam import Adam, clip, flatten, gradient


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()


def loss(network: torch.nn.Module) -> torch.Tensor:
    return network(torch.linspace(-1, 1, 30, dtype=torch.float64).view(10, 3)).square().mean()


def test_a_change_of_the_vector_is_a_change_of_the_weights() -> None:
    network = small()
    before = [weight.detach().clone() for weight in network.parameters()]
    vector = flatten(network)
    torch.testing.assert_close(vector, torch.cat([weight.flatten() for weight in before]))
    vector.add_(1)
    torch.testing.assert_close([weight.detach() for weight in network.parameters()], [weight + 1 for weight in before])


def test_what_is_loaded_into_the_network_is_in_the_vector() -> None:
    network, other = small(), small()
    vector = flatten(network)
    with torch.no_grad():
        other[0].weight.fill_(7)
    network.load_state_dict(other.state_dict())
    assert (vector[:12] == 7).all()


def test_steps_are_those_of_torch() -> None:
    mine, torchs = small(), small()
    vector, theirs = flatten(mine), torch.optim.Adam(torchs.parameters(), lr=0.01)
    adam = Adam(vector)
    for number in range(1, 30):
        adam.step(clip(gradient([loss(mine)], [1.0], list(mine.parameters())), 0.05), 0.01, number)
        theirs.zero_grad()
        loss(torchs).backward()
        torch.nn.utils.clip_grad_norm_(torchs.parameters(), 0.05)
        theirs.step()
    torch.testing.assert_close(list(mine.parameters()), list(torchs.parameters()))


def test_a_gradient_is_shortened_only_where_it_is_too_long() -> None:
    assert clip(torch.tensor([3.0, 4.0]), 1.0).norm() < 1.0001
    assert clip(torch.tensor([0.3, 0.4]), 1.0).tolist() == torch.tensor([0.3, 0.4]).tolist()


def test_losses_count_by_their_shares_and_weights_that_no_loss_hangs_on_get_zero() -> None:
    network, unused = small(), torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    weights = [*network.parameters(), unused]
    both = gradient([loss(network), loss(network)], [1.0, 0.5], weights)
    torch.testing.assert_close(both, 1.5 * gradient([loss(network)], [1.0], weights))
    assert both[-2:].tolist() == [0, 0]
