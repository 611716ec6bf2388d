"""Which trials and models of a run are finished, by its manifest."""

from __future__ import annotations

from typing import Any

from harness.store.finished_steps import arm_of, finished_models, usable_trials


def step(state: str, **detail: Any) -> dict[str, Any]:
    return {"state": state, "detail": detail}


MANIFEST = {
    "steps": {
        "box:debian-12": step("done"),
        "trial:002_b": step("done", arm="b"),
        "trial:001_a": step("failed", arm="a"),
        "trial:003_a": step("done", arm="a"),
        "trial:000_b": step("done", arm="b"),
        "model:b.markov_s1": step("done", arm="b"),
        "model:b.markov_s0": step("done", arm="b"),
        "model:a.markov_s0": step("running", arm="a"),
    }
}


def test_usable_trials_are_those_that_are_done_by_arm_in_recording_order() -> None:
    arms = usable_trials(MANIFEST)
    assert {arm: [*trials] for arm, trials in arms.items()} == {"b": ["000_b", "002_b"], "a": ["003_a"]}
    assert arms["a"]["003_a"] is MANIFEST["steps"]["trial:003_a"]


def test_finished_models_are_named_after_their_folders() -> None:
    assert [*finished_models(MANIFEST)] == ["b.markov_s0", "b.markov_s1"]


def test_a_step_of_a_version_that_knew_no_arms_is_of_the_one_without_a_name() -> None:
    assert arm_of(step("done")) == ""
