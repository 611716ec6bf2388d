"""Commands and transfers over a real SSH connection to this machine."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
import waiting
from full_disk import fill_disk

from harness.errors import DeadlineError, HostError, Interrupted, RemoteError, TransientError
from harness.guest import remote
from harness.guest.deadline import Deadline
from harness.guest.remote import Host
from harness.interrupt import stop_signals_raise
from harness.machines.guest_clock import SLOWER
from harness.machines.pace import SLOWEST, GuestPace

pytestmark = pytest.mark.slow

LIMIT_S = 120  # for commands that end long before it


def late(host: Host, command: str, pid_file: Path) -> int:
    """Run a command that writes its process id and does not end, until its deadline; return the id."""
    for limit_s in waiting.GROWING_S:
        host.run(
            "true", timeout_s=LIMIT_S
        )  # connect first: it counts towards the limit, and a killed command closes the connection
        with pytest.raises(DeadlineError, match=f"not done within {limit_s} s"):
            host.run(command, timeout_s=limit_s)
        if pid := waiting.number_in(pid_file):
            return pid
    raise TimeoutError("the command never began")


def test_a_command_returns_its_output_and_its_exit_status(host: Host) -> None:
    result = host.run("echo out; echo err >&2; exit 3", timeout_s=LIMIT_S, check=False)
    assert (result.stdout, result.stderr, result.exit_code) == ("out\n", "err\n", 3)


def test_a_failed_command_raises_with_the_machine_and_the_output(host: Host) -> None:
    with pytest.raises(RemoteError, match="no such thing") as caught:
        host.run("echo no such thing >&2; exit 4", timeout_s=LIMIT_S)
    assert "exit status 4" in str(caught.value)
    assert "loopback" in str(caught.value)
    assert not isinstance(caught.value, TransientError)


def test_a_command_past_its_deadline_is_killed_on_the_machine(host: Host, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert waiting.ends(late(host, f"sleep 3000 & echo $! > {pid_file}; wait", pid_file))
    assert host.run("echo still here", timeout_s=LIMIT_S).stdout == "still here\n"


def test_a_command_that_ignores_the_first_signal_is_killed_too(host: Host, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    assert waiting.ends(late(host, f"trap '' TERM; echo $$ > {pid_file}; while :; do sleep 1; done", pid_file))


def test_an_exit_status_of_124_long_before_the_deadline_comes_from_the_command(host: Host) -> None:
    assert host.run("exit 124", timeout_s=LIMIT_S, check=False).exit_code == 124


def test_a_refused_connection_is_transient_and_tried_again_until_the_limit(sshd) -> None:
    sshd.stop()
    started = time.monotonic()
    with pytest.raises(TransientError, match="refused"):
        sshd.host(connect_limit_s=2.0).run("true", timeout_s=LIMIT_S)
    assert time.monotonic() - started > 0.9


def test_a_machine_that_comes_up_late_is_reached(sshd) -> None:
    sshd.stop()
    threading.Timer(1.0, sshd.start).start()
    with sshd.host(connect_limit_s=LIMIT_S) as host:
        assert host.run("echo up", timeout_s=LIMIT_S).stdout == "up\n"


def test_a_server_that_accepts_and_then_sends_nothing_is_given_up(sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = sshd.host(port=mute.getsockname()[1], connect_limit_s=1.5)
        with pytest.raises(TransientError):
            host.run("true", timeout_s=3000)


def test_a_refused_key_is_not_tried_again(sshd, tmp_path: Path) -> None:
    other = tmp_path / "other_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True)
    with pytest.raises(RemoteError, match="refused the key") as caught:
        sshd.host(key_path=other).run("true", timeout_s=LIMIT_S)
    assert not isinstance(caught.value, TransientError)


def test_the_first_host_key_is_stored_and_another_one_is_refused(sshd) -> None:
    host = sshd.host()
    host.run("true", timeout_s=LIMIT_S)
    host.close()
    assert host.known_hosts_path.read_text().startswith(f"[127.0.0.1]:{sshd.port} ssh-ed25519 ")
    sshd.change_host_key()
    with pytest.raises(RemoteError, match="host key is not the one") as caught:
        host.run("true", timeout_s=LIMIT_S)
    assert not isinstance(caught.value, TransientError)


def test_a_key_of_another_type_is_a_change_too(sshd) -> None:
    rsa = sshd.folder / "rsa_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(rsa)], check=True)
    kind, key = (sshd.folder / "rsa_key.pub").read_text().split()[:2]
    host = sshd.host()
    host.known_hosts_path.write_text(f"[127.0.0.1]:{sshd.port} {kind} {key}\n")
    with pytest.raises(RemoteError, match="host key is not the one"):
        host.run("true", timeout_s=LIMIT_S)


def test_the_users_own_ssh_configuration_is_not_read(sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "config").write_text("Host *\n  Port 1\n  User nobody-at-all\n  ProxyCommand false\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    with sshd.host() as host:
        assert host.run("echo reached", timeout_s=LIMIT_S).stdout == "reached\n"


def test_a_file_is_copied_there_and_back_with_the_same_digest(host: Host, tmp_path: Path) -> None:
    source, far, back = tmp_path / "source", tmp_path / "far file", tmp_path / "back"
    source.write_bytes(bytes(range(256)) * 4000)
    seen: list[tuple[int, int]] = []
    expected = hashlib.sha256(source.read_bytes()).hexdigest()
    assert host.put(source, str(far), LIMIT_S, lambda done, total: seen.append((done, total))) == expected
    assert host.get(str(far), back, LIMIT_S) == host.get(str(far), back, LIMIT_S, hashed=True) == expected
    assert back.read_bytes() == source.read_bytes()
    assert seen[-1] == (1_024_000, 1_024_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "far file", "source", "sshd"]


def test_a_file_that_changes_during_a_get_is_refused_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    far, back = tmp_path / "far", tmp_path / "back"
    far.write_bytes(b"x" * 100_000)

    def change_at_the_end(done: int, total: int) -> None:
        if done == total:
            far.write_bytes(b"y" * 100_000)

    with pytest.raises(RemoteError, match="did not arrive as it was sent"):
        host.get(str(far), back, LIMIT_S, change_at_the_end)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far", "sshd"]


def test_a_file_that_changes_during_a_put_is_refused_and_leaves_nothing(host: Host, tmp_path: Path) -> None:
    source, far = tmp_path / "source", tmp_path / "far"
    source.write_bytes(b"x" * 500_000)

    def change_the_rest(done: int, total: int) -> None:
        with source.open("rb+") as stream:
            stream.seek(400_000)
            stream.write(b"y" * 100_000)

    with pytest.raises(RemoteError, match="did not arrive as it was sent"):
        host.put(source, str(far), LIMIT_S, change_the_rest)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "sshd"]


def test_a_transfer_past_its_deadline_ends(host: Host, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.write_bytes(b"x" * 2_000_000)
    host.run("true", timeout_s=LIMIT_S)
    seen: list[int] = []

    def slow(done: int, total: int) -> None:
        seen.append(done)
        time.sleep(0.2)

    with pytest.raises(DeadlineError):
        host.get(str(far), tmp_path / "back", 1.0, slow)
    assert not seen or seen[-1] < 2_000_000
    assert not (tmp_path / "back").exists()


def test_a_missing_remote_file_is_not_a_transient_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match="No such file") as caught:
        host.get(str(tmp_path / "nowhere"), tmp_path / "back", LIMIT_S)
    assert not isinstance(caught.value, TransientError)


def test_a_connection_that_broke_is_opened_again(host: Host) -> None:
    host.run("true", timeout_s=LIMIT_S)
    with pytest.raises(TransientError):
        host.run("kill -9 $(ps -o ppid= -p $PPID)", timeout_s=LIMIT_S)
    assert host.run("echo back", timeout_s=LIMIT_S).stdout == "back\n"


def test_closing_leaves_no_connection_behind(host: Host, sshd) -> None:
    host.run("true", timeout_s=LIMIT_S)
    assert sshd.connected()
    host.close()
    waiting.until(lambda: not sshd.connected())


def test_an_interrupt_during_a_command_is_not_an_error_of_the_machine(host: Host, tmp_path: Path) -> None:
    def stop() -> None:
        waiting.until(began.exists)
        os.kill(os.getpid(), signal.SIGTERM)
        stopped.touch()

    began, stopped = tmp_path / "began", tmp_path / "stopped"
    thread = threading.Thread(target=stop, daemon=True)
    with stop_signals_raise():
        thread.start()
        with pytest.raises(Interrupted):
            host.run(f"touch {began}; until [ -e {stopped} ]; do sleep 0.05; done", timeout_s=LIMIT_S)
    assert host.run("echo still here", timeout_s=LIMIT_S).stdout == "still here\n"


def test_a_full_disk_of_the_host_is_not_reported_as_a_lost_connection(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").write_text("x")
    fill_disk(monkeypatch, tmp_path)
    with pytest.raises(HostError, match="the disk of this host is full"):
        host.get(str(tmp_path / "there"), tmp_path / "here", LIMIT_S)
    assert not (tmp_path / "here").exists()


def test_a_missing_key_file_is_named(sshd, tmp_path: Path) -> None:
    with pytest.raises(RemoteError, match=f"No such file or directory: {tmp_path}/no-such-key"):
        sshd.host(key_path=tmp_path / "no-such-key").run("true", timeout_s=LIMIT_S)


def test_a_limit_stands_still_while_the_machines_clock_does(sshd) -> None:
    with sshd.host(clock=lambda: 5.0) as host:
        assert host.run("sleep 1; echo still here", timeout_s=0.9).stdout == "still here\n"  # 225 s on the machine


def test_a_machine_that_got_hardly_any_cpu_has_not_reached_its_own_limit_when_ours_has_passed(
    sshd,
) -> None:
    limit_s = sshd.host(clock=GuestPace())._guest_limit_s(Deadline(60, lambda: 5.0))
    assert limit_s * SLOWEST / max(SLOWER.values()) >= 60
    assert sshd.host()._guest_limit_s(Deadline(60, lambda: 5.0)) == 60


def test_a_limit_has_passed_when_the_machines_clock_says_so(sshd, tmp_path: Path) -> None:
    began = tmp_path / "began"
    late = pytest.raises(DeadlineError, match="not done within 1000 s")
    with sshd.host(clock=lambda: 1e6 if began.exists() else 0.0) as host, late:
        host.run(f"touch {began}; exec sleep 30", timeout_s=1000)


def test_a_command_that_the_machine_killed_before_our_clock_reached_the_limit_was_late_too(
    sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "LATER_ON_GUEST", 2)  # else it does so after 250 s
    with sshd.host(clock=lambda: 5.0) as host, pytest.raises(DeadlineError, match="not done within 1 s"):
        host.run("exec sleep 300", timeout_s=1)


def test_a_machine_that_refuses_the_connection_is_given_up_by_its_own_clock(sshd) -> None:
    sshd.stop()
    looks = iter(range(10_000))
    with pytest.raises(TransientError, match="refused"):
        sshd.host(clock=lambda: float(next(looks)), connect_limit_s=20.0).run("true", timeout_s=LIMIT_S)
