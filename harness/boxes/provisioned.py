"""The cache of provisioned machines: boxes that were made from a base box by installing the roles of a load.

A folder is named after its key (the digest of all that went into it) and the start of its disk's hash. Nothing is
replaced in place: a machine that is provisioned anew gets a folder of its own, and the newest of a key is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from harness import paths
from harness.boxes import cache, rootfs
from harness.boxes.box import Box
from harness.errors import BoxError, DamagedBoxError
from harness.files import as_host_error, make_folder, sha256, sync, write_atomic

SCHEMA = 1  # of provisioned.json, and of how a machine is provisioned and kept
DESCRIPTION = "provisioned.json"
SEAL = "seal.sh"  # in ansible/; the last script that runs in a guest before its disk is kept
ALWAYS = ("baseline", "packages")  # the roles that site.yml applies to every machine


@dataclass(frozen=True)
class Provisioning:
    """The roles and packages installed on a base box, and Ansible's report; `made` is the time, as in a manifest."""

    base: str
    roles: tuple[str, ...]
    variables: dict[str, Any] = field(hash=False)
    packages: dict[str, str] = field(hash=False)
    facts: dict[str, Any] = field(hash=False)
    ok: int
    changed: int
    made: str


@dataclass(frozen=True, kw_only=True)
class ProvisionedBox(Box):
    """A box with the roles of a load installed; `name` is that of its base box, `digest` its key."""

    provisioning: Provisioning
    image_sha256: str

    @property
    def vagrant_name(self) -> str:
        """The box's name in Vagrant; it differs between two machines that were provisioned from the same input."""
        return f"harness/{self.name}-provisioned-{self.digest[:12]}-{self.image_sha256[:8]}"

    @property
    def base_digest(self) -> str:
        """The digest of the box that was provisioned."""
        return self.provisioning.base

    @property
    def vagrant_names(self) -> tuple[str, ...]:
        """The name under which copies of the machine are kept; it was never another one."""
        return (self.vagrant_name,)

    def damaged(self, what: str) -> DamagedBoxError:
        """Return the error of a machine that is not as it was kept."""
        roles = ", ".join(self.provisioning.roles)
        return DamagedBoxError(
            f"the provisioned machine kept for {self.name} with {roles} is damaged: {what}",
            where=str(self.folder),
            expected="every part as it was kept",
            hint="find out why; `harness run --provision` makes it anew, `harness box prune` removes it",
        )


@dataclass(frozen=True)
class CachedMachine:
    """A provisioned machine in the cache; it is `current` when a run of today would use it or make the same."""

    box: ProvisionedBox
    size_mb: float
    age_s: float
    current: bool


def root() -> Path:
    """Return the folder of all provisioned machines."""
    return paths.cache_dir() / "provisioned"


def key(base: str, roles: Sequence[str], variables: Mapping[str, Any] | None = None) -> str:
    """Return the SHA-256 over all that decides what is installed: base box, roles, variables, the files of Ansible.

    The packages in the archive are not part of it: they are the reason why the machine is kept.
    """
    settings = [SCHEMA, base, list(roles), dict(variables or {}), rootfs.compression(Path("a"), Path("b"))]
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    folder = paths.data_dir("ansible")
    for path in _inputs(folder, roles):
        total.update(f"\n{path.relative_to(folder)} {sha256(path)}".encode())
    return total.hexdigest()


def find(key: str) -> ProvisionedBox | None:
    """Return the newest machine of this key, None when there is none. Raises DamagedBoxError when it is damaged."""
    newest = _newest(key)
    if newest is None:
        return None
    return cache.if_still_there(newest, _open_unchanged) or find(key)


def _open_unchanged(folder: Path) -> ProvisionedBox:
    box = open_box(folder)
    if wrong := cache.problems(folder):
        raise box.damaged("; ".join(wrong))
    return box


def open_box(folder: Path) -> ProvisionedBox:
    """Read the description of one machine; its parts are not checked. Raises DamagedBoxError when it cannot be read."""
    try:
        plain = json.loads((folder / "box.json").read_text(encoding="utf-8"))
        report = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        made = Provisioning(**{**report, "roles": tuple(report["roles"])})
        return ProvisionedBox(**{name: plain[name] for name in _plain_fields()}, folder=folder, provisioning=made)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedBoxError(
            f"the description of a provisioned machine cannot be read: {error}",
            where=str(folder),
            hint="remove it with `harness box prune`; the next run provisions the machine again",
        ) from None


def ls() -> list[CachedMachine]:
    """Return every machine in the cache, newest first; one whose description cannot be read is left out."""
    bases = {cached.box.digest for cached in cache.ls() if cached.current}
    machines = [machine for box in _all() if (machine := _describe(box, bases))]
    return sorted(machines, key=lambda machine: machine.age_s)


def verify(name: str) -> list[str]:
    """Hash every part of every machine that was made from a box of this name; return a sentence for each wrong one."""
    return [problem for box in _all() if box.name == name for problem in cache.problems(box.folder)]


def superseded(box: ProvisionedBox) -> list[ProvisionedBox]:
    """Return the older machines of the same key."""
    return [other for other in _all() if other.digest == box.digest and other.folder != box.folder]


