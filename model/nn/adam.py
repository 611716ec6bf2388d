"""All weights of a network as one vector, and Adam on it: a dozen small tensors cost a dozen calls of everything."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

DECAYS = (0.9, 0.999)  # of the mean of the gradient, and of its square
EPSILON = 1e-8


def flatten(network: nn.Module) -> torch.Tensor:
    """Lay the network's weights into one vector, that they are views of from now on, in the order of `parameters`."""
    weights = list(network.parameters())
    whole = torch.cat([weight.detach().flatten() for weight in weights])
    for weight, part in zip(weights, whole.split([weight.numel() for weight in weights]), strict=True):
        weight.data = part.view_as(weight)
    return whole


def gradient(losses: Sequence[torch.Tensor], shares: Sequence[float], weights: Sequence[nn.Parameter]) -> torch.Tensor:
    """Of the losses, weighed by their shares, by all weights: a vector as `flatten` gives. Unused weights get zero."""
    weighed = [torch.full_like(loss, share) for loss, share in zip(losses, shares, strict=True)]
    parts = torch.autograd.grad(losses, weights, weighed, allow_unused=True, materialize_grads=True)
    return torch.cat([part.flatten() for part in parts])


def clip(vector: torch.Tensor, norm: float) -> torch.Tensor:
    """The vector, shortened in place to `norm` where it is longer."""
    return vector.mul_((norm / (vector.norm() + 1e-6)).clamp_(max=1.0))


class Adam:
    """Kingma and Ba, ICLR 2015, algorithm 1. Changes `weights` in place."""

    def __init__(self, weights: torch.Tensor) -> None:
        self.weights = weights
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)

    def step(self, gradient: torch.Tensor, rate: float, number: int) -> None:
        """The step of this number, counted from 1."""
        self.mean.lerp_(gradient, 1 - DECAYS[0])
        self.square.mul_(DECAYS[1]).addcmul_(gradient, gradient, value=1 - DECAYS[1])
        first, second = (1 - decay**number for decay in DECAYS)  # both began as zero
        deviation = self.square.sqrt().mul_(1 / math.sqrt(second)).add_(EPSILON)
        self.weights.addcdiv_(self.mean, deviation, value=-rate / first)
