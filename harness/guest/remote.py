"""A machine over SSH: run a command, put a file, get a file, each within a deadline.

All use one `fabric.Connection`, which is opened when needed and closed when it fails. The user's own SSH
configuration, agent and keys are not used, only the key and the known hosts in the machine's folder.

Every deadline is read from the machine's own clock, `Host.clock`, which may stand still while the host keeps the
machine waiting. The libraries count in seconds of this host, so their limits are set so far away that ours come first.

The machine is not trusted: it may answer with anything, slowly, or without end. So every wait ends with the deadline,
which hangs up, and what it may send is bounded (`BoundedSocket`).
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko
from invoke.exceptions import ThreadException
from tenacity import Retrying, retry_if_exception_type, wait_exponential

from harness.errors import DeadlineError, HarnessError, HostError, RemoteError, TransientError
from harness.files import atomic_path, sha256
from harness.guest import remote_file
from harness.guest.bounded_socket import BoundedSocket
from harness.guest.deadline import Clock, Deadline, Watchdog
from harness.guest.vigil import Vigil

if TYPE_CHECKING:
    import fabric

CONNECT_LIMIT_S = 30.0
GRACE_S = 3.0  # for a killed command's exit status to come back
SLOWEST_PACE = 250  # seconds of this host for one second of the slowest `Host.clock`
LATER_ON_GUEST = SLOWEST_PACE  # so much later a command's limit is on the machine: `Host.clock` reaches it first
KILLED = (124, 137, -1)  # exit status when `timeout` ended the command: by TERM, by KILL; -1: `timeout` was killed too
WRONG_DIGEST = 97
GREETING_BYTES = 1 << 18  # of the machine, until it has let us in
OUTPUT_BYTES = 8 << 20  # of a command, both streams together
AHEAD_BYTES = 8 << 20  # of a file, beyond what was read; SSH itself allows 2 MB
MOST_BYTES = 16 << 30  # of a file for which the caller names no limit
CONNECTION_ERRORS = (OSError, EOFError, paramiko.SSHException, ThreadException)

Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class Result:
    """The result of a command; `seconds` is its wall time, the time to connect included."""

    command: str
    exit_code: int
    stdout: str
    stderr: str
    seconds: float


class PinHostKey(paramiko.MissingHostKeyPolicy):
    """Accepts and stores a machine's first host key; refuses any other afterwards."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Store an unknown key; paramiko calls this. Raises RemoteError when the machine has a known key."""
        if client.get_host_keys().lookup(hostname) is not None:
            raise _changed_key(hostname, self.path)
        line = f"{hostname} {key.get_name()} {key.get_base64()}\n"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as known_hosts:
            known_hosts.write(line)


