"""A machine of libvirt seen from outside, through a `virsh` that answers as the real one; e2e has a real machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from real_qemu import qemu

from harness.errors import MachineError
from harness.guest.monitor import RUNNING, Condition, CpuTimes, Monitor
from harness.machines import libvirt, libvirt_monitor, schedstat, virtualbox
from harness.machines.libvirt_monitor import LibvirtMonitor, seconds_since_1970, vcpu_threads
from harness.machines.virtualbox import VirtualBoxMonitor

VIRSH = """#!/bin/sh
echo "$*" >>"$REPLIES/calls"
case "$*" in
*vol-download*) [ -e "$REPLIES/console" ] || { echo "error: cannot read the volume"; exit 1; }
    for last; do :; done; cp "$REPLIES/console" "$last" ;;
*rtc-time*) [ -e "$REPLIES/rtc" ] || exit 1; cat "$REPLIES/rtc" ;;
*query-cpus-fast*) cat "$REPLIES/cpus" ;;
*domstate*) cat "$REPLIES/state"; [ ! -e "$REPLIES/no-state" ] ;;
esac
"""
RTC = {"tm_year": 126, "tm_mon": 10, "tm_mday": 29, "tm_hour": 12, "tm_min": 44, "tm_sec": 59}


@pytest.fixture
def replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the replies of a `virsh` whose machine runs."""
    program = tmp_path / "bin" / "virsh"
    program.parent.mkdir()
    program.write_text(VIRSH)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("REPLIES", str(tmp_path))
    (tmp_path / "state").write_text("running\n")
    (tmp_path / "calls").touch()
    return tmp_path


@pytest.fixture
def monitor(replies: Path) -> LibvirtMonitor:
    return LibvirtMonitor("harness-0-guest", replies / "pool" / "console.log", replies / "copy")


def calls(replies: Path, word: str) -> int:
    return sum(word in line for line in (replies / "calls").read_text().splitlines())


def test_it_is_a_monitor(monitor: LibvirtMonitor) -> None:
    assert isinstance(monitor, Monitor)


def test_the_size_of_the_console_is_that_of_its_volume_and_asks_no_program(
    monitor: LibvirtMonitor, replies: Path
) -> None:
    monitor.volume.parent.mkdir()
    monitor.volume.write_bytes(b"x" * 1234)
    assert monitor.console_size() == 1234
    assert (replies / "calls").read_text() == ""


@pytest.mark.parametrize("error", [PermissionError, FileNotFoundError])
def test_where_the_volume_cannot_be_looked_at_the_size_is_that_of_a_copy_made_at_most_every_two_seconds(
    monitor: LibvirtMonitor, replies: Path, monkeypatch: pytest.MonkeyPatch, error: type[OSError]
) -> None:
    def forbid(path: Path) -> int:
        if path == monitor.volume:
            raise error(path)
        return path.stat().st_size

    now = [100.0]
    monitor._clock = lambda: now[0]
    (replies / "console").write_text("twelve bytes")
    monkeypatch.setattr("harness.machines.libvirt_monitor._length", forbid)
    for now[0], copies in ((100.0, 1), (101.9, 1), (102.0, 2), (103.0, 2)):
        assert monitor.console_size() == 12
        assert calls(replies, "vol-download") == copies


def test_the_delay_of_the_console_is_the_longest_time_between_two_copies(
    monitor: LibvirtMonitor, replies: Path
) -> None:
    times = iter([100.0, 100.5, 103.0, 103.0, 103.1])  # the first copy: before, after; is it old; the second copy
    monitor._clock = lambda: next(times)
    (replies / "console").write_text("twelve bytes")
    assert monitor.console_delay_s() == 0.0
    monitor.console_size()
    monitor.console_size()
    assert monitor.console_delay_s() == pytest.approx(2.5)
    monitor.volume.parent.mkdir()
    monitor.volume.touch()
    monitor.console_size()
    assert monitor.console_delay_s() == 0.0


def test_the_console_is_copied_out_of_the_pool(monitor: LibvirtMonitor, replies: Path) -> None:
    (replies / "console").write_bytes(b"[    0.000000] Linux\r\n\xff login:")
    assert monitor.console() == "[    0.000000] Linux\n\ufffd login:"
    assert calls(replies, "vol-download") == 1


def test_the_guests_clock_is_read_in_seconds(monitor: LibvirtMonitor, replies: Path) -> None:
    (replies / "rtc").write_text(
        '{"return":{"tm_year":126,"tm_sec":59,"tm_hour":12,"tm_min":44,"tm_mon":10,"tm_mday":29},"id":"libvirt-9"}\n'
    )
    assert monitor.guest_seconds() == 1795956299.0


