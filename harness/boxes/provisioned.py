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
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from harness import paths
from harness.boxes import cache, description, rootfs
from harness.boxes.box import Box
from harness.boxes.description import DISK, PARTS, DamagedFolder, Line, Sha256
from harness.errors import DamagedBoxError
from harness.files import as_host_error, sha256, write_atomic
from harness.loads import KINDS

SCHEMA = 1  # of provisioned.json, and of how a machine is provisioned and kept
DESCRIPTION = "provisioned.json"
SEAL = "seal.sh"  # in ansible/; the last script that runs in a guest before its disk is kept
ALWAYS = ("baseline", "packages")  # the roles that site.yml applies to every machine


@dataclass(frozen=True)
class Provisioning:
    """The roles and packages installed on a base box, and Ansible's report; `made` is the time, as in a manifest."""

    base: Sha256
    roles: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], ...]
    variables: dict[str, str | int | list[str]] = field(hash=False)
    packages: dict[Line, Line] = field(hash=False)
    facts: dict[str, dict[str, str]] = field(hash=False)
    ok: int
    changed: int
    made: Annotated[str, Field(pattern=r"^[0-9TZ:.+-]+$")]


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
    """A provisioned machine in the cache; it is `current` when a run of today would use it or make the same.

    None when that cannot be said of the box that it was made from.
    """

    box: ProvisionedBox
    size_mb: float
    built: float  # seconds since 1970
    current: bool | None


def root() -> Path:
    """Return the folder of all provisioned machines."""
    return paths.cache_dir() / "provisioned"


def key(base: str, roles: Sequence[str], variables: Mapping[str, Any] | None = None) -> str:
    """Return the SHA-256 over all that decides what is installed: base box, roles, variables, the files of Ansible.

    The packages in the archive are not part of it: they are the reason why the machine is kept.
    """
    settings = [SCHEMA, base, list(roles), dict(variables or {}), rootfs.compression(Path("a"), Path("b"))]
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name, path in _inputs(paths.data_dir("ansible"), roles):
        total.update(f"\n{name} {sha256(path)}".encode())
    return total.hexdigest()


def find(key: str) -> ProvisionedBox | None:
    """Return the newest machine of this key, None when there is none.

    Its parts are compared by size; whoever boots it hashes them all (`Machine.up`). Raises DamagedBoxError.
    """
    newest = _newest(key)
    if newest is None:
        return None
    try:
        box = open_box(newest)
        cache.require(box, cache.wrong_sizes(newest))
    except DamagedBoxError:
        if os.path.lexists(newest):
            raise
        return find(key)  # another process has removed it
    return box


def open_box(folder: Path, name: str | None = None) -> ProvisionedBox:
    """Read the descriptions of one machine, whose name in the cache is or will be `name`; parts are not checked.

    Raises DamagedBoxError when one of them cannot be read or is that of something else.
    """
    described = description.read(folder, name)
    if not described.image_sha256:
        raise description.damaged(folder / description.FILE, "it is that of a box, not of a provisioned machine")
    made = description.parse(Provisioning, folder / DESCRIPTION, described.parts.get(DESCRIPTION, "none"))
    values = described.model_dump(include=set(_plain_fields()))
    return ProvisionedBox(**values, folder=folder, provisioning=made)


def ls() -> list[CachedMachine]:
    """Return every machine in the cache whose descriptions are right, newest first. Raises HostError."""
    bases = {cached.box.digest: cached.current for cached in cache.ls()}
    machines = [machine for box in _all() if (machine := _describe(box, bases))]
    return sorted(machines, key=lambda machine: -machine.built)


def damaged() -> list[DamagedFolder]:
    """Return the folders of machines whose descriptions cannot be read; no run uses them. Raises HostError."""
    return description.scan(root(), open_box)[1]


def verify(name: str) -> list[str]:
    """Hash every part of every machine that was made from a box of this name; return a sentence for each wrong one.

    A machine whose description cannot be read may be of any name, and is wrong too.
    """
    whole, wrong = description.scan(root(), open_box)
    unreadable = [one.problem for one in wrong]
    return unreadable + [problem for box in whole if box.name == name for problem in cache.problems(box.folder)]


