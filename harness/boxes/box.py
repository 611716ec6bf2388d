"""A box: its description, the files in its folder, and its names in Vagrant and libvirt."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from harness.errors import DamagedBoxError


@dataclass(frozen=True)
class Box:
    """A built guest image; `kernel` is the release inside, `cmdline` the arguments to boot it with.

    `kernel_source` says where a kernel that is not the recipe's came from. `lock` is the SHA-256 of the lock that the
    box was built from, None without one; `image_sha256` is that of `image`.
    """

    name: str
    digest: str
    kernel: str
    cmdline: str
    provider: str
    folder: Path
    kernel_source: str | None = field(default=None, kw_only=True)
    lock: str | None = field(default=None, kw_only=True)
    image_sha256: str | None = field(default=None, kw_only=True)

    @property
    def path(self) -> Path:
        """The Vagrant box file."""
        return self.folder / "libvirt.box"

    @property
    def vmlinuz(self) -> Path:
        """The kernel, for booting without a boot loader."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """The initial RAM disk that belongs to `vmlinuz`."""
        return self.folder / "initrd"

    @property
    def image(self) -> Path:
        """The compressed qcow2 disk, the same that is inside `path`."""
        return self.folder / "box.img"

    @property
    def vagrant_name(self) -> str:
        """The box's name in Vagrant: libvirt's pool is one for all caches of a host, and two builds give two disks."""
        return f"{self._old_name}-{self.image_sha256[:8]}" if self.image_sha256 else self._old_name

    @property
    def vagrant_names(self) -> tuple[str, ...]:
        """Every name under which copies of the box may be kept: `vagrant_name`, then that of versions before 0.3."""
        return tuple(dict.fromkeys((self.vagrant_name, self._old_name)))

    @property
    def _old_name(self) -> str:
        return f"harness/{self.name}-{self.digest[:12]}"

    @property
    def base_digest(self) -> str:
        """The digest of the box as its recipe makes it; a provisioned machine is a box made from another."""
        return self.digest

    def damaged(self, what: str) -> DamagedBoxError:
        """Return the error of a box that is not as it was built."""
        return DamagedBoxError(
            f"the box {self.name!r} in the cache is damaged: {what}",
            where=str(self.folder),
            expected="every file as it was built or imported",
            hint=f"`harness box verify {self.name}` names every file; `harness box rm {self.name}` removes the box, "
            "and the next run builds it again",
        )
