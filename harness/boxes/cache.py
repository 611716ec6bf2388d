"""The cache of built boxes, one folder per digest. A folder counts as a box only when it is complete."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from harness import paths
from harness.boxes import lock_file, recipes, rootfs
from harness.boxes.box import Box
from harness.boxes.lock_file import Lock
from harness.boxes.recipes import Recipe
from harness.errors import BoxError, DamagedBoxError
from harness.files import sha256, write_atomic

T = TypeVar("T")
SCHEMA = 2  # of box.json and of the files beside it
LOCK_LIMIT_S = 1800.0
PARTS = ("libvirt.box", "vmlinuz", "initrd", "packages")
BUILT = (*PARTS, "pins", "metadata.json", "box.img")  # the parts that a build makes; `pins` is for a lock


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


def inputs(recipe: Recipe, lock: Lock | None) -> dict[str, str | None]:
    """Return the SHA-256 of each thing that decides the content of a box: recipe, build commands, files, lock."""
    keys, guest, work = Path(recipe.keyring), Path("guest"), Path("work")
    build = rootfs.command(recipe, keys=keys, guest=guest, work=work, locked=lock is not None)
    compress = rootfs.compression(Path("disk.raw"), Path("box.img"))
    commands = json.dumps([SCHEMA, build, compress, rootfs.COMMAND_LINE]).encode()
    files = b"".join([rootfs.overlay(), *(script.read_bytes() for script in rootfs.scripts())])
    return {
        "recipe": recipe.fingerprint(),
        "commands": hashlib.sha256(commands).hexdigest(),
        "files": hashlib.sha256(files).hexdigest(),
        "lock": lock.sha256() if lock else None,
    }


def digest(recipe: Recipe, lock: Lock | None = None) -> str:
    """Return the SHA-256 over all that decides the content of a box, with or without a lock."""
    return digest_of(inputs(recipe, lock))


def digest_of(parts: Mapping[str, str | None]) -> str:
    """Return the digest of a box with these `inputs`."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def current_digest(recipe: Recipe) -> str:
    """Return the digest of the box that a run would use: locked if a lock is beside the recipe."""
    return digest(recipe, lock_file.beside(recipe))


def find(digest: str) -> Box | None:
    """Return the box of this digest or None. Raises DamagedBoxError when a file of it is missing or cut off."""
    if not (root() / digest / "box.json").is_file():
        return None
    box = open_box(root() / digest)
    require(box, wrong_sizes(box.folder))
    return box


def require_unchanged(box: Box) -> None:
    """Hash every part of a box again, which takes a second. Raises DamagedBoxError when one has changed."""
    require(box, problems(box.folder))


def require(box: Box, wrong: Sequence[str]) -> None:
    """Raise DamagedBoxError if there is something wrong with a box."""
    if wrong:
        raise box.damaged(wrong[0] + (" and more" if len(wrong) > 1 else ""))


def write_manifest(
    folder: Path, box: Box, extra_parts: Sequence[str] = (), made_from: Mapping[str, str | None] | None = None
) -> Box:
    """Write box.json, with size and hash of every part, after all parts: a folder without it is not a box.

    `made_from` are the `inputs` that `box.digest` was computed from. Return the box with the hash of its disk.
    """
    parts = {part: sha256(folder / part) for part in (*BUILT, *extra_parts)}
    sizes = {part: (folder / part).stat().st_size for part in parts}
    plain = {key: value for key, value in asdict(box).items() if key not in ("folder", "image_sha256")}
    content = {"schema": SCHEMA, **plain, "built": time.time(), "parts": parts, "sizes": sizes, "inputs": made_from}
    write_atomic(folder / "box.json", json.dumps(content, indent=1) + "\n")
    return replace(box, image_sha256=parts["box.img"])


def ls() -> list[CachedBox]:
    """Return every complete box in the cache, newest first; one that another process removes meanwhile is left out."""
    folders = [path.parent for path in root().glob("[!.]*/box.json")]  # one with a dot is not complete
    cached = [box for folder in folders if (box := if_still_there(folder, _describe))]
    return sorted(cached, key=lambda box: box.age_s)