def superseded(box: ProvisionedBox) -> list[ProvisionedBox]:
    """Return the older machines of the same key."""
    return [other for other in _all() if other.digest == box.digest and other.folder != box.folder]


def work_folder() -> AbstractContextManager[Path]:
    """Make a folder in which a machine is put together, as `cache.fresh_folder` does."""
    return cache.fresh_folder(root())


def publish(fresh: Path, base: Box, digest: str, made: Provisioning, packages: str) -> ProvisionedBox:
    """Complete the folder `fresh`, which holds box.img, and rename it into the cache.

    `digest` is the key from before the machine was provisioned: a file of Ansible may have changed since. `packages`
    lists all packages of the guest. A folder of the final name is always complete. Raises HostError, such as when the
    disk is full.
    """
    with as_host_error(fresh / "box.img"):
        box = _complete(fresh, base, digest, made, packages)
        final = root() / f"{digest}-{box.image_sha256[:12]}"
        with cache.lock(digest):
            if not description.is_there(final):  # the very same disk, kept by another process
                cache.publish(box, final)
    return open_box(final)


def _complete(fresh: Path, base: Box, digest: str, made: Provisioning, packages: str) -> ProvisionedBox:
    """Write everything but the disk into `fresh`; return the machine there. Raises OSError or HostError."""
    image = sha256(fresh / "box.img")
    inherited = {key: value for key, value in vars(base).items() if key not in ("digest", "folder", "image_sha256")}
    box = ProvisionedBox(**inherited, digest=digest, folder=fresh, provisioning=made, image_sha256=image)
    for part in {*PARTS, "metadata.json"} - {"libvirt.box", "packages"}:
        shutil.copyfile(base.folder / part, fresh / part)
    (fresh / "packages").write_text(packages, encoding="utf-8")
    write_atomic(fresh / DESCRIPTION, json.dumps(asdict(made), indent=1) + "\n")
    with tarfile.open(box.path, "w") as archive:  # not compressed: the disk inside already is
        archive.add(fresh / "metadata.json", "metadata.json")
        archive.add(box.image, "box.img")
    values = {name: getattr(box, name) for name in _plain_fields()}
    description.write(fresh, values, (*PARTS, DISK, DESCRIPTION))
    return box


def _plain_fields() -> list[str]:
    """Return the fields of a machine that box.json holds."""
    return [field.name for field in fields(ProvisionedBox) if field.name not in ("folder", "provisioning")]


def _inputs(folder: Path, roles: Sequence[str]) -> list[tuple[Path, Path]]:
    """Return the files of Ansible that decide what is installed, in a fixed order: the name of each, and its path.

    A role of an installed package counts with all roles beside it, which it may include.
    """
    own = folder / "roles"
    found = KINDS.role_paths(own, dict.fromkeys([*ALWAYS, *roles]))
    trees = dict.fromkeys(path if path.parent == own else path.parent for path in found.values())
    files = [(tree, path) for tree in trees for path in sorted(tree.rglob("*")) if path.is_file()]
    plain = [(Path(name), folder / name) for name in ("site.yml", "ansible.cfg", SEAL)]
    return [*plain, *((path.relative_to(folder if tree.parent == own else tree), path) for tree, path in files)]


def _all() -> list[ProvisionedBox]:
    return description.scan(root(), open_box)[0]


def _describe(box: ProvisionedBox, bases: Mapping[str, bool | None]) -> CachedMachine | None:
    """Return what is shown of a machine, None when another process has just removed it."""
    try:
        built = cache.built_at(box.folder)
    except DamagedBoxError:
        return None
    made, current = box.provisioning, bases.get(box.base_digest, False)
    if key(made.base, made.roles, made.variables) != box.digest or box.folder != _newest(box.digest):
        current = False
    return CachedMachine(box, description.size_mb(box.folder), built, current)


def _newest(key: str) -> Path | None:
    of_key = [path for path in description.folders(root()) if path.name.startswith(f"{key}-")]
    return max(filter(description.is_there, of_key), key=_built, default=None)


def _built(folder: Path) -> float:
    try:
        return cache.built_at(folder)
    except DamagedBoxError:
        return 0.0
