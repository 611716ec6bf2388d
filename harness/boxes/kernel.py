"""Another kernel for a box than its recipe's: what `machine.kernel` names, handed to the build.

Everything else of the box stays as its recipe says. Of two kernels with the same content one box is built.
"""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from harness.boxes.recipes import folder
from harness.errors import BoxError, SpecError
from harness.files import as_host_error, tree_sha256
from harness.kernel_files import NotAKernelError, image_release
from harness.spec.kernels import DebKernel, ImageKernel, KernelForm, SuiteKernel

PROBLEM = "kernel-problem"  # in the build's out/: why the kernel could not be installed, in one line


class BoxKernelError(BoxError):
    """A kernel of the experiment cannot be put into its box."""


@dataclass(frozen=True)
class BoxKernel:
    """The kernel of a box: its form, the SHA-256 of each of its files by key, and its release if that is known."""

    form: KernelForm
    hashes: dict[str, str]
    release: str | None

    def fingerprint(self) -> str:
        """Return the SHA-256 of all that decides the kernel: contents and not places."""
        named = self.form.model_dump() if isinstance(self.form, SuiteKernel) else {}
        return hashlib.sha256(json.dumps([named, self.hashes], sort_keys=True).encode()).hexdigest()

    def source(self) -> str:
        """Return in one line of plain letters where the kernel came from, for people."""
        hashes = ", ".join(f"SHA-256 {digest[:12]}" for digest in self.hashes.values())
        return re.sub(r"[^ -~]", "?", f"{self.form}" + (f" ({hashes})" if hashes else ""))

    def hooks(self, work: Path) -> tuple[list[str], list[str]]:
        """Return the options of mmdebstrap that look for the kernel before anything else, and that install it."""
        setup = []
        if isinstance(self.form, SuiteKernel):
            words = ["suite", self.form.suite, self.form.package]
            setup.append(_hook("--setup-hook", "source.sh", work, words[1:]))
        else:
            words = ["image", str(self.release)] if isinstance(self.form, ImageKernel) else ["deb"]
        return setup, [_hook("--customize-hook", "install.sh", work, words)]

    def place(self, work: Path) -> None:
        """Copy the files into the work folder of a build, readable for the user that a user namespace maps root to.

        Raises BoxError if one has changed since it was hashed, such as by a build of the kernel that goes on.
        """
        if isinstance(self.form, DebKernel):
            _copy(Path(self.form.deb), work / "kernel.deb")
        elif isinstance(self.form, ImageKernel):
            _copy(Path(self.form.image), work / "vmlinuz")
            if self.form.modules:
                _pack(Path(self.form.modules), str(self.release), work / "modules.tar")
        if read(self.form).hashes != self.hashes:
            raise self.error("its files changed while they were copied")

    def require_built(self, out: Path, log: Path) -> str:
        """Return the release of the kernel in a box that was built. Raises BoxError if it is not the one expected."""
        name = (out / "kernel").read_text(encoding="utf-8").strip()
        try:
            inside = image_release(out / "vmlinuz")
        except NotAKernelError as error:
            raise self.error(f"the kernel that it installs cannot boot: {error}", log) from None
        for release in (name, self.release or name):
            if inside != release:
                raise self.error(f"its kernel says that it is {inside}, and its modules are those of {release}", log)
        return name

    def error(self, what: str, log: Path | None = None) -> BoxKernelError:
        """Return the error of a box that cannot get this kernel."""
        return BoxKernelError(
            f"no box with the kernel {self.form} can be built: {what}", where="machine.kernel", log=log
        )


def read(form: KernelForm) -> BoxKernel:
    """Look at the files of a kernel. Raises SpecError for one that is none, or whose file cannot be read."""
    try:
        release = form.release()
        keys = {key: getattr(form, key) for key in ("image", "modules", "deb") if getattr(form, key, None)}
        return BoxKernel(form, {key: tree_sha256(Path(path)) for key, path in keys.items()}, release)
    except NotAKernelError as error:
        raise SpecError(str(error), where=f"machine.kernel.{error.key}", expected=error.expected) from None
    except OSError as error:
        what = f"a file of the kernel cannot be read: {error.strerror}"
        hint = "put it there, or name the kernel anew: --set machine.kernel='{deb: FILE}'"
        raise SpecError(what, where=str(error.filename), expected=f"machine.kernel, {form}", hint=hint) from None


def scripts_sha256() -> str:
    """Return the SHA-256 of the scripts that put a kernel into a box."""
    return hashlib.sha256(
        b"".join(path.read_bytes() for path in sorted((folder() / "kernel").glob("*.sh")))
    ).hexdigest()


def _hook(option: str, script: str, work: Path, words: list[str]) -> str:
    path = shlex.quote(str(folder() / "kernel" / script))
    return f'{option}=sh {path} "$1" {shlex.quote(str(work))} {shlex.join(words)}'


def _copy(source: Path, target: Path) -> None:
    with as_host_error(target):
        shutil.copyfile(source, target)
        target.chmod(0o644)


def _pack(modules: Path, release: str, target: Path) -> None:
    """Pack the modules of one release, without the links into the tree that they were built in."""

    def as_root(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if entry.name in (f"lib/modules/{release}/build", f"lib/modules/{release}/source"):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with as_host_error(target), tarfile.open(target, "w") as archive:
        archive.add((modules / "lib" / "modules" / release).resolve(), f"lib/modules/{release}", filter=as_root)
    target.chmod(0o644)
