"""What a load measured, by the names of its metrics."""

from __future__ import annotations

import pytest

from harness.load_results import LoadResult, latency_kinds, metrics_of, results

WEB = {
    "requests_completed": 5800,
    "latency_p99_ms": 31.2,
    "requests_per_s": 115.9,
    "latency_p50_ms": 9.25,
    "late_p99_ms": 0.4,
    "seconds": 50.0,
    "note": "ok",
}


def names(*metrics: dict[str, object]) -> list[str]:
    return [result.name for result in results(*({"metrics": known} for known in metrics))]


def test_rates_and_latencies_are_found_by_the_ends_of_their_names_and_rates_come_first() -> None:
    assert names(WEB) == ["requests/s", "p99 latency", "p50 latency"]
    assert names({"context_switches_per_s": 5.0}) == ["context switches/s"]


def test_a_load_without_rates_and_latencies_has_no_results() -> None:
    assert names({}) == names({"seconds": 4.0, "operations": 9}) == []


def test_the_results_of_a_mix_stay_with_their_parts() -> None:
    mix = {"web.latency_p99_ms": 31.2, "web-2.requests_per_s": 5.0, "web.requests_per_s": 115.9}
    assert names(mix) == ["web requests/s", "web p99 latency", "web-2 requests/s"]
    assert [result.text(str) for result in results({"metrics": mix})] == [
        "web 115.9 requests/s", "web p99 latency 31.2 ms", "web-2 5.0 requests/s",
    ]  # fmt: skip


def test_the_trials_of_an_arm_have_a_mean_and_a_spread() -> None:
    (rate, latency) = results({"metrics": {"a_per_s": 2}}, {"metrics": {"a_per_s": 4.0, "latency_p50_ms": 1.5}})
    assert (rate.values, rate.mean, rate.sd) == ((2.0, 4.0), 3.0, pytest.approx(2**0.5))
    assert (latency.values, latency.sd, latency.unit) == ((1.5,), None, "ms")


def test_percentiles_take_the_place_of_the_mean_where_there_are_any() -> None:
    mean = results({"metrics": {"latency_mean_ms": 2.0}})
    percentiles = results({"metrics": {"latency_mean_ms": 2.0, "latency_p99_ms": 9.0, "latency_p50_ms": 1.5}})
    assert latency_kinds([mean, []]) == ["mean latency"]
    assert latency_kinds([mean, percentiles]) == ["p50 latency", "p99 latency"]


@pytest.mark.parametrize("value", [None, True, "fast", float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_left_out(value: object) -> None:
    assert results({"metrics": {"requests_per_s": value}}) == []


def test_an_earlier_manifest_has_its_requests_per_second() -> None:
    assert results({"requests_per_s": 467.5}) == [LoadResult("requests_per_s", (467.5,))]
    assert metrics_of({"requests_per_s": None}) == metrics_of({}) == {}
