"""Fits a network: truncated back-propagation over contiguous lanes, the learning rate and the end set by validation."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from model.lanes import chunk, lay
from model.network import Inputs, Network, detach
from model.predictors.protocol import OnProgress

CLIP = 1.0  # norm of the gradient
SMALLEST_GAIN = 1e-3  # relative; less than this on validation counts as no gain


@dataclass(frozen=True)
class Budget:
    """When training ends: at `max_epochs`, at `max_seconds` (none by default, for it makes the end depend on the
    machine), or once the learning rate was cut `cuts` times and `patience` more epochs brought nothing."""

    max_epochs: int = 120
    max_seconds: float | None = None
    patience: int = 6
    cuts: int = 3


@dataclass(frozen=True)
class Recipe:
    """lanes x steps events a step of Adam; `slice_weight` is the share of the dt loss against that of the marks."""

    learning_rate: float = 1e-2
    lanes: int = 16
    steps: int = 64
    slice_weight: float = 0.3


def fit(
    network: Network, train: Inputs, valid: Inputs, recipe: Recipe, budget: Budget, seed: int, on_progress: OnProgress
) -> list[dict[str, float]]:
    """Leaves the network with the weights that did best on `valid`; returns one row per epoch."""
    offsets = torch.Generator().manual_seed(seed)
    adam = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True)
    began, best, stale, cuts = time.monotonic(), math.inf, 0, 0
    kept: dict[str, torch.Tensor] = {}
    history: list[dict[str, float]] = []
    for epoch in range(budget.max_epochs):
        _epoch(network, train, recipe, adam, int(torch.randint(recipe.steps, (1,), generator=offsets)))
        mark_nats, slice_nats = measure(network, valid, recipe)
        score = mark_nats + recipe.slice_weight * slice_nats
        seconds = time.monotonic() - began
        rate = adam.param_groups[0]["lr"]
        row = {"epoch": epoch + 1, "valid_bits": mark_nats / math.log(2), "valid_slice_nats": slice_nats}
        history.append({**row, "learning_rate": rate, "seconds": seconds})
        on_progress(f"epoch {epoch + 1}: {row['valid_bits']:.3f} bits", epoch + 1, budget.max_epochs)
        stale = 0 if score < best - SMALLEST_GAIN * abs(best) or not kept else stale + 1
        if score < best:
            best, kept = score, {name: weight.clone() for name, weight in network.state_dict().items()}
        if stale >= budget.patience:
            network.load_state_dict(kept)
            cuts, stale = cuts + 1, 0
            for group in adam.param_groups:
                group["lr"] /= 3
        if cuts > budget.cuts or (budget.max_seconds is not None and seconds > budget.max_seconds):
            break
    network.load_state_dict(kept)
    return history


def _epoch(network: Network, train: Inputs, recipe: Recipe, adam: torch.optim.Optimizer, offset: int) -> None:
    network.train()
    laid = lay(train, recipe.lanes, offset)
    state: object = None
    for begin in range(0, laid.mark.shape[1], recipe.steps):
        part = chunk(laid, begin, recipe.steps)
        memory, state = network.run(part, state)
        state = detach(state)
        mark_nats, slice_nats = network.losses(memory, part)
        adam.zero_grad()
        (mark_nats + recipe.slice_weight * slice_nats).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        adam.step()


@torch.no_grad()
def measure(network: Network, inputs: Inputs, recipe: Recipe) -> tuple[float, float]:
    """Mean nats of marks and of standardised log dt over all lanes, the state carried through each lane."""
    network.eval()
    laid = lay(inputs, min(4, recipe.lanes), 0)
    memory, _ = network.run(laid)
    mark_nats, slice_nats = network.losses(memory, laid)
    return float(mark_nats), float(slice_nats)
