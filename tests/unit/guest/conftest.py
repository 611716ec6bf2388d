"""A real SSH server on the loopback interface, with its own keys."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import waiting

from harness.guest.remote import Host


class Sshd:
    """An OpenSSH server on a free port, which accepts this user with a key made for the test."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.sftp = folder, 0, "internal-sftp"
        self.key, self.host_key = folder / "user_key", folder / "host_key"
        self._process: subprocess.Popen[bytes] | None = None
        for key in (self.key, self.host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)

    def start(self) -> None:
        """Start it, on the same port as before if it ran before, and wait until it listens."""
        ports = (
            [self.port] if self.port else [_free_port() for _ in range(5)]
        )  # another process may take one in between
        for port in ports:
            self.port = port
            self._start()
            if waiting.until(lambda: self._listens() or not self._runs()) and self._runs():
                return
        raise RuntimeError(f"the SSH server does not start: {(self.folder / 'sshd.log').read_text()}")

    def _start(self) -> None:
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.key}.pub\nStrictModes no\nPermitRootLogin yes\nSubsystem sftp {self.sftp}\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # required by sshd when it starts as root
        server = shutil.which("sshd") or "/usr/sbin/sshd"
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = subprocess.Popen([server, "-D", "-e", "-f", str(config)], stderr=log)

    def _runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Stop the server; open connections stay open."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=waiting.LIMIT_S)
            self._process = None

    def connected(self) -> bool:
        """Return whether there is a connection to it (proc(5), /proc/net/tcp: 01 is ESTABLISHED)."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return any(row[1].endswith(f":{self.port:04X}") and row[3] == "01" for row in rows)

    def change_host_key(self) -> None:
        """Restart with another host key, like another machine at the same address."""
        self.stop()
        self.host_key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.host_key)], check=True)
        self.start()

    def host(self, **changes: object) -> Host:
        """Return this server as a Host, with some attributes changed."""
        attributes: dict[str, object] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": pwd.getpwuid(os.getuid()).pw_name,
            "key_path": self.key,
            "known_hosts_path": self.folder / "known_hosts",
            "name": "loopback",
            "connect_limit_s": 60.0,
        }
        return Host(**{**attributes, **changes})  # type: ignore[arg-type]


def _free_port() -> int:
    """Return a free port below 32768: the kernel gives the ports above to outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port


@contextlib.contextmanager
def running_sshd(folder: Path) -> Iterator[Sshd]:
    (folder / "sshd").mkdir()
    server = Sshd(folder / "sshd")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """An SSH server that runs during one test."""
    with running_sshd(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def module_sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """An SSH server that runs during the tests of one file."""
    with running_sshd(tmp_path_factory.mktemp("module")) as server:
        yield server


@pytest.fixture
def host(sshd: Sshd) -> Iterator[Host]:
    """This machine, reached over SSH."""
    with sshd.host() as host:
        yield host
