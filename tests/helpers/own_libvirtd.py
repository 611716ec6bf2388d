"""A libvirtd of the test's own, for one user's session, with one real machine that has no system; it can be killed."""

from __future__ import annotations

import math
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import waiting

NOBODY = 65534
DOMAIN = "harness-3badcafe-guest"
XML = f"""<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
<name>{DOMAIN}</name><memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os>
<qemu:commandline><qemu:arg value='-no-reboot'/></qemu:commandline></domain>"""  # as vagrant/Vagrantfile has it


class OwnLibvirtd:
    """A session's libvirtd, which root starts as nobody: as root it would be the system's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.uri = f"qemu+unix:///session?socket={folder}/run/libvirt/libvirt-sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.getuid() == 0 else []
        places = {"HOME": "", "XDG_RUNTIME_DIR": "run", "XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache"}
        env = {**os.environ, **{name: str(self.folder / place) for name, place in places.items()}}
        with (self.folder / "log").open("ab") as log:
            command = ["setpriv", *user, "--", shutil.which("libvirtd") or "/usr/sbin/libvirtd", "--timeout", "300"]
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        if not waiting.until(lambda: self.virsh("uri") == 0):
            raise RuntimeError((self.folder / "log").read_text())

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def breaking_uri(self, requests: int) -> str:
        """Return the address of a way to this libvirtd whose first connection breaks after so many requests."""
        path = self.folder / f"breaks-after-{requests}"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(path))
        listener.listen()
        threading.Thread(target=self._forward, args=(listener, requests), daemon=True).start()
        return f"qemu+unix:///session?socket={path}"

    def _forward(self, listener: socket.socket, requests: float) -> None:
        with listener:
            while True:
                with listener.accept()[0] as client, socket.socket(socket.AF_UNIX) as server:
                    server.connect(f"{self.folder}/run/libvirt/libvirt-sock")
                    self._forward_one(client, server, requests)
                requests = math.inf

    def _forward_one(self, client: socket.socket, server: socket.socket, requests: float) -> None:
        while True:
            for source in select.select([client, server], [], [])[0]:
                received = source.recv(1 << 16)
                requests -= source is client
                if not received or requests < 0:
                    return
                (server if source is client else client).sendall(received)

    def virsh(self, *arguments: str) -> int:
        return subprocess.run(["virsh", "-q", "-c", self.uri, *arguments], capture_output=True, timeout=60).returncode


@contextmanager
def own_libvirtd(*, with_machine: bool = True) -> Iterator[OwnLibvirtd]:
    """Start one with the machine DOMAIN, or none; end both, and the log daemon that libvirtd started."""
    folder = Path(tempfile.mkdtemp(prefix="libvirtd-"))  # pytest's folders are closed to nobody
    for name in ("run", "config", "cache"):
        (folder / name).mkdir()
    (folder / "machine.xml").write_text(XML)
    if os.getuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
    daemon = OwnLibvirtd(folder)
    try:
        daemon.start()
        if with_machine:
            assert daemon.virsh("define", str(folder / "machine.xml")) == daemon.virsh("start", DOMAIN) == 0
        yield daemon
    finally:
        daemon.virsh("destroy", DOMAIN)
        daemon.kill()
        with suppress(OSError, ValueError):
            os.kill(int((folder / "run/libvirt/virtlogd.pid").read_text()), signal.SIGTERM)
        shutil.rmtree(folder, ignore_errors=True)
