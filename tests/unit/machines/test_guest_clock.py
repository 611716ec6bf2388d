"""Which clock a machine has, and why."""

from __future__ import annotations

from typing import Any

import pytest

from harness.machines import guest_clock
from harness.machines.vagrant import VagrantMachine
from harness.progress import SilentWatcher
from harness.spec import MachineSpec


def chosen(accelerator: str, **wanted: Any) -> tuple[str, int | None, int | None, str]:
    clock = guest_clock.choose(MachineSpec(box="debian-12", **wanted), accelerator)
    return clock.kind, clock.cpu_speed, clock.shift, clock.reason


@pytest.mark.parametrize(("speed", "shift"), [(None, 3), (125, 3), (250, 2), (500, 1)])
def test_a_counted_clock_has_the_speed_that_was_asked_for(speed: int | None, shift: int) -> None:
    wanted = chosen("tcg", clock="counted", cpu_speed=speed)
    assert wanted == ("counted", speed or 125, shift, "set by machine.clock")


def test_the_faster_a_counted_cpu_the_longer_it_takes() -> None:
    clocks = [guest_clock.GuestClock("counted", "", speed) for speed in (125, 250, 500)]
    assert [clock.slower for clock in clocks] == [1.0, 2.0, 5.0]
    assert guest_clock.GuestClock("host", "").slower == 1.0


def test_by_default_an_emulated_machine_with_one_cpu_is_counted() -> None:
    assert chosen("tcg") == ("counted", 125, 3, "the default of an emulated machine with one CPU")


@pytest.mark.parametrize("accelerator", ["kvm", "virtualbox"])
def test_by_default_a_machine_that_cannot_count_has_the_hosts_clock(accelerator: str) -> None:
    assert chosen(accelerator) == ("host", None, None, f"instructions cannot be counted under {accelerator}")


def test_by_default_a_machine_with_several_cpus_has_the_hosts_clock() -> None:
    kind, speed, shift, reason = chosen("tcg", cpus=2)
    assert (kind, speed, shift) == ("host", None, None)
    assert "machine.cpus is 2" in reason


def test_the_hosts_clock_can_be_asked_for() -> None:
    assert chosen("tcg", clock="host") == ("host", None, None, "set by machine.clock")


def test_a_counted_clock_needs_no_probe_of_kvm(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.machines.kvm.choose", lambda *_: pytest.fail("KVM was probed"))
    machine = VagrantMachine(MachineSpec(box="debian-12", clock="counted"), "a/b", tmp_path, "guest")
    assert machine._accelerator(SilentWatcher()) == ("tcg", "the counted clock needs an emulated CPU")
