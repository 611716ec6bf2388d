"""One step of a network as one module, with named inputs and results: what is drawn as its computational graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import nn

Tensors = dict[str, torch.Tensor]


class Port(nn.Module):
    """A place where a tensor enters or leaves a step; it has the tensor's name in a drawing."""

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Pass the tensor on."""
        return tensor.clone()


class OneStep(nn.Module):
    """A network and what one event does in it. `example` names the inputs, each with a tensor of the right shape."""

    def __init__(self, network: nn.Module, example: Mapping[str, torch.Tensor], compute: Callable[[Tensors], Tensors]):
        super().__init__()
        self.network, self.example, self.compute = network, dict(example), compute
        self.inputs = nn.ModuleDict({name: Port() for name in example})
        with torch.no_grad():
            self.outputs = nn.ModuleDict({name: Port() for name in compute(self.example)})

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the results, in the order of `outputs`, of the inputs in the order of `example`."""
        entered = {name: port(tensor) for (name, port), tensor in zip(self.inputs.items(), inputs, strict=True)}
        results = self.compute(entered)
        return tuple(port(results[name]) for name, port in self.outputs.items())