@pytest.mark.parametrize(
    ("last", "first"),
    [
        ({"tm_hour": 23, "tm_min": 59}, {"tm_mday": 30, "tm_hour": 0, "tm_min": 0, "tm_sec": 0}),
        (
            {"tm_mday": 30, "tm_hour": 23, "tm_min": 59},
            {"tm_mon": 11, "tm_mday": 1, "tm_hour": 0, "tm_min": 0, "tm_sec": 0},
        ),
        (
            {"tm_mon": 11, "tm_mday": 31, "tm_hour": 23, "tm_min": 59},
            {"tm_year": 127, "tm_mon": 0, "tm_mday": 1, "tm_hour": 0, "tm_min": 0, "tm_sec": 0},
        ),
        (
            {"tm_year": 128, "tm_mon": 1, "tm_mday": 28, "tm_hour": 23, "tm_min": 59},
            {"tm_year": 128, "tm_mon": 1, "tm_mday": 29, "tm_hour": 0, "tm_min": 0, "tm_sec": 0},
        ),
    ],
    ids=["midnight", "the end of a month", "the end of a year", "a leap day"],
)
def test_the_guests_clock_goes_on_across(last: dict[str, int], first: dict[str, int]) -> None:
    before, after = seconds_since_1970({**RTC, **last}), seconds_since_1970({**RTC, **first})
    assert before is not None
    assert after == before + 1.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*RTC, "thread-id", "return"]), inner),
)


@given(JSON, st.fixed_dictionaries({name: st.integers() | st.floats() | st.text() for name in RTC}))
def test_no_answer_of_qemu_is_too_odd(answer: Any, rtc: dict[str, Any]) -> None:
    for odd in (answer, rtc):
        seconds = seconds_since_1970(odd)
        assert seconds is None or isinstance(seconds, float)
    assert all(isinstance(thread, int) for thread in vcpu_threads(answer))


@pytest.mark.parametrize(
    "answer", ["", "[]", "no JSON", '{"id":"libvirt-9","error":{"class":"GenericError","desc":"no"}}', "{}"]
)
def test_a_clock_that_qemu_does_not_tell_is_none(monitor: LibvirtMonitor, replies: Path, answer: str) -> None:
    (replies / "rtc").write_text(answer)
    assert monitor.guest_seconds() is None


def test_a_machine_that_was_shut_down_is_an_error_that_names_it(monitor: LibvirtMonitor, replies: Path) -> None:
    (replies / "state").write_text("shut off (shutdown)\n")
    for ask in (monitor.guest_seconds, monitor.console_size, monitor.console):
        with pytest.raises(MachineError, match="the guest shut down or rebooted") as caught:
            ask()
        assert "harness-0-guest" in str(caught.value)


@pytest.mark.parametrize("no_state", [False, True], ids=["it runs", "libvirt does not answer"])
def test_a_console_that_cannot_be_copied_is_an_error_in_virshs_words(
    monitor: LibvirtMonitor, replies: Path, no_state: bool
) -> None:
    if no_state:
        (replies / "no-state").touch()
        (replies / "state").write_text("error: failed to connect to the hypervisor\n")
    for ask in (monitor.console_size, monitor.console):
        with pytest.raises(MachineError, match="cannot be copied: error: cannot read the volume"):
            ask()


def test_a_copy_that_fails_while_the_domain_runs_leaves_the_last_one_and_is_made_later(
    monitor: LibvirtMonitor, replies: Path
) -> None:
    now = [100.0]
    monitor._clock = lambda: now[0]
    monitor.volume.parent.mkdir()
    for path in (monitor.volume, replies / "console"):
        path.write_text("boot")
    assert monitor.console() == "boot"
    monitor.volume.write_text("boot, recording")
    (replies / "console").unlink()  # libvirtd restarts
    (replies / "no-state").touch()
    (replies / "state").write_text("error: failed to connect to the hypervisor\n")
    assert (monitor.console_size(), monitor.console(), monitor.console_size()) == (15, "boot", 4)
    (replies / "console").write_text("boot, recording")
    for now[0], length in ((101.9, 4), (103.0, 15)):  # the length grows again with what can be shown
        assert monitor.console_size() == length
    assert (monitor.console(), monitor.console_delay_s()) == ("boot, recording", pytest.approx(5.0))
    assert (monitor.console_size(), monitor.console_delay_s()) == (15, 0.0)


def test_a_copy_that_fails_because_the_machine_has_ended_is_an_error(monitor: LibvirtMonitor, replies: Path) -> None:
    (replies / "console").write_text("boot")
    monitor.console()
    (replies / "console").unlink()
    (replies / "state").write_text("shut off (crashed)\n")
    with pytest.raises(MachineError, match="QEMU ended all of a sudden"):
        monitor.console()


