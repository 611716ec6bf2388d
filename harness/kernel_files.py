"""Kernels in files: the release in the header of an image, or that a Debian package is named after, and modules."""

from __future__ import annotations

import re
import shutil
import struct
from pathlib import Path

from harness import processes
from harness.files import open_regular

RELEASE = r"[0-9]+\.[0-9]+[A-Za-z0-9.+~_-]*"
FIELDS = ("Package", "Architecture")
LIMIT_S = 120.0
_SETUP = 0x202  # where the header of the boot protocol begins (Documentation/arch/x86/boot.rst)
_SETUP_END = 0x238  # of the fields that are read
_HEADER_BYTES = 0x10000  # the text of the release lies within
_ELF, _X86_64 = b"\x7fELF", 1


class NotAKernelError(Exception):
    """A file is not what `machine.kernel` needs there: `key` is that of the file."""

    def __init__(self, key: str, what: str, expected: str) -> None:
        super().__init__(what)
        self.key, self.expected = key, expected


def image_release(path: Path) -> str:
    """Return the release that a bzImage has in its header. Raises NotAKernelError."""
    with open_regular(path) as source:
        head = source.read(_HEADER_BYTES)
    if head[_SETUP : _SETUP + 4] != b"HdrS" or len(head) < _SETUP_END:
        what = "an uncompressed kernel, as vmlinux is" if head.startswith(_ELF) else "no x86 kernel"
        raise _no_image(f"{path} is {what}")
    version, pointer, flags = *struct.unpack_from("<H6xH", head, 0x206), struct.unpack_from("<H", head, 0x236)[0]
    if version >= 0x20C and not flags & _X86_64:
        raise _no_image(f"{path} is a kernel for 32-bit CPUs")
    text = head[pointer + 0x200 :].split(b"\0", 1)[0].decode("ascii", "replace")
    if not (match := re.match(rf"{RELEASE}(?= |$)", text)):
        raise _no_image(f"{path} has no release in its header")
    return match[0]


def require_modules(folder: Path, release: str) -> None:
    """Raise NotAKernelError unless the folder holds lib/modules/RELEASE, and is there for modules alone."""
    modules = folder / "lib" / "modules"
    if (modules / release).is_dir():
        return _require_inside(folder.resolve(), (modules / release).resolve())
    there = sorted(path.name for path in modules.iterdir()) if modules.is_dir() else []
    what = f"{folder} has no lib/modules" if not there else f"{modules} has the modules of {', '.join(there[:5])}"
    expected = (
        f"lib/modules/{release} in it, since the image is {release}: make modules_install INSTALL_MOD_PATH={folder}"
    )
    raise NotAKernelError("modules", what, expected)


def _require_inside(folder: Path, modules: Path) -> None:
    """Raise NotAKernelError for the folder of a whole host, and for a link out of it: no hash has what lies there."""
    if folder == Path("/") or not modules.is_relative_to(folder):
        what = f"{folder} is the whole file system" if folder == Path("/") else f"{folder} has but a link to {modules}"
        raise NotAKernelError("modules", what, "a folder of its own that holds lib/modules/RELEASE, such as a copy")


def deb_release(path: Path) -> str:
    """Return the release of the kernel that a Debian package is named after. Raises NotAKernelError."""
    open_regular(path).close()
    if not shutil.which("dpkg-deb"):
        raise _no_deb(f"the program dpkg-deb, which reads {path.name}, is not installed")
    result = processes.run(["dpkg-deb", "--field", str(path), *FIELDS], timeout_s=LIMIT_S)
    if not result.ok:
        raise _no_deb(f"{path} is no Debian package")
    fields = dict(re.findall(r"^([A-Za-z]+): (.*)$", result.output, re.MULTILINE))
    package, architecture = (fields.get(name, "") for name in FIELDS)
    release = release_in_name(package)
    if release is None:
        raise _no_deb(f"{path} is the package {package}, which holds no kernel")
    if architecture != "amd64":
        raise _no_deb(f"{path} is for the architecture {architecture}, and the boxes are amd64")
    return release


def release_in_name(package: str) -> str | None:
    """Return the release in the name of a kernel's package, signed or not; None for one that has none, or no kernel."""
    match = re.fullmatch(rf"linux-image-(?:unsigned-)?({RELEASE}?)(?:-unsigned)?(-dbg|-dbgsym)?", package)
    return match[1] if match and not match[2] else None


def _no_image(what: str) -> NotAKernelError:
    return NotAKernelError("image", what, "arch/x86/boot/bzImage of a 64-bit build")


def _no_deb(what: str) -> NotAKernelError:
    return NotAKernelError("deb", what, "linux-image-RELEASE_..._amd64.deb, as make bindeb-pkg writes it")
