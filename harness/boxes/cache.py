"""The cache of built boxes, one folder per digest. A folder counts as a box only when it is complete."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from harness import paths
from harness.boxes import recipes, rootfs
from harness.boxes.recipes import Recipe
from harness.errors import BoxError
from harness.files import sha256, write_atomic

SCHEMA = 1  # of box.json and of the files beside it
PARTS = ("libvirt.box", "vmlinuz", "initrd", "packages")


@dataclass(frozen=True)
class Box:
    """A built guest image; `kernel` is the release inside, `cmdline` the arguments to boot it with."""

    name: str
    digest: str
    kernel: str
    cmdline: str
    provider: str
    folder: Path

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
        """The box's name in Vagrant, which differs between two digests of one recipe."""
        return f"harness/{self.name}-{self.digest[:12]}"

    @property
    def base_digest(self) -> str:
        """The digest of the box as its recipe makes it; a provisioned machine is a box made from another."""
        return self.digest


@dataclass(frozen=True)
class CachedBox:
    """A box in the cache; it is `current` when building its recipe today would give the same digest."""

    box: Box
    size_mb: float
    age_s: float
    current: bool


def root() -> Path:
    """Return the folder of all built boxes."""
    return paths.cache_dir() / "boxes"


def digest(recipe: Recipe) -> str:
    """Return the SHA-256 over all that decides the content of a box: recipe, build commands, the files sent along."""
    build = rootfs.command(recipe, keys=Path(recipe.keyring), guest=Path("guest"), work=Path("work"))
    compress = rootfs.compression(Path("disk.raw"), Path("box.img"))
    settings = [SCHEMA, recipe.model_dump(mode="json"), build, compress, rootfs.COMMAND_LINE]
    total = hashlib.sha256(json.dumps(settings).encode() + rootfs.overlay())
    for script in rootfs.scripts():
        total.update(script.read_bytes())
    return total.hexdigest()


def find(digest: str) -> Box | None:
    """Return the box of this digest, None when there is no complete one."""
    return _open(root() / digest) if (root() / digest / "box.json").is_file() else None


def write_manifest(folder: Path, box: Box) -> None:
    """Write box.json, with the hash of every part, after all parts: a folder without it is not a box."""
    parts = {part: sha256(folder / part) for part in (*PARTS, "box.img")}
    plain = {key: value for key, value in asdict(box).items() if key != "folder"}
    text = json.dumps({"schema": SCHEMA, **plain, "built": time.time(), "parts": parts}, indent=1)
    write_atomic(folder / "box.json", text + "\n")


def ls() -> list[CachedBox]:
    """Return every complete box in the cache, newest first."""
    return sorted((_describe(path.parent) for path in root().glob("*/box.json")), key=lambda cached: cached.age_s)


def verify(name: str) -> list[str]:
    """Hash every part of every cached box of this name again; return one sentence for each part that is wrong.

    Raises BoxError when no box of this name is in the cache.
    """
    return [problem for cached in _named(name) for problem in problems(cached.box.folder)]


def rm(name: str, uninstall: Callable[[Box], None] | None = None) -> list[Box]:
    """Remove every cached box of this name and return them; `uninstall(box)` runs first and removes a box's copies.

    Raises BoxError when there is none.
    """
    removed = []
    for cached in _named(name):
        with lock(cached.box.digest):
            if uninstall:
                uninstall(cached.box)
            (cached.box.folder / "box.json").unlink()
            shutil.rmtree(cached.box.folder)
        removed.append(cached.box)
    return removed


@contextmanager
def lock(digest: str, timeout_s: float = 1800) -> Iterator[None]:
    """Let one process at a time build, copy or remove the box of this digest. Raises BoxError after the limit."""
    from filelock import FileLock, Timeout

    root().mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root() / f"{digest}.lock", timeout=timeout_s):
            yield
    except Timeout:
        raise BoxError(
            "another process has been working on this box for too long",
            where=str(root() / f"{digest}.lock"),
            expected=f"the lock within {timeout_s:.0f} s",
            hint="see which process holds the file: fuser -v FILE",
        ) from None


def _named(name: str) -> list[CachedBox]:
    cached = ls()
    if matching := [entry for entry in cached if entry.box.name == name]:
        return matching
    names = ", ".join(sorted({entry.box.name for entry in cached})) or "none"
    raise BoxError(f"no box {name!r} is in the cache", where=str(root()), expected=f"one of: {names}")


def _describe(folder: Path) -> CachedBox:
    box = _open(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    built = json.loads((folder / "box.json").read_text(encoding="utf-8"))["built"]
    current = box.name in recipes.names() and digest(recipes.recipe(box.name)) == box.digest
    return CachedBox(box, size / 1e6, max(0.0, time.time() - built), current)


def _open(folder: Path) -> Box:
    try:
        manifest = json.loads((folder / "box.json").read_text(encoding="utf-8"))
        keys = ("name", "digest", "kernel", "cmdline", "provider")
        return Box(**{key: manifest[key] for key in keys}, folder=folder)
    except (ValueError, KeyError, TypeError) as error:
        raise BoxError(
            f"this box's description cannot be read: {error}",
            where=str(folder / "box.json"),
            hint=f"remove the folder {folder} and build the box again",
        ) from None


def problems(folder: Path) -> list[str]:
    """Hash every part of the box in `folder` again; return one sentence for each part that is wrong."""
    manifest = json.loads((folder / "box.json").read_text(encoding="utf-8"))
    wrong = []
    for part, expected in manifest["parts"].items():
        path = folder / part
        if not path.is_file():
            wrong.append(f"{path} is missing")
        elif sha256(path) != expected:
            wrong.append(f"{path} has changed: SHA-256 is not {expected}")
    return wrong
