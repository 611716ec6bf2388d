"""A real QEMU without a guest's system, named as a machine of harness; it starts in milliseconds."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QEMU = "qemu-system-x86_64"
SPINS = b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa"  # a boot sector with one instruction: jump to itself


@contextmanager
def qemu(name: str, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a machine that has nothing, or what `more` gives it; yield the process once it has opened its monitor."""
    hardware = more or ("-machine", "none")
    command = [QEMU, "-name", f"guest={name},debug-threads=on", "-display", "none", "-nodefaults", "-qmp", "stdio"]
    process = subprocess.Popen([*command, *hardware], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert b"QMP" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def busy(folder: Path) -> tuple[str, ...]:
    """Return the arguments of a machine whose emulated CPU never idles."""
    sector = folder / "spins.img"
    sector.write_bytes(SPINS.ljust(1440 * 1024, b"\0"))
    drive = f"file={sector},format=raw,if=floppy,readonly=on"  # two machines may have it
    return ("-machine", "pc", "-accel", "tcg", "-m", "16", "-boot", "a", "-drive", drive)
