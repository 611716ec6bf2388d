"""Scores as pandas data frames; a value's 95 % interval stands beside it in `_low` and `_high`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from model.scoring.compare import Comparison
from model.scoring.metrics import INTERVALS
from model.scoring.scores import PARTS

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = {  # of a row of scores -> part of the events, score
    "contested_top1": ("contested", "top1"),
    "contested_above_chance": ("contested", "above_chance"),
    **{name: ("overall", name) for name in ("top1", "top3", "bits_per_switch", "time_bits", "time_mae_us")},
    "joint_bits": ("overall", "joint_bits"),
}
METRICS = (
    *("top1", "top3", "top1_known", "macro_recall", "above_chance", "bits_per_switch", "time_bits", "joint_bits"),
    *("time_mae_us", "time_crps_us", "calibration_error", "time_calibration_error"),
)


def row(table: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row: predictor, inputs, mark, seeds, its main scores; what was not scored is NaN."""
    import pandas as pd

    head = {"predictor": table["predictor"], "inputs": table["regime"], "mark": table["mark"], "seeds": table["seeds"]}
    scores: dict[str, Any] = {}
    for column, (part, metric) in COLUMNS.items():
        scores |= _with_ends(column, table.get(part) or {}, metric)
    scores["chance_top1"] = (table.get("contested") or {}).get("chance_top1")
    known = {name: table.get(name) for name in ("interval_trials", "test_events", "parameters", "fit_seconds")}
    return pd.DataFrame([{**head, **scores, **known}])


def parts(table: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each part of the events and each score: part, score, value, low, high, events."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"part": part, "score": metric, **dict(zip(("value", "low", "high"), values, strict=True)), "events": count}
            for part in PARTS
            if (count := (table.get(part) or {}).get("events"))
            for metric in METRICS
            for values in [_with_ends(metric, table[part], metric).values()]
        ]
    )


def by_trial(table: Mapping[str, Any]) -> pd.DataFrame:
    """Return a row for each recording that was tested on; `*_se` is a standard error within it."""
    import pandas as pd

    return pd.DataFrame([{"trial": trial, **scores} for trial, scores in (table.get("by_trial") or {}).items()])


def comparisons(compared: Sequence[Comparison]) -> pd.DataFrame:
    """Return a row for each part of the events and each score, of the mean of the seeds."""
    import pandas as pd

    return pd.DataFrame([_compared(one) for one in compared])


def _compared(one: Comparison) -> dict[str, Any]:
    together = one.together
    low, high = together.difference_ci or (None, None)
    values = {"value": together.value, "baseline": together.baseline, "difference": together.difference}
    known = {"outcome": one.outcome, "events": one.events, "interval_trials": one.interval_trials}
    return {"part": one.part, "score": one.score, **values, "low": low, "high": high, **known}


def _with_ends(column: str, scores: Mapping[str, Any], metric: str) -> dict[str, float | None]:
    low, high = scores.get(INTERVALS.get(metric, f"{metric}_ci")) or (None, None)
    return {column: scores.get(metric), f"{column}_low": low, f"{column}_high": high}
