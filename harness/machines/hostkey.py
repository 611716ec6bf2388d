"""The SSH host key of a guest, known before the first connection.

A box built here makes its host key on its first boot and prints the public half on the serial console, which only this
guest can write to: no trust on first use. A ready-made box prints no key; `remote.Host` pins its key on the first
connection and refuses any other key afterwards.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from harness.errors import MachineError
from harness.guest.monitor import Monitor, bounded_console
from harness.guest.vigil import Vigil
from harness.machines import boot_console

KEY_LINE = re.compile(rb"harness-host-key ssh-ed25519 ([A-Za-z0-9+/]{68})(?![A-Za-z0-9+/=])")
HEADER = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20"  # RFC 8709, section 4: name, then a key of 32 bytes
KEY_BYTES = len(HEADER) + 32
READY = re.compile(rb"harness-ready|login:")  # a kernel message may interrupt one of them
LOOK_S = 0.5
QUIET_S = 120.0  # of the guest's pace; the slowest guest prints its first line within 20


def from_console(text: bytes) -> str | None:
    """Return the host key (base64) in a console's output; skip lines that a kernel message interrupted."""
    for match in KEY_LINE.finditer(text):
        try:
            blob = base64.b64decode(match.group(1), validate=True)
        except binascii.Error:
            continue
        if len(blob) == KEY_BYTES and blob.startswith(HEADER):
            return match.group(1).decode()
    return None


def wait_for(
    monitor: Monitor,
    timeout_s: float,
    clock: Callable[[], float] = time.monotonic,
    vigil: Vigil | None = None,
    quiet_s: float = QUIET_S,
) -> str:
    """Wait until a booted guest has printed its host key and that SSH is up; return the key.

    The limit is read from `clock`, such as the pace of the guest. Nothing connects to the guest meanwhile. Raises
    MachineError after `timeout_s`, at once when the guest stopped where it waits for nobody (a panic, a shell of its
    initramfs, emergency mode), after `quiet_s` when it printed nothing, and when the console is flooded;
    LostMachineError when `vigil` sees that the machine ended or stands still.
    """
    began = clock()
    length, text, key = -1, b"", None
    while True:
        if (now := monitor.console_size()) != length:
            length, text = now, bounded_console(monitor, now).encode()
            key = from_console(text)
        if key and READY.search(text):
            return key
        if dead_end := boot_console.dead_end(text.decode(errors="replace")):
            raise MachineError(dead_end.what, hint=dead_end.hint)
        if vigil:
            vigil.require()
        passed_s = clock() - began
        if not text.strip() and passed_s >= quiet_s:
            what = f"the guest printed nothing on its serial console within {passed_s:.0f} s of its own pace"
            raise MachineError(what, hint=boot_console.SILENT_HINT)
        if passed_s >= timeout_s:
            missing = "that SSH is up" if key else "its SSH host key"
            when = f"within {timeout_s:g} s of its own pace"
            raise MachineError(f"the guest did not print {missing} on the serial console {when}")
        time.sleep(LOOK_S)


def pin(known_hosts: Path, address: str, port: int, key: str) -> None:
    """Replace `known_hosts` by the one key that this guest may have."""
    name = address if port == 22 else f"[{address}]:{port}"
    handle = os.open(known_hosts, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as sink:
        sink.write(f"{name} ssh-ed25519 {key}\n")
