"""Attributes of table cells with the exact values that they show; the page sorts by them and writes them to CSV."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from harness.report.model_scores import ScoreEstimate
from harness.report.seed_groups import SeedGroup
from harness.visible import visible


def exact(value: Any, low: float | None = None, high: float | None = None) -> Markup:
    """Return the attributes of a cell that shows `value`, and an interval if it has one."""
    known = {"v": value, "low": low, "high": high}
    named = (f' data-{name}="{escape(_text(end))}"' for name, end in known.items() if end is not None or name == "v")
    return Markup("".join(named))


def exact_score(score: ScoreEstimate | None) -> Markup:
    """Return the attributes of a cell that shows a score."""
    return exact(score.value, score.low, score.high) if score else exact(None)


def exact_seeds(group: SeedGroup, split: str, metric: str) -> Markup:
    """Return the attribute of a plot's cell with the score of each of several seeds."""
    scores = [(seed.seed, seed.splits[split][metric].value) for seed in group.seeds if metric in seed.splits[split]]
    pairs = " ".join(f"{seed}={_text(value)}" for seed, value in scores)
    return Markup(' data-seeds="{}"').format(pairs) if len(scores) > 1 else Markup("")


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else visible(value)
