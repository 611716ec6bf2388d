"""Built boxes, kept by digest in the cache: whole or not there at all."""

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
from harness.boxes import recipes
from harness.boxes.recipes import Recipe
from harness.errors import BoxError
from harness.files import sha256, write_atomic

SCHEMA = 1
PARTS = ("libvirt.box", "vmlinuz", "initrd", "packages")


@dataclass(frozen=True)
class Box:
    """A built guest image. `digest` is that of its recipe and of the builder; `kernel` the release found inside."""

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
        """The name Vagrant knows it by: two digests never collide."""
        return f"harness/{self.name}-{self.digest[:12]}"


@dataclass(frozen=True)
class Listed:
    """One line of `harness box ls`: `current` says whether today's recipe and builder would give this digest."""

    box: Box
    size_mb: float
    age_s: float
    current: bool


def root() -> Path:
    """The folder of all built boxes."""
    return paths.cache_dir() / "boxes"


def digest(wanted: Recipe) -> str:
    """SHA-256 over the recipe's values and every file that takes part in building it."""
    total = hashlib.sha256(wanted.model_dump_json().encode())
    for path in builder_files():
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def builder_files() -> list[Path]:
    """The files that decide what a recipe becomes, in a fixed order."""
    here = Path(__file__).parent
    guest = (path for path in sorted(recipes.folder().rglob("*")) if path.is_file() and path.suffix != ".yaml")
    return [here / "rootfs.py", here / "builder.py", here / "recipes.py", *guest]


def find(name: str, wanted_digest: str) -> Box | None:
    """The box of this digest, if it was built to the end."""
    return _open(root() / wanted_digest) if (root() / wanted_digest / "box.json").is_file() else None


def write_manifest(folder: Path, box: Box) -> None:
    """Write box.json last: its being there says that every part is there, with these hashes."""
    parts = {part: sha256(folder / part) for part in (*PARTS, "box.img")}
    plain = {key: value for key, value in asdict(box).items() if key != "folder"}
    text = json.dumps({"schema": SCHEMA, **plain, "built": time.time(), "parts": parts}, indent=1)
    write_atomic(folder / "box.json", text + "\n")


def ls() -> list[Listed]:
    """Every whole box in the cache, newest first."""
    found = [_listed(path.parent) for path in root().glob("*/box.json")]
    return sorted(found, key=lambda listed: listed.age_s)


def verify(name: str) -> list[str]:
    """Hash every part of every cached box of this name again; what is wrong, one sentence each.

    Raises BoxError when no box of this name is in the cache.
    """
    return [problem for listed in _of(name) for problem in _problems(listed.box.folder)]


def rm(name: str, forget: Callable[[Box], None] | None = None) -> list[Box]:
    """Remove every cached box of this name and say which; `forget` also clears what was copied from each elsewhere.

    Raises BoxError when there is none.
    """
    removed = []
    for listed in _of(name):
        with lock(listed.box.digest):
            if forget:
                forget(listed.box)
            (listed.box.folder / "box.json").unlink()
            shutil.rmtree(listed.box.folder)
        removed.append(listed.box)
    return removed


@contextmanager
def lock(name: str, timeout_s: float = 1800) -> Iterator[None]:
    """Only one process at a time builds, copies or removes the box of this digest. Raises BoxError after the limit."""
    from filelock import FileLock, Timeout

    root().mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root() / f"{name}.lock", timeout=timeout_s):
            yield
    except Timeout:
        raise BoxError(
            "another process has been working on this box for too long",
            where=str(root() / f"{name}.lock"),
            expected=f"to have it within {timeout_s:.0f} s",
            hint="see which process holds the file: fuser -v FILE",
        ) from None


def _of(name: str) -> list[Listed]:
    found = [listed for listed in ls() if listed.box.name == name]
    if not found:
        there = ", ".join(sorted({listed.box.name for listed in ls()})) or "none"
        raise BoxError(f"no box {name!r} is in the cache", where=str(root()), expected=f"one of: {there}")
    return found


def _listed(folder: Path) -> Listed:
    box = _open(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    built = json.loads((folder / "box.json").read_text(encoding="utf-8"))["built"]
    known = box.name in recipes.names()
    current = known and digest(recipes.recipe(box.name)) == box.digest
    return Listed(box, size / 1e6, max(0.0, time.time() - built), current)


def _open(folder: Path) -> Box:
    try:
        told = json.loads((folder / "box.json").read_text(encoding="utf-8"))
        keys = ("name", "digest", "kernel", "cmdline", "provider")
        return Box(**{key: told[key] for key in keys}, folder=folder)
    except (ValueError, KeyError, TypeError) as error:
        raise BoxError(
            f"this box's description cannot be read: {error}",
            where=str(folder / "box.json"),
            hint=f"remove the folder {folder} and build the box again",
        ) from None


def _problems(folder: Path) -> list[str]:
    told = json.loads((folder / "box.json").read_text(encoding="utf-8"))
    found = []
    for part, expected in told["parts"].items():
        path = folder / part
        if not path.is_file():
            found.append(f"{path} is missing")
        elif sha256(path) != expected:
            found.append(f"{path} has changed: SHA-256 is not {expected}")
    return found