@dataclass
class Host:
    """A machine reached over SSH. The constructor opens nothing; `close` may be called at any time.

    Every method takes `timeout_s`, the limit for connecting and working together, in seconds of `clock`; its time never
    passes faster than that of this host, nor more than `SLOWEST_PACE` times slower. It raises `TransientError` when the
    connection failed, `DeadlineError` after the limit, and `RemoteError` for a failure that would repeat. With a
    `vigil`, it raises `LostMachineError` soon after the machine ended or was paused for good.
    """

    address: str
    port: int
    user: str
    key_path: Path
    known_hosts_path: Path
    name: str
    connect_limit_s: float = CONNECT_LIMIT_S
    clock: Clock = field(default=time.monotonic, repr=False, compare=False)
    vigil: Vigil | None = field(default=None, repr=False, compare=False)
    _connection: fabric.Connection | None = field(default=None, init=False, repr=False, compare=False)
    _socket: BoundedSocket | None = field(default=None, init=False, repr=False, compare=False)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def where(self) -> str:
        """The machine's name and address, for error messages."""
        return f"{self.name} ({self.user}@{self.address}:{self.port})"

    def run(self, command: str, *, timeout_s: float, check: bool = True, sudo: bool = False) -> Result:
        """Run a shell command; after `timeout_s` it is killed on the machine, with its children (see `_guest_limit_s`).

        With `check`, a non-zero exit raises RemoteError with the end of the output. With `sudo`, it runs as root.
        More than `OUTPUT_BYTES` of output is a RemoteError.
        """
        started, deadline = time.monotonic(), Deadline(timeout_s, self.clock)
        connection = self._open(deadline)
        limit_s, began = self._guest_limit_s(deadline), time.monotonic()
        guarded = self._guard(command, limit_s, sudo)
        with self._mapped_errors(f"run: {_short(command)}", deadline, GRACE_S):
            done = connection.run(guarded, hide=True, warn=True, in_stream=False, encoding="utf-8", shell=False)
            late = deadline.left() < 0.5 or time.monotonic() - began > limit_s - 0.5
            if done.exited in KILLED and late:
                raise self._deadline_error(f"run: {_short(command)}", timeout_s)
            if done.exited < 0:
                raise EOFError("the connection ended before the command did")
        result = Result(command, done.exited, done.stdout, done.stderr, time.monotonic() - started)
        if check and result.exit_code != 0:
            raise self._failed(result)
        return result

    def put(self, local: Path, remote: str, timeout_s: float, progress: Progress | None = None) -> str:
        """Copy a file to the machine and return its SHA-256; `remote` appears only when complete and verified.

        `progress(done_bytes, total_bytes)` is called during the copy.
        """
        deadline, digest, part = Deadline(timeout_s, self.clock), sha256(local), f"{remote}.part"
        connection = self._open(deadline)
        with self._mapped_errors(f"put {local} as {remote}", deadline):
            connection.sftp().put(str(local), part, callback=self._checked_progress(progress, deadline))
        quoted, target = shlex.quote(part), shlex.quote(remote)
        checked = self.run(
            f'sum=$(sha256sum < {quoted}) && [ "${{sum%% *}}" = {digest} ] && mv -f {quoted} {target}'
            f' || {{ rm -f {quoted}; echo "$sum"; exit {WRONG_DIGEST}; }}',
            timeout_s=deadline.left(),
            check=False,
        )
        if checked.exit_code != 0:
            raise self._wrong_digest(str(local), digest, checked.stdout or checked.stderr)
        return digest

    def get(
        self,
        remote: str,
        local: Path,
        timeout_s: float,
        progress: Progress | None = None,
        *,
        hashed: bool = False,
        most_bytes: int = MOST_BYTES,
    ) -> str:
        """Copy a file from the machine and return its SHA-256; `local` appears only when complete and verified.

        `hashed`: the caller has the machine's hash of it and compares; the machine does not hash it again. A file that
        is no regular one, has more than `most_bytes` or grows meanwhile is a RemoteError; one that does not fit on the
        disk, a HostError.
        """
        deadline = Deadline(timeout_s, self.clock)
        connection = self._open(deadline)
        with atomic_path(local) as part:
            with self._mapped_errors(f"get {remote}", deadline):
                size = remote_file.size_of(connection.sftp(), remote, most_bytes)
                remote_file.require_room(size, remote, local.parent)
                self._copy(connection, remote, part, size, self._checked_progress(progress, deadline))
            ours = theirs = sha256(part)
            if not hashed:
                theirs = self.run(f"sha256sum < {shlex.quote(remote)}", timeout_s=deadline.left()).stdout
            if ours != theirs.partition(" ")[0]:
                raise self._wrong_digest(remote, theirs, ours)
        return ours

    def _copy(self, connection: fabric.Connection, remote: str, part: Path, size: int, progress: Progress) -> None:
        channel, done = connection.transport.open_session(), 0
        channel.exec_command(f"exec cat -- {shlex.quote(remote)}")
        with part.open("wb") as sink:
            for block in remote_file.blocks(channel, remote, size):
                self._allow(AHEAD_BYTES)
                done += sink.write(block)
                progress(done, size)

    def _allow(self, size: int) -> None:
        """Let the machine send `size` bytes from now on."""
        if self._socket is not None:
            self._socket.allow(size)

    def close(self) -> None:
        """Close the connection, which ends its sshd process on the machine; the next call opens a new one."""
        self._hang_up()  # first: paramiko would wait until a machine that reads nothing has read its farewell
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.client.close()

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.hang_up()

    def _open(self, deadline: Deadline) -> fabric.Connection:
        if self._connection is not None and self._connection.is_connected:
            return self._connection
        until = Deadline(min(self.connect_limit_s, deadline.left()), self.clock)
        attempts = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=wait_exponential(multiplier=0.25, max=4),
            stop=lambda attempt: until.left() <= 1.0,
            reraise=True,
        )
        try:
            self._connection = attempts(self._connect, until)
        except TransientError:
            self._require_machine(at_once=True)
            raise
        return self._connection

    def _connect(self, deadline: Deadline) -> fabric.Connection:
        logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # it logs tracebacks of errors that are handled here
        with self._mapped_errors("connect", deadline, transient=True):
            tcp = self._dial(deadline)
        self._socket = BoundedSocket(tcp)
        connection = self._configure(self._socket)
        try:
            with self._mapped_errors("connect", deadline, transient=True, most_bytes=GREETING_BYTES):
                connection.open()
        except BaseException:
            connection.close()
            self._socket.close()
            raise
        return connection

    def _dial(self, deadline: Deadline) -> socket.socket:
        """Open the TCP connection; a machine that is lost ends the wait. Raises OSError."""
        failure: OSError = OSError(errno.EADDRNOTAVAIL, "it has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(self.address, self.port, type=socket.SOCK_STREAM):
            tcp = socket.socket(family, kind, protocol)
            try:
                tcp.settimeout(max(0.1, deadline.left()))
                with Watchdog(deadline, partial(_hang_up, tcp), lost=self._lost):
                    tcp.connect(address)
                return tcp
            except OSError as error:
                tcp.close()
                failure = error
        raise failure

    def _lost(self) -> bool:
        return self.vigil is not None and self.vigil.lost()

    def _require_machine(self, at_once: bool) -> None:
        """Raise LostMachineError, with the reason, if the machine that just failed is not there any more."""
        if self.vigil is not None:
            self.vigil.require(at_once)

    def _configure(self, tcp: socket.socket) -> fabric.Connection:
        import fabric  # here, because a command that only lists machines connects to none
        from fabric.config import Config

        patience_s = self.connect_limit_s * SLOWEST_PACE
        connection = fabric.Connection(
            self.address,
            user=self.user,
            port=self.port,
            config=Config({"runners": {"remote": _runner()}}, lazy=True, ssh_config=paramiko.SSHConfig()),
            connect_kwargs={
                "sock": tcp,
                "key_filename": str(self.key_path),
                "look_for_keys": False,
                "allow_agent": False,
                "banner_timeout": patience_s,
                "auth_timeout": patience_s,
                "channel_timeout": patience_s,
                "transport_factory": partial(_transport, handshake_s=patience_s),
            },
        )
        if self.known_hosts_path.exists():
            connection.client.load_host_keys(str(self.known_hosts_path))
        connection.client.set_missing_host_key_policy(PinHostKey(self.known_hosts_path))
        return connection

    @contextmanager
    def _mapped_errors(
        self,
        doing: str,
        deadline: Deadline,
        grace_s: float = 0.0,
        transient: bool = False,
        most_bytes: int = OUTPUT_BYTES,
    ) -> Iterator[None]:
        """Turn the exceptions of paramiko and sockets into this project's errors; hang up when the deadline passes.

        `doing` is the action for the message; with `transient`, raise TransientError, not DeadlineError, after it. The
        machine may send `most_bytes`.
        """
        self._allow(most_bytes)
        watchdog = Watchdog(deadline, self._hang_up, grace_s, self._lost)
        try:
            with watchdog:
                yield
        except HarnessError as error:
            self.close()
            self._require_machine(at_once=not transient)
            error.where = error.where or self.where
            raise
        except Exception as error:
            self.close()
            self._require_machine(at_once=not transient)
            if self._socket is not None and self._socket.exceeded:
                raise self._flood_error(doing) from error
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise HostError(f"{doing}: the disk of this host is full", hint="free some space") from error
            if watchdog.fired and not transient:
                raise self._deadline_error(doing, deadline.seconds) from error
            raise self._translate(doing, error) from error

    def _checked_progress(self, progress: Progress | None, deadline: Deadline) -> Progress:
        def tick(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)
            if deadline.left() == 0.0:
                raise self._deadline_error(f"transfer, {done} of {total} bytes done", deadline.seconds)

        return tick

    def _translate(self, doing: str, error: Exception) -> RemoteError:
        if isinstance(error, paramiko.BadHostKeyException):
            return _changed_key(self.where, self.known_hosts_path)
        if isinstance(error, paramiko.AuthenticationException) and not _is_lost_connection(error):
            return RemoteError(
                f"{doing}: the machine refused the key", where=self.where, expected=f"{self.key_path} to be accepted"
            )
        if isinstance(error, (FileNotFoundError, PermissionError, IsADirectoryError)):
            which = f": {error.filename}" if error.filename else ""
            return RemoteError(f"{doing}: {error.strerror or error}{which}", where=self.where)
        if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
            return RemoteError(f"{doing}: {error.strerror}", where=self.where, expected="an address or a known name")
        if isinstance(error, CONNECTION_ERRORS):
            return TransientError(
                f"{doing}: {_reason(error)}", where=self.where, hint="see whether the machine is still up"
            )
        return RemoteError(f"{doing}: {_reason(error)}", where=self.where)

    def _guest_limit_s(self, deadline: Deadline) -> float:
        """Return after how many of its own seconds the machine kills the command.

        With a clock of its own, the limit is watched from here, and the machine only sweeps up what is left: where the
        machine's clock is the host's, it goes on while the host keeps the machine waiting, up to SLOWEST_PACE times
        as fast as the limit's.
        """
        return max(0.1, deadline.left()) * (1 if self.clock is time.monotonic else LATER_ON_GUEST)

    def _guard(self, command: str, limit_s: float, sudo: bool) -> str:
        root = "sudo -n -- " if sudo and self.user != "root" else ""
        return f"{root}timeout --kill-after=2 {limit_s:.1f} sh -c {shlex.quote(command)}"

    def _flood_error(self, doing: str) -> RemoteError:
        allowed = self._socket.allowed_bytes if self._socket else 0
        return RemoteError(f"{doing}: the machine sent too much", where=self.where, expected=f"at most {allowed} bytes")

    def _deadline_error(self, doing: str, seconds: float) -> DeadlineError:
        return DeadlineError(f"{doing}: not done within {seconds:g} s", where=self.where)

    def _failed(self, result: Result) -> RemoteError:
        output = (result.stderr.strip() or result.stdout.strip() or "it printed nothing")[-2000:]
        return RemoteError(f"exit status {result.exit_code}: {_short(result.command)}\n{output}", where=self.where)

    def _wrong_digest(self, path: str, expected: str, digest: str) -> RemoteError:
        return RemoteError(
            f"{path} did not arrive as it was sent: SHA-256 {digest.split()[0] if digest.split() else 'unknown'}",
            where=self.where,
            expected=expected,
        )


def _transport(*args: Any, handshake_s: float, **more: Any) -> paramiko.Transport:
    """Return paramiko's transport, which by itself gives up a key exchange after 15 s of this host."""
    transport = paramiko.Transport(*args, **more)
    transport.handshake_timeout = handshake_s
    return transport


def _runner() -> Any:
    """Return fabric's runner, which joins all that was printed after each block: fewer and larger ones here."""
    from fabric.runners import Remote

    class BlockRunner(Remote):
        read_chunk_size = 1 << 16

    return BlockRunner


def _hang_up(tcp: socket.socket) -> None:
    with suppress(OSError):  # it is closed already
        tcp.shutdown(socket.SHUT_RDWR)


def _changed_key(where: str, known_hosts: Path) -> RemoteError:
    return RemoteError(
        "the host key is not the one that this machine had before",
        where=where,
        expected=f"the key in {known_hosts}",
        hint="find out whether another machine answers at this address; nothing was sent to it",
    )


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _is_lost_connection(error: Exception) -> bool:
    """Return whether paramiko reports an ended or stalled connection as a failed authentication."""
    return any(text in str(error) for text in ("EOF", "timeout", "No existing session"))


def _short(command: str, limit: int = 120) -> str:
    line = " ".join(command.split())
    return line if len(line) <= limit else f"{line[:limit]}..."
