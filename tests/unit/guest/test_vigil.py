"""The vigil over a machine: what it says, when, and how it ends a wait over a real SSH connection."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import waiting
from fakes import FakeMonitor
from real_qemu import qemu
from scripted_guest import ScriptedGuest

from harness.errors import LostMachineError, MachineError
from harness.guest import monitor
from harness.guest import vigil as vigil_module
from harness.guest.deadline import Deadline
from harness.guest.monitor import RUNNING, Condition
from harness.guest.remote import Host
from harness.guest.vigil import ASK_S, Vigil
from harness.noise.machine_processes import MachineProcess

PAUSED, ENDED = Condition("paused", "somebody paused it"), Condition("ended", "QEMU was killed")
SILENT = Condition("unknown", "libvirtd does not answer")
NAME = "harness-0badcafe-vigil"


class Watched(Vigil):
    """A vigil over a scripted guest, with all that it told."""

    def __init__(self, guest: ScriptedGuest, **more: bool) -> None:
        super().__init__(guest, "guest", clock=guest.clock, **more)
        self.told: list[str] = []
        self.tell = self.told.append


def conditions(**by_second: Condition) -> ScriptedGuest:
    guest = ScriptedGuest({})
    guest.conditions = {float(second[1:]): condition for second, condition in by_second.items()}
    return guest


def looks(vigil: Vigil, guest: ScriptedGuest, seconds: float) -> None:
    for _ in range(round(seconds)):
        guest.sleep(1.0)
        vigil.require()


def test_a_pause_is_told_when_it_is_seen_and_when_it_is_over_and_stays_on_record() -> None:
    guest = conditions(s10=PAUSED, s28=RUNNING)
    vigil = Watched(guest)
    looks(vigil, guest, 13)
    assert vigil.told == ["guest: somebody paused it; 30 s for it to be resumed"]
    looks(vigil, guest, 17)
    assert vigil.told[1:] == ["guest: the machine runs again after 18 s"]
    (pause,) = vigil.troubles()
    assert (pause.state, pause.why) == ("paused", "somebody paused it")
    assert pause.until - pause.since == pytest.approx(18, abs=ASK_S)


def test_a_hypervisor_that_does_not_answer_is_told_and_ends_nothing() -> None:
    guest = conditions(s10=SILENT, s300=RUNNING)
    vigil = Watched(guest)
    looks(vigil, guest, 310)
    assert vigil.told[0] == "guest: libvirtd does not answer"
    assert "the hypervisor answers again" in vigil.told[1]


def test_a_hypervisor_that_cannot_be_asked_ends_nothing_either() -> None:
    """The host may have no room for one more process: the thread that asks is the one that ends a late command."""
    guest = conditions(s10=PAUSED)
    vigil = Watched(guest)
    looks(vigil, guest, 3)
    guest.condition = full_host  # type: ignore[method-assign]
    looks(vigil, guest, 100)
    assert "cannot be asked: [Errno 11]" in vigil.told[0]
    assert [trouble.state for trouble in vigil.troubles()] == ["unknown"]


def full_host() -> Condition:
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_a_machine_that_ended_is_lost_for_good_and_not_asked_for_again() -> None:
    guest = conditions(s5=ENDED, s9=RUNNING)
    vigil = Watched(guest)
    with pytest.raises(LostMachineError, match="QEMU was killed"):
        looks(vigil, guest, 20)
    assert guest.now <= 5 + ASK_S
    guest.sleep(30)
    assert vigil.lost()


def test_a_pause_is_the_reason_for_a_connection_that_is_lost_already() -> None:
    guest = conditions(s0=PAUSED)
    Watched(guest).require()
    with pytest.raises(LostMachineError, match="somebody paused it"):
        Watched(guest).require(at_once=True)


def test_whoever_waited_for_a_paused_machine_in_vain_says_so() -> None:
    guest = conditions(s0=PAUSED)
    vigil = Watched(guest)
    with pytest.raises(LostMachineError):
        looks(vigil, guest, 40)
    with pytest.raises(LostMachineError, match="nobody resumed it within 30 s"):
        vigil.require(at_once=True)


def test_a_machine_that_is_about_to_start_has_not_ended() -> None:
    guest = conditions(s0=ENDED, s10=RUNNING, s20=ENDED)
    vigil = Watched(guest, runs=False, reads_console=False)
    looks(vigil, guest, 18)
    with pytest.raises(LostMachineError):
        looks(vigil, guest, 10)


@pytest.mark.parametrize("text", ["Kernel panic - not syncing", "[    0.000000] Linux version 6.1.0"])
def test_a_guest_that_panics_or_starts_again_is_lost_but_not_for_what_it_wrote_before(text: str) -> None:
    guest = ScriptedGuest({0.0: "[    0.000000] Linux version 6.1.0\n", 10.0: f"{text}\n"})
    vigil = Watched(guest)
    with pytest.raises(LostMachineError, match=r"panicked|started again"):
        looks(vigil, guest, 20)
    assert 10 <= guest.now < 14


def test_a_boot_is_no_second_start_because_the_console_could_not_be_read_at_first() -> None:
    guest = ScriptedGuest({0.0: "[    0.000000] Linux version 6.1.0\n", 20.0: "harness-host-key ssh-ed25519\n"})
    guest.console = lambda: _raise(MachineError("the console cannot be copied"))  # type: ignore[method-assign]
    vigil = Watched(guest)
    looks(vigil, guest, 5)
    del guest.console
    looks(vigil, guest, 13)
    with pytest.raises(LostMachineError, match="started again"):
        looks(vigil, guest, 10)


def test_a_guest_that_floods_its_console_between_two_trials_is_lost_and_its_console_not_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor, "MOST_CONSOLE_BYTES", 1000)
    guest = ScriptedGuest({0.0: "boot", 10.0: "x" * 2000})
    vigil = Watched(guest)
    with pytest.raises(LostMachineError, match="floods its serial console"):
        looks(vigil, guest, 20)
    assert 10 <= guest.now < 14
    assert max(guest.readings) < 10.0


def _raise(error: Exception) -> str:
    raise error


class ProcessMonitor(FakeMonitor):
    """The view of a machine of which only the process is looked at."""

    def __init__(self) -> None:
        self.process = MachineProcess(NAME)

    def condition(self) -> Condition:
        return ENDED if self.process.state() == "ended" else RUNNING


@pytest.fixture
def watched_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Host, object]]:
    """A real SSH connection to a machine whose hypervisor is a real QEMU."""
    monkeypatch.setattr(vigil_module, "ASK_S", 0.1)
    with qemu(NAME) as process:
        host.vigil = Vigil(ProcessMonitor(), host.where)
        assert not host.vigil.lost()
        yield host, process


def kill_once_there_is(path: Path, process) -> threading.Thread:  # type: ignore[no-untyped-def]
    def act() -> None:
        waiting.until(path.exists)
        process.kill()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def test_a_command_ends_long_before_its_limit_once_qemu_was_killed(watched_host, tmp_path: Path) -> None:
    host, process = watched_host
    deadline = Deadline(500)
    killing = kill_once_there_is(tmp_path / "began", process)
    with pytest.raises(LostMachineError, match="QEMU was killed"):
        host.run(f"touch {tmp_path}/began; sleep 500", timeout_s=500)
    killing.join()
    assert deadline.left() > 300


@contextmanager
def unanswered() -> Iterator[int]:
    """The port of a server on this host that has one connection waiting and lets no other in."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        yield server.getsockname()[1]


def test_a_connection_that_nobody_answers_ends_once_qemu_was_killed(watched_host) -> None:
    host, process = watched_host
    deadline = Deadline(500)
    with unanswered() as host.port:
        host.connect_limit_s = 500.0
        process.kill()
        with pytest.raises(LostMachineError, match="QEMU was killed"):
            host.run("true", timeout_s=500)
    assert deadline.left() > 300


def test_a_refused_connection_has_the_reason_at_once(watched_host, sshd) -> None:
    host, process = watched_host
    host.close()
    sshd.stop()
    process.kill()
    process.wait()
    with pytest.raises(LostMachineError, match="QEMU was killed"):
        host.run("true", timeout_s=500)
