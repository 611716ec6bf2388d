"""A comparison in one sentence."""

from __future__ import annotations

from pathlib import Path

import campaign_run

from harness.comparison import Effect, compare, sentence
from harness.comparison.measured import metrics
from harness.comparison.statistics.effect import Interval


def test_a_difference_below_the_margin_is_said_to_be_one(tmp_path: Path) -> None:
    rates = [480.0, 481.5, 479.0, 480.5, 482.0, 478.5, 480.0, 481.0]
    run = campaign_run.make(tmp_path / "run", {"ab__a": rates, "ab__b": [1.002 * rate for rate in rates]})
    found = compare([run], metrics=["requests/s"])
    assert "more requests/s [" in found.sentence
    assert found.sentence.endswith("than a, which is within 1 %")


def test_the_wakeup_latency_of_the_sentence_is_the_one_whose_change_is_largest_beside_its_interval() -> None:
    changes = {"p50": (0.2, 0.19, 0.21), "p90": (11.9, 11.5, 12.3), "p99": (0.1, 0.095, 0.105)}
    effects = [_latency(quantile, *ends) for quantile, ends in changes.items()]
    assert "wakeup latency p90 +1190 %" in sentence.of("a", "b", effects, "", interleaved=True)
    unsure = [_latency(quantile, 0.0, 0.0, 0.0) for quantile in changes]
    assert "wakeup latency p99" in sentence.of(
        "a", "b", [_latency("p10", 0.0, 0.0, 0.0), *unsure], "", interleaved=True
    )


def _latency(quantile: str, value: float, low: float, high: float) -> Effect:
    known = {"first": 1.0, "second": 1.0 + value, "value": value, "interval": Interval(low, high), "range": (low, high)}
    judged = {"p": 0.0005, "p_adjusted": 0.01, "detectable": 0.01, "equivalence_p": 1.0, "within": 0.1, "units": 12}
    metric = metrics.metric(f"wakeup latency {quantile}")
    return Effect(metric=metric, **known, **judged, blocks=(), outcome="higher")  # type: ignore[arg-type]


def test_a_change_that_is_shown_as_zero_has_no_sign() -> None:
    assert sentence.amount(_latency("p50", -0.00001, -0.05, 0.05)) == "0.0 % [-5.0, 5.0]"
    assert sentence.amount(_latency("p50", 0.0, 0.0, 0.0)) == "0.000 % [0.000, 0.000]"
