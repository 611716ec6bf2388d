"""A plan: its arms, and the order of its trials, which is the same on every version of Python."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locations import EXPERIMENTS

from harness import plan, spec
from harness.spec import Experiment

BASE = {"name": "x", "machine": {"box": "debian-12", "fallback": "debian-11"}, "load": {"kind": "nginx_ab"}}
LEVELS = {"load.concurrency": [1, 5, 50]}


def experiment(**changes: object) -> Experiment:
    return spec.from_dict({**BASE, **changes}, Path("x.yaml"), "text")


def test_without_a_sweep_the_only_arm_is_named_after_its_load() -> None:
    names = [trial.name for trial in plan.trials(experiment(trials={"repeat": 2}))]
    assert names == ["000_nginx_ab", "001_nginx_ab"]


def test_arms_are_every_combination_with_the_values_in_their_names() -> None:
    arms = plan.arms(experiment(sweep={**LEVELS, "load.keepalive": [False, True]}))
    assert len(arms) == 6
    assert arms[0].name == "nginx_ab__concurrency-1__keepalive-false"
    assert arms[5].experiment.load.model_dump()["concurrency"] == 50
    assert arms[5].experiment.load.model_dump()["keepalive"] is True


def test_arms_whose_values_look_alike_get_different_names() -> None:
    arms = plan.arms(experiment(sweep={"load.path": ["/a", "/a?", "/b"]}))
    assert [arm.name for arm in arms] == ["nginx_ab__path-a__00", "nginx_ab__path-a__01", "nginx_ab__path-b"]


def test_a_swept_load_gives_the_arm_its_name_and_its_own_defaults() -> None:
    arms = plan.arms(experiment(load={"kind": "nginx_ab", "requests": 7}, sweep={"load.kind": ["nginx_ab", "idle"]}))
    assert [arm.name for arm in arms] == ["nginx_ab", "idle"]
    assert arms[0].experiment.load.model_dump()["requests"] == 7
    assert arms[1].experiment.load.model_dump() == {"kind": "idle"}


def test_swept_clocks_and_speeds_are_arms_on_machines_of_their_own() -> None:
    clocks = experiment(sweep={"machine.clock": ["host", "counted"]}, trials={"order": "listed"})
    assert [arm.name for arm in plan.arms(clocks)] == ["nginx_ab__clock-host", "nginx_ab__clock-counted"]
    counted = {**BASE["machine"], "clock": "counted"}  # type: ignore[dict-item]
    speeds = experiment(machine=counted, sweep={"machine.cpu_speed": [125, 500]}, trials={"order": "listed"})
    assert [arm.name for arm in plan.arms(speeds)] == ["nginx_ab__cpu_speed-125", "nginx_ab__cpu_speed-500"]
    assert [arm.experiment.machine.cpu_speed for arm in plan.arms(speeds)] == [125, 500]
    for swept in (clocks, speeds):
        assert len(plan.by_boot(plan.trials(swept))) == 6  # 3 blocks of 2 arms


def test_a_swept_box_has_no_fallback_because_two_arms_could_become_the_same() -> None:
    arms = plan.arms(experiment(sweep={"machine.box": ["debian-12", "debian-13"]}))
    assert [arm.experiment.machine.fallback for arm in arms] == [None, None]


@settings(max_examples=25)
@given(repeat=st.integers(1, 6), seed=st.integers(0, 2**31 - 1), order=st.sampled_from(["blocks", "listed"]))
def test_each_block_holds_every_arm_once(repeat: int, seed: int, order: str) -> None:
    trials = plan.trials(experiment(sweep=LEVELS, trials={"repeat": repeat, "seed": seed, "order": order}))
    names = {arm.name for arm in plan.arms(experiment(sweep=LEVELS))}
    assert [trial.index for trial in trials] == list(range(3 * repeat))
    for block in range(repeat):
        block_trials = trials[3 * block : 3 * block + 3]
        assert {trial.arm.name for trial in block_trials} == names
        assert {trial.block for trial in block_trials} == {block}


def test_the_order_of_a_seed_is_fixed() -> None:
    trials = plan.trials(experiment(sweep=LEVELS, trials={"repeat": 4, "seed": 2026}))
    assert [trial.arm.settings["load.concurrency"] for trial in trials] == [1, 5, 50, 5, 50, 1, 5, 1, 50, 1, 5, 50]


def test_another_seed_gives_another_order() -> None:
    orders = {
        tuple(trial.name for trial in plan.trials(experiment(sweep=LEVELS, trials={"repeat": 4, "seed": seed})))
        for seed in range(5)
    }
    assert len(orders) == 5


def test_listed_order_is_the_order_of_the_file() -> None:
    trials = plan.trials(experiment(sweep=LEVELS, trials={"repeat": 2, "order": "listed"}))
    assert [trial.arm.settings["load.concurrency"] for trial in trials] == [1, 5, 50, 1, 5, 50]


def test_neighbouring_trials_on_one_machine_form_a_group() -> None:
    same = plan.by_boot(plan.trials(experiment(sweep=LEVELS, trials={"reboot": "never"})))
    assert [len(group) for group in same] == [9]
    boxes = {"machine.box": ["debian-12", "debian-13"]}
    listed = plan.trials(experiment(sweep=boxes, trials={"repeat": 2, "order": "listed"}))
    assert [[trial.machine.box for trial in group] for group in plan.by_boot(listed)] == [
        ["debian-12"], ["debian-13"], ["debian-12"], ["debian-13"],
    ]  # fmt: skip


def test_where_arms_are_compared_every_block_has_a_boot_of_its_own() -> None:
    booted = plan.by_boot(plan.trials(experiment(sweep=LEVELS)))
    assert [len(group) for group in booted] == [3, 3, 3]
    assert [len(group) for group in plan.by_boot(plan.trials(experiment()))] == [3]
    assert [len(group) for group in plan.by_boot(plan.trials(experiment(compare={"null": True})))] == [2, 2, 2]
    every = plan.trials(experiment(trials={"reboot": "every block"}))
    assert [len(group) for group in plan.by_boot(every)] == [1, 1, 1]


def test_the_null_arm_is_the_first_arm_under_another_name() -> None:
    first, other, null = plan.arms(experiment(sweep={"load.concurrency": [2, 8]}, compare={"null": True}))
    assert (first.null_of, other.null_of, null.null_of) == (None, None, first.name)
    assert null.name == "nginx_ab__concurrency-2__again"
    assert (null.experiment, null.settings) == (first.experiment, first.settings)
    block = plan.trials(experiment(sweep={"load.concurrency": [2, 8]}, compare={"null": True}), 1)
    assert {trial.arm.name for trial in block} == {first.name, other.name, null.name}
    assert len({trial.seed for trial in block}) == 1


@pytest.mark.parametrize("reboot", ["every block", "never"])
def test_the_null_arm_shares_no_boot_with_its_twin_where_arms_need_several_machines(reboot: str) -> None:
    sections = {"sweep": {"machine.memory_mb": [512, 1024]}, "compare": {"null": True}}
    planned = plan.trials(experiment(**sections, trials={"reboot": reboot}), 20)
    for group in plan.by_boot(planned):
        assert len({(trial.arm.null_of, trial.machine.memory_mb) for trial in group}) == 1
    together = experiment(sweep=LEVELS, compare={"null": True})
    assert [len(group) for group in plan.by_boot(plan.trials(together))] == [4, 4, 4]  # one machine, one boot


AUTO = {"sweep": LEVELS, "trials": {"blocks": "auto"}}


@settings(max_examples=10)
@given(blocks=st.integers(1, 20), null=st.booleans(), auto=st.booleans())
def test_the_plan_of_some_blocks_begins_the_plan_of_more(blocks: int, null: bool, auto: bool) -> None:
    one = experiment(**(AUTO if auto else {"sweep": LEVELS}), compare={"null": null})
    more = plan.trials(one, blocks + 1)
    assert plan.trials(one, blocks) == more[: blocks * (4 if null else 3)]
    assert [trial.name for trial in more] == sorted(trial.name for trial in more)


@pytest.mark.parametrize(("repeat", "least"), [(1, 6), (6, 6), (9, 9)])
def test_an_open_number_of_blocks_begins_with_six_or_with_those_asked_for(repeat: int, least: int) -> None:
    auto = experiment(sweep=LEVELS, trials={"blocks": "auto", "repeat": repeat})
    assert plan.least_blocks(auto) == least
    assert len(plan.trials(auto)) == 3 * least
    assert plan.least_blocks(experiment(sweep=LEVELS, trials={"repeat": repeat})) == repeat


def test_the_names_of_trials_sort_by_time_up_to_the_largest_number_of_blocks() -> None:
    names = [trial.name for trial in plan.trials(experiment(**AUTO), 1000)]
    assert names == sorted(names)


def test_the_estimate_counts_the_boots() -> None:
    booted, never = (experiment(sweep=LEVELS, trials={"reboot": reboot}) for reboot in ("every block", "never"))
    extra = plan.estimate_s(plan.trials(booted)) - plan.estimate_s(plan.trials(never))
    assert extra == pytest.approx(2 * plan.MACHINE_S)
    assert plan.block_s(booted) == pytest.approx(plan.estimate_s(plan.trials(booted)) / 3)


def test_the_description_holds_the_load_and_the_duration_of_each_trial() -> None:
    load = {"kind": "nginx_ab", "concurrency": 7, "arrivals": {"poisson": {"rate_per_s": 5.0}}}
    trials = plan.trials(experiment(load=load, record={"warmup_s": 5, "seconds": 50}, trials={"repeat": 3}))
    rows = plan.describe(trials)
    assert [row.name for row in rows] == [trial.name for trial in trials]
    assert rows[0].load == 'nginx_ab concurrency=7 arrivals={"poisson": {"rate_per_s": 5.0}}'  # without defaults
    assert rows[0].estimate_s > 55
    assert plan.estimate_s(trials) > sum(row.estimate_s for row in rows)


def test_a_faster_counted_cpu_makes_a_longer_trial() -> None:
    slow, fast = (
        plan.describe(plan.trials(experiment(machine={"box": "debian-12", "clock": "counted", "cpu_speed": speed})))
        for speed in (125, 500)
    )
    assert fast[0].estimate_s > 2 * slow[0].estimate_s


def test_a_trial_can_be_pickled_and_used_as_a_key() -> None:
    trial = plan.trials(experiment(sweep=LEVELS))[0]
    assert pickle.loads(pickle.dumps(trial)) == trial
    assert {trial: 1}[trial] == 1


@pytest.mark.parametrize("name", ["concurrency.yaml", "nginx_ab.yaml"])
def test_the_names_of_a_plan_are_unique_and_fit_for_folders(name: str) -> None:
    names = [trial.name for trial in plan.trials(spec.load(EXPERIMENTS / name))]
    assert len(set(names)) == len(names)
    assert all("/" not in name and len(name) < 200 for name in names)
