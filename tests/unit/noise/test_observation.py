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
from harness.guest.vigil import Trouble
from harness.noise.observation import END_NOT_READ, END_NOT_SEEN, KEYS, NO_SCHEDSTAT, Observation

GUEST = {
    "clock_before": {"monotonic_s": 50.0, "boottime_s": 50.0, "realtime_s": 1000.0},
    "clock_after": {"monotonic_s": 70.0, "boottime_s": 70.0, "realtime_s": 1023.0},
    "cpu_ticks_before": {"user": 100, "idle": 0, "steal": 10},
    "cpu_ticks_after": {"user": 1900, "idle": 0, "steal": 210},
}


@dataclass
class Guest:
    """A guest of one process, whose vCPU has these times at the next looks; and the host's clocks for it.

    Each look at its times takes `look_s`.
    """

    times: list[CpuTimes | None] = field(default_factory=list)
    ids: tuple[int, ...] = (10,)
    delay_s: float = 0.0
    look_s: float = 0.0
    now_s: float = 1000.0
    troubles: list[Trouble] = field(default_factory=list)

    def clocks(self) -> dict[str, float]:
        return dict.fromkeys(("monotonic_s", "boottime_s", "realtime_s"), self.now_s)

    def cpu_times(self) -> CpuTimes | None:
        self.now_s += self.look_s
        return self.times.pop(0) if self.times else None

    def process_ids(self) -> tuple[int, ...]:
        return self.ids

    def console_delay_s(self) -> float:
        return self.delay_s


def observe(
    proc: FakeProc, guest: Guest, cpus: int = 1, late_s: float = 0.0, recording: dict[str, Any] = GUEST
) -> dict[str, Any]:
    """Observe 10 s in which the guest has 8 s of CPU time and a compiler 4 s, on two CPUs."""
    troubles = {"name": "harness-0badcafe-guest", "troubles": lambda: guest.troubles}
    observation = Observation(guest, cpus, proc=proc.path, sys=proc.path, clocks=guest.clocks, **troubles)
    proc.process(10, "qemu", 100.0)
    proc.process(11, "cc1", 1.0)
    observation.phase("recording")
    proc.process(10, "qemu", 108.0)
    proc.process(11, "cc1", 5.0)
    proc.run(10.0, user=0.6)
    proc.stall(500_000)
    guest.now_s += 10.0
    observation.phase("recorded", late_s)
    return observation.facts(recording)


def test_the_facts_hold_everything_between_the_two_phases(proc: FakeProc) -> None:
    facts = observe(proc, Guest([CpuTimes(5_000_000_000, 7_000_000_000), CpuTimes(13_000_000_000, 7_001_000_000)]))
    assert sorted(facts) == sorted(KEYS)
    assert (facts["vcpu_run_s"], facts["vcpu_wait_s"], facts["share_reason"]) == (8.0, 0.001, None)
    assert (facts["seconds"], facts["share"]) == (10.0, 0.0001)
    assert (facts["taken_share"], facts["stolen_share"]) == (0.2, 0.0)
    assert facts["top"] == [["cc1", 0.4]]
    assert facts["loadavg_before"] == facts["loadavg_after"] == [0.5, 0.25, 0.1]
    assert facts["frequency_before"] == {"governor": None, "mhz_min": None, "mhz_max": None, "turbo": None}
    assert (facts["guest_seconds"], facts["steal_share"]) == (20.0, 0.1)
    assert (facts["clock_step_s"]["guest"], facts["suspended_s"]["guest"]) == (3.0, 0.0)
    assert facts["suspended_s"]["host"] == 0.0
    assert facts["pressure_share"] == 0.05


def test_the_facts_say_how_late_the_phases_may_have_been_seen(proc: FakeProc) -> None:
    assert observe(proc, Guest())["phases_late_s"] == 0.0
    assert observe(proc, Guest(delay_s=2.25))["phases_late_s"] == 2.25
    assert observe(proc, Guest(delay_s=2.25), late_s=3.0)["phases_late_s"] == 5.25


