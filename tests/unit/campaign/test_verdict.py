"""The verdict on a recording: each limit, met and not met."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import pytest

from harness.campaign.busy_host import kept_waiting
from harness.campaign.verdict import Verdict, VerdictCheck, judge
from harness.loads import Limit, NginxAb
from harness.loads.arrivals import Arrivals
from harness.noise.observation import END_NOT_SEEN, MISSED
from harness.spec import VerdictSpec


@dataclass(frozen=True)
class Quality:
    lost_events: int = 0
    chain_breaks: int = 0
    truncated: bool = False
    span_ns: int = 10_000_000_000


EXPECTED = {"kernel": "6.1.0-x", "cpus": 1, "seconds": 10.0, "keeps_cpu_busy": True, "limits": NginxAb().limits}
GUEST: dict[str, Any] = {
    "facts": {"kernel": "6.1.0-x", "cpus": 1},
    "load": {"ActiveState": "active"},
    "metrics": {"requests_completed": 5720, "requests_failed": 0, "responses_non_2xx": 0},
    "ssh_connections_before": 0,
    "ssh_connections_after": 0,
}
HOST: dict[str, Any] = {
    "seconds": 10.05,
    "guest_seconds": 10.0,
    "share": 0.004,
    "share_reason": None,
    "top": [["cc1", 1.2], ["python3", 0.3], ["top", 0.01]],
    "clock_step_s": {"host": 0.0, "guest": 0.0001},
    "suspended_s": {"host": 0.0, "guest": 0.0},
}
USAGE = {"ab": 0.5, "nginx": 0.4, "perf": 0.02, "swapper/0": 0.08}


def verdict(
    guest: dict[str, Any] | None = None,
    quality: Quality | None = None,
    usage: dict[str, float] | None = None,
    expected: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    max_host_share: float | None = None,
) -> Verdict:
    return judge(
        guest or GUEST,
        quality or Quality(),
        usage or USAGE,
        VerdictSpec(max_host_share=max_host_share),
        {**EXPECTED, **(expected or {})},
        {**HOST, **(host or {})},
    )


def guest_with(section: str, **changes: object) -> dict[str, Any]:
    guest = copy.deepcopy(GUEST)
    guest[section].update(changes)
    return guest


def check_of(judged: Verdict, name: str) -> VerdictCheck | None:
    return next((check for check in judged.checks if check.name == name), None)


def failed(judged: Verdict) -> list[str]:
    return [check.name for check in judged.failed]


def test_a_good_recording_may_be_used() -> None:
    judged = verdict()
    assert judged.ok
    assert judged.reason == ""
    assert all(check.why == "" for check in judged.checks)


def test_without_a_tracer_the_guest_s_own_counts_are_judged_and_the_rest_is_left_out() -> None:
    judged = judge(untraced(10.01), None, {"swapper": 0.05}, VerdictSpec(), EXPECTED, HOST)
    assert judged.ok
    traced = {check.name for check in verdict().checks}
    assert {check.name for check in judged.checks} == (traced - {*judged.left_out}) | {"window share"}
    assert {*judged.left_out} == traced - {check.name for check in judged.checks}
    assert judged.to_dict()["left_out"] == [*judged.left_out]
    assert "left_out" not in verdict().to_dict()


@pytest.mark.parametrize(
    ("seconds", "usage", "name"),
    [
        (9.0, {"swapper": 0.05}, "window share"),
        (10.01, {"swapper": 0.5}, "idle share"),
        (10.01, {}, "idle share"),  # a kernel that counted nothing
    ],
)
def test_a_trial_without_a_tracer_is_refused_for_a_short_wait_and_an_idle_cpu(
    seconds: float, usage: dict[str, float], name: str
) -> None:
    assert failed(judge(untraced(seconds), None, usage, VerdictSpec(), EXPECTED, HOST)) == [name]


def untraced(seconds: float) -> dict[str, Any]:
    clocks = {"clock_before": {"monotonic_s": 5.0}, "clock_after": {"monotonic_s": 5.0 + seconds}}
    return {**GUEST, "recording": clocks}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"lost_events": 1}, "lost events"),
        ({"chain_breaks": 1}, "chain breaks"),
        ({"truncated": True}, "whole"),
        ({"span_ns": 9_700_000_000}, "recorded share"),
    ],
)
def test_an_incomplete_recording_may_not_be_used_and_is_repeated(change: dict[str, Any], name: str) -> None:
    judged = verdict(quality=replace(Quality(), **change))
    assert failed(judged) == [name]
    assert judged.retryable


def test_exactly_the_smallest_recorded_share_is_enough() -> None:
    assert verdict(quality=Quality(span_ns=9_800_000_000)).ok


def test_a_wrong_kernel_or_cpu_count_is_permanent() -> None:
    for change in ({"kernel": "6.1.0-y"}, {"cpus": 2}):
        judged = verdict(guest_with("facts", **change))
        assert failed(judged) == list(change)
        assert not judged.retryable


def test_without_an_expected_kernel_any_kernel_is_accepted() -> None:
    assert verdict(guest_with("facts", kernel="5.4.0"), expected={"kernel": None}).ok


def test_the_reason_for_a_load_that_ran_out_of_requests_names_the_setting_to_raise() -> None:
    judged = verdict(guest_with("load", ActiveState="inactive"))
    assert failed(judged) == ["load at the end"]
    assert "a larger load.requests" in judged.reason
    assert not judged.retryable


def test_a_load_that_failed_is_repeated() -> None:
    guest = guest_with("load", ActiveState="failed")
    guest["metrics"] = {}
    judged = verdict(guest)
    assert failed(judged) == ["load at the end", "requests completed"]
    assert judged.retryable


OPEN = {"poisson": {"rate_per_s": 70.0}}
MIX = {"nginx_ab": {"ActiveState": "active"}, "idle": {"ActiveState": "active"}}


def mixed(**states: dict[str, str]) -> dict[str, Any]:
    """Return a guest with two parts, one of which counts requests, and these other states."""
    metrics = {f"nginx_ab.{name}": value for name, value in GUEST["metrics"].items()}
    return {**GUEST, "loads": {**MIX, **states}, "metrics": metrics}


def test_each_part_of_a_mix_and_each_service_must_run_at_the_end() -> None:
    limits = tuple(replace(limit, metric=f"nginx_ab.{limit.metric}") for limit in NginxAb().limits)
    assert verdict(mixed(), expected={"limits": limits}).ok
    guest = mixed(idle={"ActiveState": "failed", "ExecMainStatus": "7"}, **{"db.service": {"ActiveState": "failed"}})
    judged = verdict(guest, expected={"limits": limits})
    assert failed(judged) == ["idle at the end", "db.service at the end"]
    assert "idle at the end failed (limit active): it ended early, with exit status 7" in judged.reason
    assert judged.retryable


def test_failed_requests_of_a_part_count_too() -> None:
    guest = mixed()
    guest["metrics"]["nginx_ab.responses_non_2xx"] = 4
    assert failed(verdict(guest, expected={"limits": ()})) == ["requests failed"]


def test_a_load_that_was_done_says_so_only_if_it_keeps_its_limits() -> None:
    guest = guest_with("load", ActiveState="inactive", ExecMainStatus="1")
    assert verdict(guest).retryable
    assert "it ended early, with exit status 1" in verdict(guest).reason


@pytest.mark.parametrize(
    ("value", "ok"), [(1, True), (0.99, False), (2.5, True), (2.6, False), ("none", False), (None, False)]
)
def test_a_limit_of_a_load_is_met_or_says_why(value: Any, ok: bool) -> None:
    limit = Limit("latency_p99_ms", "it fell behind; ask for fewer", at_least=1, at_most=2.5, retryable=False)
    guest = guest_with("metrics", **({} if value is None else {"latency_p99_ms": value}))
    judged = verdict(guest, expected={"limits": (limit,)})
    check = check_of(judged, "latency p99 ms")
    assert check is not None
    assert (check.ok, check.value, check.limit) == (ok, value, "at least 1, at most 2.5")
    assert check.why == ("" if ok else "it fell behind; ask for fewer")
    assert judged.retryable is (value is None)


def test_a_load_that_printed_nothing_is_not_said_to_have_fallen_behind_and_is_repeated() -> None:
    judged = verdict({**GUEST, "metrics": {}}, expected={"limits": Arrivals.model_validate(OPEN).limits})
    assert failed(judged) == ["requests completed", "oldest unanswered s", "late p99 ms"]
    assert "behind" not in judged.reason
    assert judged.retryable


def test_failed_requests_and_error_responses_both_count() -> None:
    judged = verdict(guest_with("metrics", requests_failed=1, responses_non_2xx=2))
    assert failed(judged) == ["requests failed"]
    assert next(check.value for check in judged.failed) == 3


def test_requests_are_not_checked_for_a_load_that_counts_none() -> None:
    guest = {**GUEST, "metrics": {}}
    assert verdict(guest, expected={"limits": ()}).ok


@pytest.mark.parametrize("comm", ["perf", "perf_5.10", "perf-6.1"])
def test_every_name_of_perf_counts_as_the_tracer(comm: str) -> None:
    assert failed(verdict(usage={"ab": 0.7, comm: 0.3})) == ["tracer share"]


def test_a_task_whose_name_only_begins_like_perf_is_not_the_tracer() -> None:
    assert verdict(usage={"ab": 0.4, "perfect": 0.6}).ok


def test_an_idle_cpu_fails_a_busy_load_and_passes_an_idle_one() -> None:
    usage = {"ab": 0.1, "swapper/0": 0.45, "swapper/1": 0.45}
    assert failed(verdict(usage=usage)) == ["idle share"]
    assert verdict(usage=usage, expected={"keeps_cpu_busy": False}).ok


def test_an_ssh_connection_at_the_end_of_the_recording_fails_it() -> None:
    judged = verdict({**GUEST, "ssh_connections_after": 1})
    assert failed(judged) == ["SSH connections"]
    assert judged.retryable


def test_one_permanent_failure_makes_the_verdict_permanent() -> None:
    judged = verdict(guest_with("facts", cpus=2), quality=Quality(lost_events=5))
    assert not judged.retryable


@pytest.mark.parametrize("comm", ["sshd", "sshd-session"])
def test_cpu_time_of_sshd_in_the_recording_fails_it(comm: str) -> None:
    judged = verdict(usage={**USAGE, comm: 0.0001})
    assert failed(judged) == ["sshd share"]
    assert judged.retryable


def test_a_guest_that_the_host_kept_waiting_fails_on_the_hosts_clock_and_is_repeated() -> None:
    judged = verdict(host={"share": 0.31})
    assert failed(judged) == ["host share"]
    assert judged.retryable
    assert judged.reason == (
        "host share 0.31 (limit 0.02): the host kept the guest's CPU waiting; busiest: cc1, python3; "
        "run on a quiet host, or with machine.clock: counted"
    )


@pytest.mark.parametrize("facts", [{"accelerator": "kvm"}, {"cpus": 2}, {"clock": "counted"}])
def test_a_counted_clock_is_no_advice_for_a_machine_that_cannot_have_one_or_has_it(facts: dict[str, Any]) -> None:
    guest = guest_with("facts", cpus=facts.get("cpus", 1))
    judged = verdict(guest, expected=facts, host={"share": 0.31, "top": []}, max_host_share=0.1)
    assert judged.reason.endswith("kept the guest's CPU waiting; run on a quiet host")


def test_exactly_the_largest_host_share_is_accepted_and_the_file_may_set_another() -> None:
    assert verdict(host={"share": 0.02}).ok
    assert not verdict(host={"share": 0.021}).ok
    assert verdict(host={"share": 0.5}, max_host_share=0.5).ok


def test_a_counted_clock_has_no_limit_unless_the_file_sets_one() -> None:
    counted = {"clock": "counted"}
    assert check_of(verdict(expected=counted, host={"share": 0.8}), "host share") is None
    assert failed(verdict(expected=counted, host={"share": 0.8}, max_host_share=0.5)) == ["host share"]


def test_a_share_that_cannot_be_measured_passes_the_default_limit_and_shows_that_it_is_unknown() -> None:
    judged = verdict(host={"share": None, "share_reason": "no schedstat"})
    check = check_of(judged, "host share")
    assert check is not None
    assert (check.ok, check.value, check.limit) == (True, None, 0.02)


def test_a_share_that_cannot_be_measured_cannot_meet_a_limit_that_the_file_sets() -> None:
    judged = verdict(host={"share": None, "share_reason": "no schedstat"}, max_host_share=0.1)
    assert failed(judged) == ["host share"]
    assert not judged.retryable
    assert "no schedstat; leave out verdict.max_host_share" in judged.reason


@pytest.mark.parametrize("reason", MISSED)
@pytest.mark.parametrize(("limit", "clock"), [(None, "host"), (0.1, "host"), (0.1, "counted")])
def test_a_recording_of_which_an_end_was_missed_is_repeated_where_the_share_has_a_limit(
    limit: float | None, clock: str, reason: str
) -> None:
    missed = {"share": None, "share_reason": reason, "seconds": None}
    judged = verdict(host=missed, max_host_share=limit, expected={"clock": clock})
    assert failed(judged) == ["host share"]
    assert judged.retryable
    assert judged.reason.endswith(reason)
    assert verdict(host=missed, expected={"clock": "counted"}).ok


def test_only_a_share_that_was_measured_says_that_the_host_kept_the_guest_waiting() -> None:
    assert kept_waiting(verdict(host={"share": 0.3}))
    assert not kept_waiting(verdict(host={"share": None, "share_reason": END_NOT_SEEN}))
    assert not kept_waiting(verdict(host={"share": None, "share_reason": "no schedstat"}, max_host_share=0.1))


def test_a_pause_fails_a_recording_only_if_its_clock_ran_on() -> None:
    paused = {"seconds": 62.0, "guest_seconds": 50.0, "paused_s": 11.1}
    assert failed(verdict(host=paused)) == ["clock steps"]
    assert verdict(host=paused, expected={"clock": "counted"}).ok


GAPS = [
    ({"clock_step_s": {"host": 0.0, "guest": -3600.0}}, "the guest's clock was set", True),
    ({"suspended_s": {"host": 0.0, "guest": 2.0}}, "the guest was suspended", True),
    ({"clock_step_s": {"host": 0.5, "guest": 0.0}}, "the host's clock was set", False),
    ({"suspended_s": {"host": 30.0, "guest": 0.0}}, "the host was suspended", False),
    ({"guest_seconds": 6.9}, "the machine was paused", False),
    ({"paused_s": 3.0}, "the machine stood still", False),  # as after SIGSTOP: the guest's seconds are the host's
    ({"troubles": [["paused", "somebody paused it", 18.0]]}, "somebody paused it", False),
]


@pytest.mark.parametrize(("change", "why", "matters_counted"), GAPS)
def test_a_clock_that_was_set_or_stood_still_fails_the_recording(
    change: dict[str, Any], why: str, matters_counted: bool
) -> None:
    judged = verdict(host=change)
    assert failed(judged) == ["clock steps"]
    assert judged.retryable
    assert why in judged.reason
    assert verdict(host=change, expected={"clock": "counted"}).ok is not matters_counted


def test_a_hypervisor_that_did_not_answer_fails_nothing() -> None:
    assert verdict(host={"troubles": [["unknown", "libvirtd does not answer", 18.0]]}).ok


def test_small_differences_of_clocks_are_normal() -> None:
    assert verdict(host={"clock_step_s": {"host": 0.1, "guest": -0.1}}).ok
    assert verdict(host={"guest_seconds": 9.76}).ok  # 0.2 s and 1 % of 10.05 s
    assert not verdict(host={"guest_seconds": 9.74}).ok


def test_phases_that_are_seen_late_at_both_ends_are_no_pause() -> None:
    late = {"seconds": 14.0, "guest_seconds": 10.0, "phases_late_s": 2.1}
    assert verdict(host=late).ok
    assert failed(verdict(host={**late, "guest_seconds": 9.4})) == ["clock steps"]
    assert failed(verdict(host={**late, "phases_late_s": 0.0})) == ["clock steps"]


def test_a_guest_that_waited_for_a_cpu_is_not_taken_for_a_paused_one() -> None:
    assert failed(verdict(host={"guest_seconds": 9.5, "share": 0.3, "vcpu_wait_s": 3.0})) == ["host share"]


def test_clocks_that_nobody_read_are_no_failure() -> None:
    unknown = {"host": None, "guest": None}
    judged = verdict(host={"clock_step_s": unknown, "suspended_s": unknown, "seconds": None, "guest_seconds": None})
    check = check_of(judged, "clock steps")
    assert check is not None
    assert (check.ok, check.value) == (True, None)


def test_a_kernel_setting_that_did_not_last_makes_the_recording_unusable() -> None:
    row = {"name": "machine.sysctl.vm.swappiness", "path": "/proc/sys/vm/swappiness", "before": "60", "wanted": "7"}
    assert verdict({**GUEST, "kernel_settings": [{**row, "actual": "7"}]}).ok
    changed = verdict({**GUEST, "kernel_settings": [{**row, "actual": "10"}]})
    assert changed.retryable
    assert changed.reason == (
        "machine.sysctl.vm.swappiness 10 (limit 7): something on the guest changed it during the trial; it was as "
        "wanted when the trial began"
    )
