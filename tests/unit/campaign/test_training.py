"""The models of a campaign, trained on its usable recordings."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import World
from one_process import one_after_the_other

from harness import workers
from harness.errors import Interrupted

pytestmark = pytest.mark.slow

Start = Callable[..., Any]


def test_models_are_trained_once_and_again_when_a_recording_changes(
    start: Start, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "run_in_processes", one_after_the_other)
    campaign, folder = start(model={"predictors": ["most_frequent", "markov"], "seeds": [0, 1]})
    assert campaign.run().ok
    models = sorted(path.name for path in (folder.path / "models").iterdir())
    assert models == ["markov_s0", "most_frequent_s0"]
    before = folder.manifest["steps"]["model:markov_s0"]["started"]
    start(folder=folder)[0].run()
    assert folder.manifest["steps"]["model:markov_s0"]["started"] == before
    (folder.trial_dir("000_nginx_ab") / "slices.parquet").unlink()
    start(folder=folder)[0].run()
    assert folder.manifest["steps"]["model:markov_s0"]["started"] != before
    assert folder.verify() == []


def test_an_arm_without_a_tracer_has_no_models_and_is_no_failure(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(workers, "run_in_processes", one_after_the_other)
    sections = {"sweep": {"record.tracer": ["perf", "none"]}, "model": {"predictors": ["markov"], "seeds": [0]}}
    campaign, folder = start(**sections)
    assert campaign.run().ok
    assert [path.name for path in (folder.path / "models").iterdir()] == ["nginx_ab__tracer-perf.markov_s0"]
    assert folder.state == "done"
    told = "no models for nginx_ab__tracer-none: recorded without a tracer"
    assert told in (tmp_path / "screen.txt").read_text()


def test_a_model_that_fails_is_named_and_the_others_are_scored(start: Start) -> None:
    model = {"predictors": ["most_frequent", "markov"], "params": {"markov": {"max_order": -3}}, "seeds": [0]}
    campaign, folder = start(model=model)
    outcome = campaign.run()
    assert outcome.failed_models == ("markov_s0",)
    assert folder.is_done("model:most_frequent_s0")
    assert folder.state == "failed"


def test_a_stop_signal_while_models_are_trained_leaves_none_running(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_and_then_stop(*arguments: Any, **options: Any) -> Iterator[Any]:
        yield next(one_after_the_other(*arguments, **options))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(workers, "run_in_processes", one_and_then_stop)
    campaign, folder = start(model={"predictors": ["most_frequent", "markov"], "seeds": [0]})
    with pytest.raises(Interrupted):
        campaign.run()
    states = [step["state"] for name, step in folder.manifest["steps"].items() if name.startswith("model:")]
    assert sorted(states) == ["done", "interrupted"]