def unreadable() -> list[Path]:
    """Return the folders that hold no readable machine; nothing uses them, and they can be removed."""
    return [folder for folder in _folders() if _readable(folder) is None]


@contextmanager
def work_folder() -> Iterator[Path]:
    """Make a folder in which a machine is put together; `publish` takes it, and otherwise it is removed.

    Raises HostError when it cannot be made.
    """
    make_folder(root())
    sweep()
    with as_host_error(root() / ".new"):
        fresh = Path(tempfile.mkdtemp(prefix=f".new-{os.getpid()}-", dir=root()))
    try:
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def sweep() -> None:
    """Remove what killed processes left half-made; keep the folders of live processes."""
    for fresh in root().glob(".new-*"):
        if not Path(f"/proc/{fresh.name.split('-')[1]}").exists():
            shutil.rmtree(fresh, ignore_errors=True)


def publish(fresh: Path, base: Box, digest: str, made: Provisioning, packages: str) -> ProvisionedBox:
    """Complete the folder `fresh`, which holds box.img, and rename it into the cache.

    `digest` is the key from before the machine was provisioned: a file of Ansible may have changed since. `packages`
    lists all packages of the guest. A folder of the final name is always complete. Raises HostError, such as when the
    disk is full.
    """
    with as_host_error(fresh / "box.img"):
        image = _complete(fresh, base, digest, made, packages)
        final = root() / f"{digest}-{image[:12]}"
        with cache.lock(digest):
            if not (final / "box.json").is_file():  # the very same disk, kept by another process
                shutil.rmtree(final, ignore_errors=True)
                fresh.rename(final)
                sync(root())
    return open_box(final)


def _complete(fresh: Path, base: Box, digest: str, made: Provisioning, packages: str) -> str:
    """Write everything but the disk into `fresh`; return the SHA-256 of the disk. Raises OSError or HostError."""
    image = sha256(fresh / "box.img")
    inherited = {key: value for key, value in vars(base).items() if key not in ("digest", "folder", "image_sha256")}
    box = ProvisionedBox(**inherited, digest=digest, folder=fresh, provisioning=made, image_sha256=image)
    for part in {*cache.PARTS, "metadata.json"} - {"libvirt.box", "packages"}:
        shutil.copyfile(base.folder / part, fresh / part)
    (fresh / "packages").write_text(packages, encoding="utf-8")
    write_atomic(fresh / DESCRIPTION, json.dumps(asdict(made), indent=1) + "\n")
    with tarfile.open(box.path, "w") as archive:  # not compressed: the disk inside already is
        archive.add(fresh / "metadata.json", "metadata.json")
        archive.add(box.image, "box.img")
    _write_manifest(fresh, box)
    for path in (*fresh.iterdir(), fresh):
        sync(path)
    return image


def _write_manifest(folder: Path, box: ProvisionedBox) -> None:
    parts = {part: sha256(folder / part) for part in (*cache.PARTS, "box.img", DESCRIPTION)}
    plain = {name: getattr(box, name) for name in _plain_fields()}
    text = json.dumps({"schema": cache.SCHEMA, **plain, "built": time.time(), "parts": parts}, indent=1)
    write_atomic(folder / "box.json", text + "\n")


def _plain_fields() -> list[str]:
    """Return the fields of a machine that box.json holds."""
    return [field.name for field in fields(ProvisionedBox) if field.name not in ("folder", "provisioning")]


def _inputs(folder: Path, roles: Sequence[str]) -> list[Path]:
    """Return the files of Ansible that decide what is installed, in a fixed order."""
    of_roles = [folder / "roles" / role for role in dict.fromkeys([*ALWAYS, *roles])]
    files = [path for role in of_roles for path in sorted(role.rglob("*")) if path.is_file()]
    return [*(folder / name for name in ("site.yml", "ansible.cfg", SEAL)), *files]


def _folders() -> list[Path]:
    return sorted(path for path in root().glob("*") if path.is_dir() and not path.name.startswith("."))


def _all() -> list[ProvisionedBox]:
    return [box for folder in _folders() if (box := _readable(folder))]


def _readable(folder: Path) -> ProvisionedBox | None:
    try:
        return open_box(folder)
    except BoxError:
        return None


def _describe(box: ProvisionedBox, bases: set[str]) -> CachedMachine | None:
    """Return what is shown of a machine, None when another process has just removed it."""
    try:
        size = sum(path.stat().st_size for path in box.folder.iterdir() if path.is_file())
    except FileNotFoundError:
        return None
    made = box.provisioning
    current = made.base in bases and _key_of(made) == box.digest and box.folder == _newest(box.digest)
    return CachedMachine(box, size / 1e6, max(0.0, time.time() - _built(box.folder)), current)


def _key_of(made: Provisioning) -> str:
    return key(made.base, made.roles, made.variables)


def _newest(key: str) -> Path | None:
    return max((path.parent for path in root().glob(f"{key}-*/box.json")), key=_built, default=None)


def _built(folder: Path) -> float:
    try:
        return float(json.loads((folder / "box.json").read_text(encoding="utf-8"))["built"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