def test_why_qemu_ended_is_asked_until_libvirt_has_noticed_that_it_did(
    monitor: LibvirtMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashed = Condition("ended", "the machine's QEMU ended all of a sudden")
    monkeypatch.setattr(monitor._process, "state", lambda: "ended")
    monkeypatch.setattr(libvirt_monitor, "NOTICED_S", 0.0)
    answers = iter([Condition("running", ""), Condition("running", ""), crashed])
    monkeypatch.setattr(libvirt, "condition", lambda domain: next(answers))
    assert monitor.condition() == crashed
    monkeypatch.setattr(libvirt, "condition", lambda domain: Condition("running", ""))
    assert monitor.condition() == libvirt_monitor.ENDED


def test_a_machine_that_was_removed_does_not_run_any_more(monitor: LibvirtMonitor, replies: Path) -> None:
    (replies / "no-state").touch()
    (replies / "state").write_text("error: failed to get domain 'harness-0-guest'\n")
    with pytest.raises(MachineError, match="somebody removed the machine"):
        monitor.console_size()


def test_the_cpu_times_are_those_of_the_threads_that_qemu_names_and_it_names_them_once(
    monitor: LibvirtMonitor, replies: Path
) -> None:
    me = os.getpid()
    (replies / "cpus").write_text(f'{{"return":[{{"cpu-index":0,"thread-id":{me}}}],"id":"libvirt-9"}}\n')
    for _ in range(2):
        measured = monitor.cpu_times()
        assert measured is None or measured.run_ns > 0  # None where the kernel counts nothing
    assert monitor.threads() == monitor.process_ids() == (me,)
    assert calls(replies, "query-cpus-fast") == 1


def test_threads_that_run_several_cpus_count_once() -> None:
    assert vcpu_threads([{"thread-id": 7}, {"thread-id": 7}, {"thread-id": 8}]) == (7, 8)
    assert vcpu_threads(None) == ()


def proc(folder: Path, **threads: str) -> Path:
    for name, text in threads.items():
        (folder / name.removeprefix("t")).mkdir(parents=True)
        (folder / name.removeprefix("t") / "schedstat").write_text(text)
    return folder


def test_the_times_of_threads_are_added_up(tmp_path: Path) -> None:
    assert schedstat.total((7, 8), proc(tmp_path, t7="100 10 3\n", t8="200 20 4\n")) == CpuTimes(300, 30)


@pytest.mark.parametrize("text", ["0 0 0\n", "", "no numbers\n", "1 2\n"], ids=["uncounted", "empty", "text", "two"])
def test_times_that_are_not_counted_are_none(tmp_path: Path, text: str) -> None:
    folder = proc(tmp_path, t7="100 10 3\n", t8=text)
    assert schedstat.total((7, 8), folder) is None
    assert schedstat.total((7, 9), folder) is None
    assert schedstat.total((), folder) is None


def test_of_a_process_the_thread_that_waited_longest_counts(tmp_path: Path) -> None:
    folder = proc(tmp_path, t7="100 10 3\n", t8="200 90 4\n", t9="0 0 0\n")
    for thread in ("7", "8", "9"):
        (folder / "7" / "task" / thread).mkdir(parents=True)
    assert schedstat.longest(7, folder) == CpuTimes(200, 90)
    assert schedstat.longest(8, folder) is None


def test_the_process_of_a_thread_is_its_main_thread(tmp_path: Path) -> None:
    assert schedstat.process_of(os.getpid()) == os.getpid()
    assert schedstat.process_of(7, tmp_path) is None


def test_a_console_that_is_a_file_of_our_own_grows_from_nothing(tmp_path: Path) -> None:
    monitor = VirtualBoxMonitor(tmp_path / "console.log", "harness-0-guest")
    assert isinstance(monitor, Monitor)
    assert (monitor.console_size(), monitor.console()) == (0, "")
    monitor.path.write_bytes(b"login: \xff")
    assert (monitor.console_size(), monitor.console()) == (8, "login: \ufffd")
    assert (monitor.guest_seconds(), monitor.cpu_times()) == (None, None)
    assert monitor.process_ids() == ()


def test_a_qemu_that_a_signal_stopped_is_seen_although_libvirt_says_that_it_runs(replies: Path) -> None:
    with qemu("harness-2badcafe-guest") as process:
        monitor = LibvirtMonitor("harness-2badcafe-guest", replies / "console.log", replies / "copy")
        assert monitor.condition() == RUNNING
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        assert monitor.condition().state == "paused"
        assert "SIGSTOP" in monitor.condition().why
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        (replies / "no-state").touch()
        (replies / "state").write_text("error: failed to connect to the hypervisor\n")
        assert monitor.condition().state == "ended"  # without libvirt, too


@pytest.mark.parametrize(
    ("state", "condition", "why"),
    [
        ("running", "running", ""),
        ("starting", "running", ""),
        ("paused", "paused", "controlvm pause"),
        ("gurumeditation", "paused", "guru meditation"),
        ("poweroff", "ended", "shut down from inside"),
        ("aborted", "ended", "killed, or it crashed"),
        ("saved", "ended", "savestate"),
    ],
)
def test_the_states_of_virtualbox_are_told(state: str, condition: str, why: str) -> None:
    told = virtualbox.condition(True, f'name="harness-0-guest"\nVMState="{state}"\nVMStateChangeTime="2026"\n')
    assert told.state == condition
    assert why in told.why


def test_a_virtualbox_that_does_not_answer_says_nothing_and_one_that_knows_no_such_machine_says_so() -> None:
    assert virtualbox.condition(False, "").state == "unknown"
    gone = "VBoxManage: error: Could not find a registered machine named 'harness-0-guest'"
    assert virtualbox.condition(False, gone).state == "ended"
