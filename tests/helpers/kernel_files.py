"""Small kernels: an image that has nothing but the header of the boot protocol, and packages made by dpkg-deb."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

RELEASE = "6.1.192-test"


def image(path: Path, release: str = RELEASE, *, bits: int = 64) -> Path:
    """Write the start of a bzImage, laid out as Documentation/arch/x86/boot.rst says."""
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x206, 0x20F)
    struct.pack_into("<H", head, 0x20E, 0x600)
    struct.pack_into("<H", head, 0x236, 1 if bits == 64 else 0)
    text = f"{release} (someone@somewhere) #1 SMP".encode()
    head[0x800 : 0x800 + len(text)] = text
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head)
    return path


def modules(folder: Path, release: str = RELEASE) -> Path:
    """Make what `make modules_install INSTALL_MOD_PATH=FOLDER` makes, the link into the source tree included."""
    inside = folder / "lib" / "modules" / release
    (inside / "kernel").mkdir(parents=True)
    (inside / "kernel" / "ext4.ko").write_bytes(b"\x7fELF")
    (inside / "build").symlink_to("/usr/src/linux")
    return folder


def deb(folder: Path, package: str = f"linux-image-{RELEASE}", architecture: str = "amd64") -> Path:
    """Make a Debian package of this name."""
    control = folder / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True, exist_ok=True)
    control.write_text(
        f"Package: {package}\nVersion: 1\nArchitecture: {architecture}\nMaintainer: x <x@x>\nDescription: x\n"
    )
    path = folder / f"{package}_1_{architecture}.deb"
    subprocess.run(["dpkg-deb", "--build", folder / "tree", path], check=True, capture_output=True)
    return path
