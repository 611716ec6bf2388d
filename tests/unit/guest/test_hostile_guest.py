"""A hostile or broken machine at the other end of SSH: bounded in time and memory, and refused with a reason."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import waiting

from harness.errors import DeadlineError, HarnessError, HostError, RemoteError, TransientError
from harness.guest import remote, remote_file
from harness.guest.bounded_socket import BoundedSocket
from harness.guest.remote import Host

pytestmark = pytest.mark.slow

LIMIT_S = 120  # for what ends long before it
VERSION = b"SSH-2.0-OpenSSH_9.2\r\n"


@contextlib.contextmanager
def server(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """A server that does `serve` with every connection, until it is closed; its port."""

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=guarded, args=(listener.accept()[0],), daemon=True).start()

    def guarded(connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            serve(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def endless(data: bytes) -> Callable[[socket.socket], object]:
    def serve(connection: socket.socket) -> None:
        while True:
            connection.sendall(data)

    return serve


def hang(connection: socket.socket) -> None:
    connection.sendall(VERSION)
    while connection.recv(1 << 16):
        pass


def slowly(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"S")
        threading.Event().wait(0.1)


def packet_of_gigabytes(connection: socket.socket) -> None:
    connection.sendall(VERSION + b"\xff\xff\xff\xf8")
    endless(bytes(1 << 16))(connection)


@pytest.mark.parametrize(
    "serve", [endless(b"A" * 65536), endless(b"hello\r\n" * 5000), slowly, hang, packet_of_gigabytes]
)
def test_a_greeting_without_end_is_given_up_within_the_limit(
    serve: Callable[[socket.socket], object], module_sshd
) -> None:
    with server(serve) as port, pytest.raises(RemoteError):
        module_sshd.host(port=port, connect_limit_s=1.5).run("true", timeout_s=3000)


def test_a_line_of_gigabytes_is_refused_for_its_length(module_sshd) -> None:
    with server(endless(b"A" * 65536)) as port, pytest.raises(RemoteError, match="the machine sent too much") as caught:
        module_sshd.host(port=port, connect_limit_s=60).run("true", timeout_s=3000)
    assert not isinstance(caught.value, TransientError)


@pytest.fixture
def near(module_sshd) -> Iterator[Host]:
    with module_sshd.host() as host:
        yield host


@pytest.mark.parametrize("command", ["yes", "yes >&2", "yes & yes >&2"])
def test_a_flood_of_output_is_refused(near: Host, command: str) -> None:
    with pytest.raises(RemoteError, match="the machine sent too much") as caught:
        near.run(command, timeout_s=LIMIT_S)
    assert f"at most {remote.OUTPUT_BYTES} bytes" in str(caught.value)
    assert near.run("echo still here", timeout_s=LIMIT_S).stdout == "still here\n"


def test_much_output_arrives_whole(near: Host) -> None:
    assert near.run("head -c 4000000 /dev/zero | tr '\\0' x", timeout_s=LIMIT_S).stdout == "x" * 4_000_000


def test_output_that_trickles_ends_with_the_limit(near: Host) -> None:
    near.run("true", timeout_s=LIMIT_S)
    with pytest.raises(DeadlineError, match="not done within 1 s"):
        near.run("trap '' TERM; while :; do echo x; sleep 0.1; done", timeout_s=1)


def test_a_server_that_is_stopped_in_the_middle_ends_with_the_limit(near: Host, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    near.run(f"ps -o ppid= -p $PPID >{pid_file}", timeout_s=LIMIT_S)
    server_pid = int(pid_file.read_text())
    os.kill(server_pid, signal.SIGSTOP)
    try:
        with pytest.raises(DeadlineError):
            near.run("true", timeout_s=1)
        near.close()
    finally:
        os.kill(server_pid, signal.SIGKILL)


def test_a_sparse_file_of_terabytes_is_refused_by_its_size(near: Host, tmp_path: Path) -> None:
    far = tmp_path / "far"
    far.touch()
    os.truncate(far, 4 << 40)
    with pytest.raises(RemoteError, match=f"far has {4 << 40} bytes") as caught:
        near.get(str(far), tmp_path / "here", LIMIT_S, most_bytes=1000)
    assert "expected: at most 1000" in str(caught.value)
    with pytest.raises(HostError, match="has no room for"):
        near.get(str(far), tmp_path / "here", LIMIT_S, most_bytes=8 << 40)
    assert [path.name for path in tmp_path.iterdir()] == ["far"]


def test_what_is_no_regular_file_is_refused(near: Host, tmp_path: Path) -> None:
    link, pipe = tmp_path / "link", tmp_path / "pipe"
    link.symlink_to("/dev/zero")
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(RemoteError, match="is not a regular file") as caught:
            near.get(str(path), tmp_path / "here", LIMIT_S)
        assert "loopback" in str(caught.value)


def test_a_file_that_grows_is_refused(near: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / "far"
    far.write_bytes(bytes(1000))
    monkeypatch.setattr(remote_file, "require_room", lambda *_: far.write_bytes(bytes(2000)))  # its size is known
    with pytest.raises(RemoteError, match="far grew while it was copied"):
        near.get(str(far), tmp_path / "here", LIMIT_S)
    assert not (tmp_path / "here").exists()


def test_a_file_that_shrinks_is_refused(near: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = tmp_path / "far"
    far.write_bytes(bytes(1000))
    monkeypatch.setattr(remote_file, "require_room", lambda *_: far.write_bytes(bytes(10)))
    with pytest.raises(RemoteError, match="far ended after 10 bytes"):
        near.get(str(far), tmp_path / "here", LIMIT_S)


def test_a_large_file_arrives_whole_and_with_its_progress(near: Host, tmp_path: Path) -> None:
    far, seen = tmp_path / "far", list[tuple[int, int]]()
    far.write_bytes(bytes(range(256)) * 80_000)
    near.get(str(far), tmp_path / "here", LIMIT_S, lambda done, total: seen.append((done, total)), hashed=True)
    assert (tmp_path / "here").read_bytes() == far.read_bytes()
    assert seen[-1] == (20_480_000, 20_480_000)


@pytest.mark.parametrize(
    "sftp", ["/bin/sleep 1000", "/usr/bin/yes", "/bin/cat", "/bin/false", "/usr/bin/head -c9 /dev/zero"]
)
def test_a_broken_sftp_server_is_given_up(sshd, sftp: str, tmp_path: Path) -> None:
    sshd.sftp = sftp
    sshd.stop()
    sshd.start()
    (tmp_path / "far").write_text("x")
    with sshd.host() as host:
        host.run("true", timeout_s=LIMIT_S)
        with pytest.raises(HarnessError):
            host.get(str(tmp_path / "far"), tmp_path / "here", 2)
        with pytest.raises(HarnessError):
            host.put(tmp_path / "far", str(tmp_path / "there"), 2)


def test_a_socket_ends_when_more_is_sent_than_allowed() -> None:
    ours, theirs = socket.socketpair()
    with theirs, BoundedSocket(ours) as bounded:
        bounded.allow(10)
        theirs.sendall(bytes(10))
        assert len(bounded.recv(1 << 32)) == 10
        theirs.sendall(b"x")
        with pytest.raises(OSError, match="more than 10 bytes"):
            bounded.recv(100)
        assert bounded.exceeded


def test_a_connection_that_ended_can_be_closed_again(near: Host) -> None:
    near.run("true", timeout_s=LIMIT_S)
    near.close()
    near.close()
    assert waiting.until(lambda: near.run("echo up", timeout_s=LIMIT_S).stdout == "up\n")
