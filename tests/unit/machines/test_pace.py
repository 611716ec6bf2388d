"""The pace of a guest follows the host's clock, less what its threads waited for a CPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.guest.monitor import CpuTimes
from harness.machines.pace import LONGEST_DEBT_S, SLOWEST, GuestPace

CPU, OTHER_CPU, MAIN = 7, 8, 6


class Host:
    """A host whose clock and whose threads' waiting are set by hand, both in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waited: dict[int, float] = {CPU: 5.0, OTHER_CPU: 5.0, MAIN: 5.0}

    def times(self, thread: int) -> CpuTimes | None:
        return CpuTimes(1, round(self.waited[thread] * 1e9)) if thread in self.waited else None

    def pace(self, slower: float = 1.0) -> GuestPace:
        return GuestPace(slower, clock=lambda: self.now, times=self.times)

    def goes_on(self, seconds: float, **waited: float) -> None:
        self.now += seconds
        for name, more in waited.items():
            self.waited[{"cpu": CPU, "other": OTHER_CPU, "main": MAIN}[name]] += more


@pytest.fixture
def host() -> Host:
    return Host()


def test_before_there_is_a_guest_it_is_the_hosts_clock_however_slow_the_guest_will_be(host: Host) -> None:
    pace = host.pace(slower=5.0)
    assert not pace.following
    began = pace()
    host.goes_on(60.0, cpu=30.0)
    assert pace() - began == pytest.approx(60.0)


def test_what_the_threads_waited_before_they_were_known_is_not_taken_off(host: Host) -> None:
    pace = host.pace()
    began = pace()
    host.goes_on(10.0, cpu=3.0)
    pace.follow([CPU], MAIN)
    assert pace.following
    assert pace() - began == pytest.approx(10.0)


def test_the_waiting_of_the_cpu_and_of_the_main_loop_is_taken_off(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU], MAIN)
    began = pace()
    host.goes_on(10.0, cpu=3.0, main=2.0)
    assert pace() - began == pytest.approx(5.0)


def test_of_several_cpus_the_one_that_waited_longest_counts(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU, OTHER_CPU], None)
    began = pace()
    host.goes_on(10.0, cpu=3.0, other=4.0)
    assert pace() - began == pytest.approx(6.0)


def test_a_guest_that_is_slower_by_itself_has_a_slower_pace(host: Host) -> None:
    pace = host.pace(slower=5.0)
    pace.follow([CPU], MAIN)
    began = pace()
    host.goes_on(10.0, cpu=5.0)
    assert pace() - began == pytest.approx(1.0)


def test_a_guest_that_gets_nothing_reaches_its_limit_at_last(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU], MAIN)
    began = pace()
    for _ in range(50):
        host.goes_on(1.0, cpu=1.0, main=1.0)
        pace()
    assert pace() - began == pytest.approx(50 * SLOWEST)


def test_a_wait_that_is_known_only_when_it_has_ended_is_taken_off_later(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU], MAIN)
    began = pace()
    host.goes_on(4.0)  # the CPU waits, and the kernel has not added it yet
    pace()
    host.goes_on(1.0, cpu=4.0)
    pace()
    host.goes_on(5.0)
    assert pace() - began == pytest.approx(6.0)


def test_a_long_debt_is_forgiven_so_that_the_pace_recovers_when_the_host_is_calm(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU], MAIN)
    host.goes_on(100.0, cpu=100.0, main=100.0)
    began = pace()
    host.goes_on(10.0 * LONGEST_DEBT_S)
    assert pace() - began == pytest.approx(9.0 * LONGEST_DEBT_S)


def test_when_the_threads_have_ended_it_goes_on_as_the_hosts_clock(host: Host) -> None:
    pace = host.pace()
    pace.follow([CPU], MAIN)
    began = pace()
    host.waited.clear()
    host.goes_on(10.0)
    assert pace() - began == pytest.approx(10.0)


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100)), max_size=30))
def test_it_never_runs_backwards_nor_faster_than_the_host(steps: list[tuple[float, float, float]]) -> None:
    host = Host()
    pace = host.pace()
    pace.follow([CPU], MAIN)
    last = pace()
    for seconds, cpu, main in steps:
        host.goes_on(seconds, cpu=cpu, main=main)
        now = pace()
        assert SLOWEST * seconds - 1e-6 <= now - last <= seconds + 1e-6
        last = now
