from __future__ import annotations

import json
from pathlib import Path

import pytest
from locations import DATA

from model.errors import StreamError
from model.predictors.replay_residual import ReplayResidual
from model.predictors.scheduling_policy import CfsReplay, EevdfReplay, Fifo
from model.replay import kernel
from model.replay.cfs_queue import Rules
from model.scoring import caveats

OLD = {"/proc/sys/kernel/sched_latency_ns": "12000000", "/proc/sys/kernel/sched_min_granularity_ns": "1500000"}
NEW = {"/sys/kernel/debug/sched/wakeup_granularity_ns": "0"}


def described(folder: Path, header: dict[str, object], **facts: object) -> Path:
    (folder / "recording.json").write_text(json.dumps({"header": header}))
    (folder / "guest.json").write_text(json.dumps({"facts": facts}))
    return folder


@pytest.mark.parametrize(
    ("release", "forgets"), [("4.15.0-58-generic", True), ("5.13.0", True), ("5.14.0", False), (None, False)]
)
def test_kernels_before_5_14_forget_a_buddy_that_they_pick(tmp_path: Path, release: str | None, forgets: bool) -> None:
    assert kernel.cfs_rules(described(tmp_path, {"os_release": release})).forget_buddies_when_picked is forgets


@pytest.mark.parametrize(("cpus", "factor"), [(None, 1), (1, 1), (2, 2), (7, 3), (8, 4), (64, 4)])
def test_the_defaults_grow_with_the_cpus(tmp_path: Path, cpus: int | None, factor: int) -> None:
    rules = kernel.cfs_rules(described(tmp_path, {"nrcpus": cpus}))
    assert (rules.latency_ns, rules.wakeup_granularity_ns, rules.min_granularity_ns) == (
        *(6e6 * factor, 1e6 * factor, 0.75e6 * factor),
    )


def test_settings_of_the_guest_prevail_over_defaults_and_given_ones_over_both(tmp_path: Path) -> None:
    folder = described(tmp_path, {"nrcpus": 2}, scheduler={**OLD, **NEW})
    assert kernel.cfs_rules(folder) == Rules(12e6, 0, False, 1.5e6, 8)
    assert kernel.cfs_rules(folder, 3e6, 2e6, True) == Rules(3e6, 2e6, True, 1.5e6, 8)
    assert kernel.knows_cfs_settings(folder)
    assert not kernel.knows_cfs_settings(described(tmp_path, {}))


def test_what_the_replay_of_cfs_guessed_is_said(tmp_path: Path) -> None:
    said = caveats.find_guesses(CfsReplay(), [DATA / "cfs_6_1"]) or ""
    assert "which tasks are a scheduling group was inferred from vruntimes" in said
    assert "latency and granularities are the kernel's defaults" in said
    assert "the kernel was taken for one since Linux 5.14" in said
    assert "when a task was queued was estimated" in said
    assert "vruntimes were guessed" not in said
    assert caveats.find_guesses(ReplayResidual(), [DATA / "cfs_6_1"]) == said
    assert caveats.find_guesses(ReplayResidual(), [DATA / "eevdf_6_12"]) is None
    assert caveats.find_guesses(EevdfReplay(), [DATA / "eevdf_6_12"]) is None
    assert caveats.find_guesses(Fifo(), [DATA / "cfs_6_1"]) is None


def test_a_guest_that_told_everything_leaves_only_what_is_not_traced_to_guess(tmp_path: Path) -> None:
    for path in (DATA / "cfs_6_1").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    tasks = {"before": [{"tid": 14, "comm": "ksoftirqd/0", "cgroup": "/"}], "after": []}
    described(tmp_path, {}, kernel="6.1.0-49", tasks=tasks, scheduler={**OLD, **NEW})
    assert CfsReplay().guesses(tmp_path) == ["when a task was queued was estimated (sched_waking without sched_wakeup)"]


FEATURES = "/sys/kernel/debug/sched/features"


@pytest.mark.parametrize(("release", "long"), [("5.12.0", 32), ("5.13.0", 8), ("6.1.0", 8), (None, 8)])
def test_since_debugfs_has_the_settings_they_do_not_change_which_queue_is_long(
    tmp_path: Path, release: str | None, long: int
) -> None:
    changed = {"/proc/sys/kernel/sched_latency_ns": "24000000", "/proc/sys/kernel/sched_min_granularity_ns": "750000"}
    assert kernel.cfs_rules(described(tmp_path, {"os_release": release}, scheduler=changed)).long_queue == long


def test_the_features_of_the_guest_are_rules_of_the_replay(tmp_path: Path) -> None:
    text = "NO_GENTLE_FAIR_SLEEPERS START_DEBIT NEXT_BUDDY NO_LAST_BUDDY NO_WAKEUP_PREEMPTION"
    facts = {FEATURES: text, "/proc/sys/kernel/sched_child_runs_first": "1"}
    rules = kernel.cfs_rules(described(tmp_path, {}, scheduler=facts))
    assert rules.sleeper_credit_ns == rules.latency_ns
    assert (rules.start_debit, rules.next_buddy, rules.last_buddy) == (True, True, False)
    assert (rules.wakeup_preemption, rules.child_runs_first) == (False, True)
    text = "NO_PLACE_LAG NO_PLACE_DEADLINE_INITIAL RUN_TO_PARITY NO_DELAY_ZERO NO_PICK_BUDDY NO_PREEMPT_SHORT"
    eevdf = kernel.eevdf_rules(described(tmp_path, {}, scheduler={FEATURES: text}))
    assert (eevdf.place_lag, eevdf.place_deadline_initial, eevdf.run_to_parity) == (False, False, True)
    assert (eevdf.delay_zero, eevdf.pick_buddy, eevdf.preempt_short) == (False, False, False)
    before_5_13 = {"/sys/kernel/debug/sched_features": "NO_START_DEBIT"}
    assert not kernel.cfs_rules(described(tmp_path, {}, scheduler=before_5_13)).start_debit


def switched(folder: Path, feature: str, before: str, actual: str) -> Path:
    row = {"name": f"machine.sched.features.{feature}", "before": before, "wanted": actual, "actual": actual}
    (folder / "guest.json").write_text(json.dumps({"facts": {}, "kernel_settings": [row]}))
    return folder


def test_a_feature_that_was_switched_and_has_no_rule_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(
        StreamError, match=r"eevdf_replay has no rule for the scheduler feature NEXT_BUDDY, .*\(NEXT_BUDDY\)"
    ):
        kernel.eevdf_rules(switched(tmp_path, "NEXT_BUDDY", "NO_NEXT_BUDDY", "NEXT_BUDDY"))
    with pytest.raises(StreamError, match="cfs_replay has no rule for the scheduler feature MY_PICK"):
        kernel.cfs_rules(switched(tmp_path, "MY_PICK", "MY_PICK", "NO_MY_PICK"))


@pytest.mark.parametrize(
    ("feature", "before", "actual"),
    [("HRTICK", "NO_HRTICK", "HRTICK"), ("NEXT_BUDDY", "NO_NEXT_BUDDY", "NO_NEXT_BUDDY")],
)
def test_a_feature_that_does_not_decide_a_pick_or_was_so_before_is_no_matter(
    tmp_path: Path, feature: str, before: str, actual: str
) -> None:
    kernel.eevdf_rules(switched(tmp_path, feature, before, actual))