def test_the_time_in_which_the_guests_threads_are_asked_for_makes_a_phase_late(proc: FakeProc) -> None:
    assert observe(proc, Guest(look_s=3.0))["phases_late_s"] == 3.0


def busy_for(seconds: float) -> list[CpuTimes | None]:
    """The times of a vCPU that ran for all but 0.4 s of these seconds, and waited for the rest."""
    return [CpuTimes(7, 7), CpuTimes(7 + round((seconds - 0.4) * 1e9), 7 + 400_000_000)]


def test_a_machine_that_was_paused_is_noticed_although_its_cpu_never_waited(proc: FakeProc) -> None:
    assert observe(proc, Guest(busy_for(10.0)))["paused_s"] == 0.0
    assert observe(proc, Guest(busy_for(9.6)))["paused_s"] == 0.4
    assert observe(proc, Guest(busy_for(9.75)))["paused_s"] == 0.0  # may be the error of the measurement
    assert observe(proc, Guest(busy_for(4.0)), late_s=2.8)["paused_s"] == 6.0
    assert observe(proc, Guest(busy_for(4.0)), late_s=3.0)["paused_s"] == 0.0


def test_a_pause_is_not_decided_without_the_waits_or_for_several_cpus(proc: FakeProc) -> None:
    assert observe(proc, Guest())["paused_s"] is None
    assert observe(proc, Guest(busy_for(4.0)), cpus=2)["paused_s"] is None


@pytest.mark.parametrize(("idle", "paused_s"), [(0, 6.0), (400, 2.0), (600, 0.0), (1000, 0.0)])
def test_a_guest_that_was_idle_was_not_paused_meanwhile(proc: FakeProc, idle: int, paused_s: float) -> None:
    ticks = {"cpu_ticks_before": {"user": 0, "idle": 0, "iowait": 0}}
    ticks["cpu_ticks_after"] = {"user": 2000 - idle, "idle": idle // 2, "iowait": idle // 2}  # of 20 s
    assert observe(proc, Guest(busy_for(4.0)), recording={**GUEST, **ticks})["paused_s"] == paused_s


def test_a_guest_that_did_not_count_its_idle_time_is_not_called_paused(proc: FakeProc) -> None:
    silent = {**GUEST, "cpu_ticks_after": {}}
    assert observe(proc, Guest(busy_for(4.0)), recording=silent)["paused_s"] is None


@pytest.mark.parametrize("times", [[None, CpuTimes(1, 1)], [CpuTimes(1, 1), None]])
def test_waits_that_were_read_at_one_end_only_are_not_called_what_the_host_never_shows(
    proc: FakeProc, times: list[CpuTimes | None]
) -> None:
    facts = observe(proc, Guest([*times]))
    assert (facts["share"], facts["share_reason"]) == (None, END_NOT_READ)


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
    assert (facts["share"], facts["share_reason"], facts["seconds"]) == (None, END_NOT_SEEN, None)
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


def test_the_facts_hold_what_the_hypervisor_said_while_it_was_recorded_and_nothing_from_before(proc: FakeProc) -> None:
    guest = Guest()
    guest.troubles = [
        Trouble("paused", "before the recording", 900.0, 950.0),
        Trouble("paused", "somebody paused it", 998.0, 1004.0),
        Trouble("unknown", "libvirtd does not answer", 1008.0, 1500.0),
    ]
    assert observe(proc, guest)["troubles"] == [
        ["paused", "somebody paused it", 4.0],
        ["unknown", "libvirtd does not answer", 2.0],
    ]


def test_the_facts_name_the_other_machines_of_harness_at_either_end(proc: FakeProc) -> None:
    def machine(process: int, name: str) -> None:
        proc.process(process, "qemu-system-x86", 1.0)
        command = f"qemu-system-x86_64\0-name\0guest={name},debug-threads=on\0"
        (proc.path / str(process) / "cmdline").write_bytes(command.encode())

    machine(20, "harness-0badcafe-guest")  # itself
    assert observe(proc, Guest())["other_machines"] == []
    machine(21, "harness-1badcafe-guest")
    assert observe(proc, Guest())["other_machines"] == ["harness-1badcafe-guest"]
