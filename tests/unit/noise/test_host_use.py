"""What takes the host's CPUs, without the guest itself."""

from __future__ import annotations

import pytest
from fake_proc import FakeProc
from hypothesis import given
from hypothesis import strategies as st

from harness.noise.host_use import (
    SHORT_LIVED,
    STOLEN,
    HostSample,
    HostUse,
    between,
    measure,
    name_busiest,
    sample,
)
from harness.noise.process_times import ProcessTimes


def test_a_hosts_use_is_what_others_took_with_the_busiest_first(proc: FakeProc) -> None:
    for pid, name in [(10, "qemu"), (11, "cc1"), (12, "cc1"), (13, "python3")]:
        proc.process(pid, name, 5.0)
    before = sample(proc.path)
    for pid, name, cpu_s in [(10, "qemu", 15.0), (11, "cc1", 7.0), (12, "cc1", 6.0), (13, "python3", 6.0)]:
        proc.process(pid, name, cpu_s)
    proc.run(10.0, user=0.6, system=0.1)  # 14 s of 20
    use = between(before, sample(proc.path), [10], 10.0)
    assert (use.cpus, use.taken_share, use.stolen_share) == (2, pytest.approx(0.2), 0.0)
    assert use.busiest == (("cc1", 0.3), ("python3", 0.1))
    assert use.text == "20 % taken by cc1, python3"


def test_a_process_that_began_counts_from_its_beginning_and_a_reused_id_is_a_new_process(proc: FakeProc) -> None:
    proc.process(20, "bash", 50.0)
    before = sample(proc.path)
    proc.process(20, "cc1", 3.0, started=900)
    proc.process(21, "ld", 2.0, started=901)
    proc.run(10.0, user=0.25)
    assert between(before, sample(proc.path), [], 10.0).busiest == (("cc1", 0.3), ("ld", 0.2))


def test_processes_that_ended_count_under_the_parent_that_waited_for_them(proc: FakeProc) -> None:
    proc.process(40, "make", 1.0)
    proc.process(41, "sh", 0.5, parent=40)
    proc.process(42, "cc1", 3.0, parent=41)
    before = sample(proc.path)
    for pid in (41, 42):
        proc.end(pid)
    proc.process(40, "make", 1.1, children_s=0.5 + 7.0 + 0.9)  # cc1 ran for 4 s more, others for 0.9 s in all
    proc.run(10.0, user=0.25)
    assert between(before, sample(proc.path), [], 10.0).busiest == (("make", 0.5),)


def test_a_parent_that_waits_for_no_child_keeps_all_of_its_own_time(proc: FakeProc) -> None:
    proc.process(40, "daemon", 1.0)
    proc.process(41, "worker", 9.0, parent=40)
    before = sample(proc.path)
    proc.end(41)
    proc.process(40, "daemon", 9.0)  # it ignores SIGCHLD
    proc.run(10.0, user=0.5)
    assert between(before, sample(proc.path), [], 10.0).busiest == (("daemon", 0.8), (SHORT_LIVED, 0.2))


def test_an_orphan_whose_time_went_to_init_takes_nothing_off_its_former_grandparent(proc: FakeProc) -> None:
    proc.process(1, "init", 1.0, parent=0)
    proc.process(40, "make", 1.0)
    proc.process(41, "sh", 0.1, parent=40)
    proc.process(42, "server", 30.0, parent=41)
    before = sample(proc.path)
    for pid in (41, 42):
        proc.end(pid)
    proc.process(1, "init", 1.0, parent=0, children_s=30.0)
    proc.process(40, "make", 6.0, children_s=0.1)
    proc.run(10.0, user=0.25)
    assert between(before, sample(proc.path), [], 10.0).busiest == (("make", 0.5),)


def test_what_no_process_accounts_for_is_named_as_well(proc: FakeProc) -> None:
    proc.process(30, "make", 1.0)
    before = sample(proc.path)
    proc.process(30, "make", 1.5)
    proc.run(10.0, user=0.5, steal=0.1)
    use = between(before, sample(proc.path), [], 10.0)
    assert use.busiest == ((SHORT_LIVED, 0.95), (STOLEN, 0.2), ("make", 0.05))
    assert (use.taken_share, use.stolen_share) == (pytest.approx(0.6), pytest.approx(0.1))


def test_a_process_that_took_little_is_not_named() -> None:
    assert name_busiest([("cc1", 0.5), ("top", 0.049)]) == "cc1"
    assert HostUse(2.0, 2, 0.0, 0.0, (("top", 0.01),)).text == "0 % taken"


@pytest.mark.parametrize(
    ("cpus", "guest_cpus", "taken", "room"),
    [
        (2, 1, 0.25, True),  # 1.5 CPUs are left
        (2, 1, 0.26, False),
        (8, 1, 0.80, True),
        (8, 4, 0.45, False),
        (1, 1, 0.10, True),  # a host without half a CPU to spare: nine tenths of it
        (1, 1, 0.11, False),
        (2, 2, 0.05, True),
        (2, 4, 0.50, False),
    ],
)
def test_a_host_is_calm_if_it_has_the_guests_cpus_and_a_half(
    cpus: int, guest_cpus: int, taken: float, room: bool
) -> None:
    assert HostUse(2.0, cpus, taken, 0.0, ()).leaves_room(guest_cpus) is room


COUNTS = st.integers(0, 10**9)
PIDS = st.integers(1, 6)
PROCESSES = st.dictionaries(
    PIDS, st.builds(ProcessTimes, st.sampled_from("abc"), PIDS, st.integers(1, 2), COUNTS, COUNTS)
)
SAMPLES = st.builds(HostSample, st.integers(1, 64), COUNTS, COUNTS, COUNTS, PROCESSES)


@given(SAMPLES, SAMPLES)
def test_shares_lie_between_none_and_all_whatever_the_counters_show(before: HostSample, after: HostSample) -> None:
    use = between(before, after, [], 1.0)
    assert 0 <= use.stolen_share <= use.taken_share <= 1
    assert all(cpus > 0 for _, cpus in use.busiest)


def test_measuring_reads_the_host_before_and_after_the_time(proc: FakeProc) -> None:
    use = measure(2.0, proc=proc.path, sleep=lambda seconds: proc.run(seconds, system=0.5))
    assert use.taken_share == pytest.approx(0.5)


def test_this_host_can_be_measured() -> None:
    use = measure(0.05)
    assert use.cpus >= 1
    assert 0 <= use.taken_share <= 1
    assert use.seconds >= 0.05
