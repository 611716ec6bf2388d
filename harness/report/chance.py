"""Whether a predictor beats chance: a blind pick among the runnable tasks, without the one that just left."""

from __future__ import annotations

from harness.report.model_scores import ScoreEstimate

BELOW, NO_BETTER, BETTER = "below chance", "no better than chance", "better than chance"


def against_chance(above: ScoreEstimate | None) -> str:
    """Return BELOW, NO_BETTER or BETTER by the interval of a score less chance; empty where there is none."""
    if above is None or above.low is None or above.high is None:
        return ""
    return BETTER if above.low > 0 else BELOW if above.high < 0 else NO_BETTER
