"""A real SSH server on the loopback interface, with keys of its own."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.remote import Host


class Sshd:
    """An OpenSSH server that lets its own user in with its own key, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, _free_port()
        self.key, self.host_key = folder / "user_key", folder / "host_key"
        self._process: subprocess.Popen[bytes] | None = None
        for key in (self.key, self.host_key):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)

    def start(self) -> None:
        """Start it and wait until it listens."""
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.host_key}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {self.key}.pub\nStrictModes no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # the server's own requirement when it starts as root
        server = shutil.which("sshd") or "/usr/sbin/sshd"
        log = (self.folder / "sshd.log").open("ab")
        self._process = subprocess.Popen([server, "-D", "-e", "-f", str(config)], stderr=log)
        _wait_for_port(self.port)

    def stop(self) -> None:
        """End the server; connections that are open live on."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def change_host_key(self) -> None:
        """Come back with another key, as another machine at the same address would."""
        self.stop()
        self.host_key.unlink()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.host_key)], check=True)
        self.start()

    def host(self, **changes: object) -> Host:
        """This server as the harness sees it."""
        facts: dict[str, object] = {
            "address": "127.0.0.1",
            "port": self.port,
            "user": getpass.getuser(),
            "key_path": self.key,
            "known_hosts_path": self.folder / "known_hosts",
            "name": "loopback",
            "connect_limit_s": 5.0,
        }
        return Host(**{**facts, **changes})  # type: ignore[arg-type]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(f"no SSH server on port {port}")


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    """A server that runs for the length of one test."""
    folder = tmp_path / "sshd"
    folder.mkdir()
    server = Sshd(folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def host(sshd: Sshd) -> Iterator[Host]:
    """A machine to work on: this one, over SSH."""
    with sshd.host() as host:
        yield host
