from __future__ import annotations

import torch

from model.nn.network import flatten


def small() -> torch.nn.Module:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    network.register_parameter("unused", torch.nn.Parameter(torch.ones(2, dtype=torch.float64)))
    return network


def loss(network: torch.nn.Module) -> torch.Tensor:
    return network(torch.linspace(-1, 1, 30, dtype=torch.float64).view(10, 3)).square().mean()


@torch.no_grad()
def test_a_change_of_the_vector_changes_the_weights() -> None:
    network = small()
    before = [weight.clone() for weight in network.parameters()]
    vector = flatten(network)
    torch.testing.assert_close(vector.data, torch.cat([weight.flatten() for weight in before]))
    vector.add_(1)
    torch.testing.assert_close([weight.data for weight in network.parameters()], [weight + 1 for weight in before])


def test_weights_loaded_into_the_network_are_in_the_vector() -> None:
    network, other = small(), small()
    vector = flatten(network)
    with torch.no_grad():
        other[0].weight.fill_(7)
    network.load_state_dict(other.state_dict())
    assert (vector[2:14] == 7).all()


def test_steps_on_the_vector_are_those_on_the_weights_and_unused_weights_stay() -> None:
    flat, plain = small(), small()
    vector = flatten(flat)
    optimisers = torch.optim.Adam([vector], lr=0.01), torch.optim.Adam(plain.parameters(), lr=0.01)
    for _ in range(29):
        for network, parameters, optimiser in zip(
            (flat, plain), ([vector], plain.parameters()), optimisers, strict=True
        ):
            optimiser.zero_grad(set_to_none=False)
            (0.5 * loss(network)).backward()
            torch.nn.utils.clip_grad_norm_(parameters, 0.05)
            optimiser.step()
    torch.testing.assert_close(list(flat.parameters()), list(plain.parameters()))
    assert flat.unused.tolist() == [1, 1]
