"""The host while a trial is recorded: what trial.json holds of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import pytest
from fake_proc import FakeProc
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.guest.monitor import CpuTimes
from harness.noise.observation import KEYS, NO_SCHEDSTAT, UNSEEN, Observation

GUEST = {
    "clock_before": {"monotonic_s": 50.0, "boottime_s": 50.0, "realtime_s": 1000.0},
    "clock_after": {"monotonic_s": 70.0, "boottime_s": 70.0, "realtime_s": 1023.0},
    "cpu_ticks_before": {"user": 100, "idle": 0, "steal": 10},
    "cpu_ticks_after": {"user": 1900, "idle": 0, "steal": 210},
}


@dataclass
class Guest:
    """A guest of one process, whose vCPU has these times at the next looks."""

    times: list[CpuTimes | None] = field(default_factory=list)
    ids: tuple[int, ...] = (10,)
    delay_s: float = 0.0

    def cpu_times(self) -> CpuTimes | None:
        return self.times.pop(0) if self.times else None

    def process_ids(self) -> tuple[int, ...]:
        return self.ids

    def console_delay_s(self) -> float:
        return self.delay_s


def observe(proc: FakeProc, guest: Guest, cpus: int = 1) -> dict[str, Any]:
    """Observe 10 s in which the guest has 8 s of CPU time and a compiler 4 s, on two CPUs."""
    observation = Observation(guest, cpus, proc=proc.path, sys=proc.path)
    proc.process(10, "qemu", 100.0)
    proc.process(11, "cc1", 1.0)
    observation.phase("recording")
    proc.process(10, "qemu", 108.0)
    proc.process(11, "cc1", 5.0)
    proc.run(10.0, user=0.6)
    proc.stall(10)
    observation.phase("recorded")
    return observation.facts(GUEST)


def test_the_facts_hold_everything_between_the_two_phases(proc: FakeProc) -> None:
    facts = observe(proc, Guest([CpuTimes(5_000_000_000, 7_000_000_000), CpuTimes(13_000_000_000, 7_001_000_000)]))
    assert sorted(facts) == sorted(KEYS)
    assert (facts["vcpu_run_s"], facts["vcpu_wait_s"], facts["share_reason"]) == (8.0, 0.001, None)
    assert 0 < facts["share"] <= 1
    assert (facts["taken_share"], facts["stolen_share"]) == (0.2, 0.0)
    assert facts["top"] == [["cc1", 0.4]]
    assert facts["loadavg_before"] == facts["loadavg_after"] == [0.5, 0.25, 0.1]
    assert facts["frequency_before"] == {"governor": None, "mhz_min": None, "mhz_max": None, "turbo": None}
    assert (facts["guest_seconds"], facts["steal_share"]) == (20.0, 0.1)
    assert (facts["clock_step_s"]["guest"], facts["suspended_s"]["guest"]) == (3.0, 0.0)
    assert facts["suspended_s"]["host"] == pytest.approx(0.0, abs=0.1)
    assert facts["pressure_share"] > 0


def test_the_facts_say_how_late_the_phases_may_have_been_seen(proc: FakeProc) -> None:
    assert observe(proc, Guest())["phases_late_s"] == 0.0
    assert observe(proc, Guest(delay_s=2.25))["phases_late_s"] == 2.25


def test_a_host_that_does_not_count_waits_gives_the_reason_instead_of_a_share(proc: FakeProc) -> None:
    facts = observe(proc, Guest())
    assert (facts["share"], facts["vcpu_wait_s"], facts["share_reason"]) == (None, None, NO_SCHEDSTAT)
    assert facts["taken_share"] == 0.2


@pytest.mark.parametrize("ids", [(), (999,)])
def test_without_the_guests_processes_the_share_of_others_is_unknown(proc: FakeProc, ids: tuple[int, ...]) -> None:
    facts = observe(proc, Guest(ids=ids))
    assert facts["taken_share"] is None
    assert facts["top"] == [["qemu", 0.8], ["cc1", 0.4]]


@pytest.mark.parametrize("phases", [[], ["recording"], ["recorded"], ["recorded", "recording"], ["done"]])
def test_a_recording_of_which_an_end_was_not_seen_has_no_share(proc: FakeProc, phases: list[str]) -> None:
    observation = Observation(Guest(), 1, proc=proc.path)
    for phase in phases:
        observation.phase(phase)
    facts = observation.facts({})
    assert sorted(facts) == sorted(KEYS)
    assert (facts["share"], facts["share_reason"], facts["seconds"]) == (None, UNSEEN, None)
    assert facts["clock_step_s"] == {"host": None, "guest": None}


@pytest.mark.parametrize("phases", list(permutations(["recording", "recorded", "done"])))
def test_only_a_beginning_followed_by_an_end_is_an_observation(proc: FakeProc, phases: tuple[str, ...]) -> None:
    observation = Observation(Guest(), 1, proc=proc.path)
    for phase in phases:
        observation.phase(phase)
    seen = observation.facts({})["seconds"] is not None
    assert seen is (phases.index("recording") < phases.index("recorded"))


def test_the_first_end_counts(proc: FakeProc) -> None:
    observation = Observation(Guest(), 1, proc=proc.path)
    observation.begin()
    observation.end()
    once = observation.facts({})
    observation.end()
    assert observation.facts({}) == once


def test_guests_of_earlier_versions_say_nothing_of_their_clocks(proc: FakeProc) -> None:
    observation = Observation(Guest(), 1, proc=proc.path)
    facts = observation.facts({"cpu_ticks_before": {}, "cpu_ticks_after": {}})
    assert (facts["guest_seconds"], facts["steal_share"]) == (None, None)


NS = st.integers(0, 10**13)


@settings(max_examples=25)  # each writes a dozen files
@given(run=st.tuples(NS, NS), wait=st.tuples(NS, NS), cpus=st.integers(1, 8))
def test_the_share_lies_between_none_and_all_whatever_the_counters_show(
    tmp_path_factory: pytest.TempPathFactory, run: tuple[int, int], wait: tuple[int, int], cpus: int
) -> None:
    proc = FakeProc(tmp_path_factory.getbasetemp() / "shares")
    guest = Guest([CpuTimes(run[0], wait[0]), CpuTimes(run[1], wait[1])])
    assert 0 <= observe(proc, guest, cpus)["share"] <= 1


def test_this_host_can_be_observed() -> None:
    observation = Observation(Guest(ids=()), 1)
    observation.begin()
    observation.end()
    facts = observation.facts({})
    assert facts["seconds"] >= 0
    assert isinstance(facts["top"], list)
    assert len(facts["loadavg_before"]) == len(facts["loadavg_after"]) == 3