def if_still_there(folder: Path, describe: Callable[[Path], T]) -> T | None:
    """Return `describe(folder)`, or None when the box there was removed meanwhile."""
    try:
        return describe(folder)
    except (OSError, BoxError):
        if (folder / "box.json").is_file():
            raise
        return None


def verify(name: str) -> list[str]:
    """Hash every part of every cached box of this name again; return one sentence for each part that is wrong.

    Raises BoxError when no box of this name is in the cache.
    """
    return [problem for cached in _named(name) for problem in problems(cached.box.folder)]


def remove(box: Box, uninstall: Callable[[Box], None] | None = None) -> None:
    """Remove one box from the cache, if another process has not yet; `uninstall(box)` runs first, for its copies.

    Its manifest goes before the rest, so that a part of it is never taken for the whole.
    """
    with lock(box.digest):
        if uninstall:
            uninstall(box)
        (box.folder / "box.json").unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            shutil.rmtree(box.folder)


@contextmanager
def lock(digest: str, timeout_s: float = LOCK_LIMIT_S) -> Iterator[None]:
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
    box = open_box(folder)
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    built = built_at(folder)
    current = box.name in recipes.names() and current_digest(recipes.recipe(box.name)) == box.digest
    return CachedBox(box, size / 1e6, max(0.0, time.time() - built), current)


def open_box(folder: Path) -> Box:
    """Return the box in `folder`. Raises BoxError when box.json is not there or no description of one."""
    try:
        manifest = json.loads((folder / "box.json").read_text(encoding="utf-8"))
        keys = ("name", "digest", "kernel", "cmdline", "provider")
        image = manifest.get("parts", {}).get("box.img")
        return Box(**{key: manifest[key] for key in keys}, folder=folder, lock=manifest.get("lock"), image_sha256=image)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BoxError(
            f"this box's description cannot be read: {error}",
            where=str(folder / "box.json"),
            hint=f"remove the folder {folder} and build the box again",
        ) from None


def wrong_sizes(folder: Path) -> list[str]:
    """Return one sentence for each part that is missing or has another size than it had; reads no part.

    Raises DamagedBoxError when box.json cannot be read.
    """
    manifest = _manifest(folder)
    sizes = manifest.get("sizes", {})  # boxes of before 0.3 have none
    wrong = []
    for part in manifest["parts"]:
        path = folder / part
        try:
            size = path.stat().st_size
        except OSError as error:
            wrong.append(_unreadable(path, error))
            continue
        if size != sizes.get(part, size):
            wrong.append(f"{path} has {size} bytes instead of {sizes[part]}")
    return wrong


def built_at(folder: Path) -> float:
    """Return when the box in `folder` was built, in seconds since 1970."""
    return float(json.loads((folder / "box.json").read_text(encoding="utf-8"))["built"])


def problems(folder: Path) -> list[str]:
    """Hash every part of the box in `folder` again; return one sentence for each part that is wrong.

    Raises DamagedBoxError when box.json cannot be read.
    """
    wrong = []
    for part, expected in _manifest(folder)["parts"].items():
        path = folder / part
        try:
            actual = sha256(path)
        except OSError as error:
            wrong.append(_unreadable(path, error))
            continue
        if actual != expected:
            wrong.append(f"{path} has changed: SHA-256 is not {expected}")
    return wrong


def _manifest(folder: Path) -> dict[str, Any]:
    """Return box.json. Raises DamagedBoxError when it cannot be read: another process may have removed the box."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "box.json").read_text(encoding="utf-8"))
        manifest["parts"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedBoxError(
            f"the description of this box cannot be read: {error}",
            where=str(folder / "box.json"),
            hint="did another process remove the box meanwhile? Otherwise remove the folder; then try again",
        ) from None
    return manifest


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} is missing" if isinstance(error, FileNotFoundError) else f"{path} cannot be read: {error.strerror}"
