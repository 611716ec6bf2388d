"""The processes of machines: of a real QEMU that is stopped, goes on, is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from real_qemu import busy, qemu

from harness.noise import host_use
from harness.noise.machine_processes import MachineProcess, machines, others

ONE, OTHER = "harness-0badcafe-guest", "harness-1badcafe-guest"


def test_a_qemu_that_is_stopped_continued_and_killed_is_seen_as_such() -> None:
    with qemu(ONE) as process:
        watched = MachineProcess(ONE)
        assert watched.state() == "running"
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert watched.state() == "stopped"
        process.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, process.pid, os.WCONTINUED)
        assert watched.state() == "running"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert watched.state() == "ended"  # a zombie
    assert watched.state() == "ended"


def test_a_machine_whose_process_cannot_be_seen_has_no_state(tmp_path: Path) -> None:
    assert MachineProcess(ONE, tmp_path).state() is None
    assert MachineProcess("harness-00000000-none").state() is None


def test_an_id_that_another_process_took_over_is_not_the_machine(tmp_path: Path) -> None:
    def stat(started: int) -> str:
        return f"7 (qemu-system-x86) S 1 {'0 ' * 17}{started} 0 0\n"

    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_bytes(f"qemu-system-x86_64\0-name\0guest={ONE},x=on\0".encode())
    (tmp_path / "7" / "stat").write_text(stat(5))
    watched = MachineProcess(ONE, tmp_path)
    assert watched.state() == "running"
    (tmp_path / "7" / "stat").write_text(stat(6))
    assert watched.state() == "ended"


def test_two_machines_see_each_other_and_nothing_that_only_has_their_name() -> None:
    with qemu(ONE) as one, qemu(OTHER) as other, subprocess.Popen(["sleep", "60"], executable="/bin/sleep") as sleep:
        assert {(one.pid, ONE), (other.pid, OTHER)} <= set(machines())
        assert OTHER in others(ONE)
        assert ONE not in others(ONE)
        assert ONE in others(OTHER)
        assert sleep.pid not in dict(machines())
        sleep.kill()


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (b"/usr/lib/virtualbox/VBoxHeadless\0--comment\0harness-0badcafe-guest\0--startvm\0", ONE),
        (b"virsh\0qemu-monitor-command\0harness-0badcafe-guest\0", None),
        (b"vim\0notes on guest=harness-0badcafe-guest\0", None),
        (b"qemu-system-x86_64\0-name\0guest=somebodys-machine\0", None),
    ],
    ids=["VirtualBox", "virsh", "an editor", "another machine"],
)
def test_a_machine_is_known_by_its_program_and_its_name(tmp_path: Path, command: bytes, name: str | None) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cmdline").write_bytes(command)
    assert dict(machines(tmp_path)) == ({7: name} if name else {})


def test_the_host_share_of_each_of_two_machines_counts_the_others_qemu(tmp_path: Path) -> None:
    with qemu(ONE, *busy(tmp_path)) as one, qemu(OTHER, *busy(tmp_path)) as other:
        before, began = host_use.sample(), time.monotonic()
        after = host_use.sample()
        while min(_worked(before, after, process.pid) for process in (one, other)) < 30:
            time.sleep(0.05)
            after = host_use.sample()
        seconds, total = time.monotonic() - began, after.total - before.total
        neither = host_use.between(before, after, [one.pid, other.pid], seconds)
        for own, else_ in ((one.pid, other.pid), (other.pid, one.pid)):
            seen = host_use.between(before, after, [own], seconds)
            counted = seen.taken_share - neither.taken_share
            assert counted == pytest.approx(_worked(before, after, else_) / total, abs=0.02)


def _worked(before: host_use.HostSample, after: host_use.HostSample, process: int) -> int:
    """Return the clock ticks that a process ran between two samples."""
    return after.processes[process].own - before.processes[process].own
