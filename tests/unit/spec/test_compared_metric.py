"""A metric that no trial of a campaign will have is an error of the file, before anything is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import spec
from harness.errors import SpecError
from harness.spec import Experiment
from harness.spec.compared_metric import OF_A_TRACE, OF_THE_GUEST
from harness.store import block_record

LEVELS = {"load.concurrency": [2, 8]}


def loaded(tmp_path: Path, metric: str, **changes: Any) -> Experiment:
    values = {
        "name": "small",
        "machine": {"box": "debian-12"},
        "load": {"kind": "nginx_ab"},
        "sweep": LEVELS,
        "compare": {"metric": metric},
        **changes,
    }
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(values))
    return spec.load(path)


@pytest.mark.parametrize("metric", ["requests/s", "p99 latency", *OF_A_TRACE, *OF_THE_GUEST])
def test_what_every_trial_has_is_taken(tmp_path: Path, metric: str) -> None:
    assert loaded(tmp_path, metric).compare.metric == metric


@pytest.mark.parametrize(
    ("metric", "hint"),
    [("request/s", "requests/s"), ("transactions/s", None), ("requests_per_s", "requests/s"), ("slice p95", "slice p")],
)
def test_a_metric_that_the_load_does_not_measure_is_refused_at_its_place(
    tmp_path: Path, metric: str, hint: str | None
) -> None:
    with pytest.raises(SpecError, match=f"unknown metric of nginx_ab: '{metric}'") as refused:
        loaded(tmp_path, metric)
    assert str(refused.value.where).endswith(":2:11")
    assert "requests/s" in str(refused.value.expected)
    assert hint is None or hint in str(refused.value.hint)


def test_every_arm_has_to_have_it(tmp_path: Path) -> None:
    kinds = {"load.kind": ["nginx_ab", "nginx_wrk"]}
    assert loaded(tmp_path, "requests/s", load={"kind": "idle"}, sweep=kinds)
    with pytest.raises(SpecError, match="unknown metric of pgbench"):
        loaded(tmp_path, "requests/s", sweep={"load.kind": ["nginx_ab", "pgbench"]})


def test_an_arm_without_a_tracer_has_nothing_of_a_trace(tmp_path: Path) -> None:
    tracers = {"record.tracer": ["perf", "none"]}
    assert loaded(tmp_path, "guest switches/s", sweep=tracers)
    assert loaded(tmp_path, "guest connections/s", sweep=tracers)
    with pytest.raises(SpecError, match="and a trial without a tracer has none"):
        loaded(tmp_path, "switches/s", sweep=tracers)


def test_the_score_of_a_predictor_cannot_end_a_campaign(tmp_path: Path) -> None:
    model, metric = {"predictors": ["markov"]}, "markov: contested accuracy"
    assert loaded(tmp_path, metric, model=model)
    with pytest.raises(SpecError, match="models are trained then"):
        loaded(tmp_path, metric, model=model, trials={"blocks": "auto"})
    with pytest.raises(SpecError, match="unknown score of a predictor"):
        loaded(tmp_path, "gru: contested accuracy", model=model)


def test_the_results_of_a_command_and_of_the_parts_of_a_mix_are_known(tmp_path: Path) -> None:
    command = {"kind": "command", "run": "x", "results": {"pages_per_s": "pages: ([0-9]+)"}}
    assert loaded(tmp_path, "pages/s", load=command, sweep={})
    with pytest.raises(SpecError, match="unknown metric of command"):
        loaded(tmp_path, "page/s", load=command, sweep={})
    mix = {"kind": "mix", "parts": [{"kind": "nginx_ab"}, {"kind": "stress_ng"}]}
    assert loaded(tmp_path, "nginx_ab requests/s", load=mix, sweep={})
    with pytest.raises(SpecError, match="unknown metric of mix"):
        loaded(tmp_path, "requests/s", load=mix, sweep={})


def test_a_stored_run_is_read_whatever_its_metric_is(tmp_path: Path) -> None:
    values = {**spec.to_dict(loaded(tmp_path, "requests/s")), "compare": {"metric": "what it was"}}
    assert spec.from_dict(values).compare.metric == "what it was"


@pytest.mark.parametrize(
    ("load", "sweep", "metric"),
    [
        ("nginx_ab", LEVELS, "requests/s"),
        ("nginx_ab", {"load.kind": ["nginx_ab", "nginx_wrk"]}, "requests/s"),
        ("nginx_ab", {"load.kind": ["nginx_ab", "pgbench"]}, "switches/s"),
        ("idle", {"record.seconds": [1, 2]}, "switches/s"),
        ("idle", {"record.tracer": ["perf", "none"]}, "guest switches/s"),
    ],
)
def test_the_metric_of_an_open_campaign_is_known_before_it_is_recorded(
    tmp_path: Path, load: str, sweep: dict[str, Any], metric: str
) -> None:
    path = tmp_path / "small.yaml"
    values = {"name": "small", "machine": {"box": "debian-12"}, "load": {"kind": load}, "trials": {"blocks": "auto"}}
    path.write_text(yaml.safe_dump({**values, "sweep": sweep}))
    assert block_record.new(spec.load(path))["rule"]["metric"] == metric
