"""The cache of built boxes, one folder per digest. A folder counts as a box only when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from harness import paths, temporary
from harness.boxes import description, lock_file, recipes, rootfs
from harness.boxes.box import Box
from harness.boxes.description import DISK, OTHER_CACHE, PARTS, SCHEMA, DamagedFolder
from harness.boxes.kernel import scripts_sha256
from harness.boxes.lock_file import Lock
from harness.boxes.recipes import Recipe
from harness.errors import BoxError, HarnessError, HostError, UsageError
from harness.files import as_host_error, make_folder, open_regular, sha256, sync
from harness.temporary import OWNER, held_folder, name_beside

LOCK_LIMIT_S = 1800.0
DOOMED = "old"  # the temporary name of a folder that is being removed
BUILT = (*PARTS, "pins", "metadata.json", DISK)  # the parts that a build makes; `pins` is for a lock


@dataclass(frozen=True)
class CachedBox:
    """A box in the cache; it is `current` when building its recipe today would give the same digest.

    None when that cannot be said, because the recipe or its lock is wrong.
    """

    box: Box
    size_mb: float
    built: float  # seconds since 1970
    current: bool | None


def root() -> Path:
    """Return the folder of all built boxes."""
    return paths.cache_dir() / "boxes"


def inputs(recipe: Recipe, lock: Lock | None, kernel: str | None = None) -> dict[str, str | None]:
    """Return the SHA-256 of each thing that decides the content of a box: recipe, build commands, files, lock.

    `kernel` is the fingerprint of another kernel than the recipe's.
    """
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
        **({"kernel": kernel, "kernel_scripts": scripts_sha256()} if kernel else {}),
    }


def digest(recipe: Recipe, lock: Lock | None = None, kernel: str | None = None) -> str:
    """Return the SHA-256 over all that decides the content of a box, with or without a lock or another kernel."""
    return description.digest_of(inputs(recipe, lock, kernel))


def current_digest(recipe: Recipe, kernel: str | None = None) -> str:
    """Return the digest of the box that a run would use: locked if a lock is beside the recipe."""
    return digest(recipe, lock_file.beside(recipe), kernel)


def find(digest: str) -> Box | None:
    """Return the box of this digest or None. Raises DamagedBoxError when a file of it is missing or cut off."""
    folder = root() / digest
    if not description.is_there(folder):
        return None
    box = open_box(folder)
    require(box, wrong_sizes(folder))
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
    values = {key: value for key, value in asdict(box).items() if key not in ("folder", "image_sha256")}
    described = description.write(folder, {**values, "inputs": made_from}, (*BUILT, *extra_parts))
    return replace(box, image_sha256=described.parts[DISK])


def ls() -> list[CachedBox]:
    """Return every box in the cache whose description is right, newest first. Raises HostError."""
    return sorted(description.scan(root(), _describe)[0], key=lambda cached: -cached.built)


def damaged() -> list[DamagedFolder]:
    """Return the folders of boxes whose description cannot be read; no run uses them. Raises HostError."""
    return description.scan(root(), open_box)[1]


def verify(name: str) -> list[str]:
    """Hash every part of every cached box of this name again; return one sentence for each part that is wrong.

    A box whose description cannot be read may be of any name, and is wrong too. Raises BoxError when there is neither
    one nor a box of this name, UsageError when there is no such recipe either.
    """
    unreadable = [one.problem for one in damaged()]
    matching = [entry for entry in ls() if entry.box.name == name] if unreadable else named(name)
    return unreadable + [problem for cached in matching for problem in problems(cached.box.folder)]


@contextmanager
def fresh_folder(root: Path) -> Iterator[Path]:
    """Make a folder in `root` for a box that is not complete; `publish` takes it, and otherwise it is removed.

    Raises HostError when it cannot be made.
    """
    make_folder(root, OTHER_CACHE)
    sweep(root)
    with ExitStack() as held:
        with as_host_error(root, OTHER_CACHE):
            fresh = held.enter_context(held_folder(root, "new"))
        yield fresh


def publish(box: Box, final: Path) -> Box:
    """Write everything to disk, then rename the box's folder to `final`: a folder of that name is always complete."""
    remove_folder(final)  # incomplete or damaged if it exists
    with as_host_error(final, OTHER_CACHE):
        for path in (*box.folder.iterdir(), box.folder):
            sync(path)
        box.folder.rename(final)
        (final / OWNER).unlink(missing_ok=True)
        sync(final.parent)
    return replace(box, folder=final)


def remove(box: Box, uninstall: Callable[[Box], None] | None = None) -> None:
    """Remove one box from the cache, if another process has not yet; `uninstall(box)` runs first, for its copies."""
    with lock(box.digest):
        if uninstall:
            uninstall(box)
        remove_folder(box.folder)


def remove_folder(folder: Path) -> None:
    """Remove a box's folder, or what has its name, if it is there. Raises HostError.

    It gets another name first, so that a part of it is never taken for the whole; `sweep` removes what a kill leaves.
    """
    gone = name_beside(folder.with_name(DOOMED))
    try:
        folder.rename(gone)
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
        else:
            gone.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        where = gone if os.path.lexists(gone) else folder
        hint = "become the owner of all in it, or remove it by hand"
        raise HostError(f"it could not be removed: {error.strerror}", where=str(where), hint=hint) from None


def sweep(root: Path) -> None:
    """Remove the folders that killed processes left half-made or half-removed; keep what live processes hold."""
    temporary.sweep(root)
    for doomed in root.glob(f".{DOOMED}.*.tmp"):  # also that of a live process, which would remove it as well
        shutil.rmtree(doomed, ignore_errors=True)


@contextmanager
def lock(digest: str, timeout_s: float = LOCK_LIMIT_S) -> Iterator[None]:
    """Let one process at a time build, copy or remove the box of this digest. Raises BoxError after the limit."""
    from filelock import FileLock, Timeout

    path = root() / f"{digest}.lock"
    guard = FileLock(path, timeout=timeout_s)
    make_folder(root(), OTHER_CACHE)
    with as_host_error(path, OTHER_CACHE):
        try:
            guard.acquire()
        except Timeout:
            raise BoxError(
                "another process has been working on this box for too long",
                where=str(path),
                expected=f"the lock within {timeout_s:.0f} s",
                hint="see which process holds the file: fuser -v FILE",
            ) from None
    try:
        yield
    finally:
        guard.release()


def named(name: str) -> list[CachedBox]:
    """Return the boxes of this name. Raises BoxError when there is none, UsageError when no recipe has this name."""
    cached = ls()
    if matching := [entry for entry in cached if entry.box.name == name]:
        return matching
    names = ", ".join(sorted({entry.box.name for entry in cached})) or "none"
    raise unknown(name, names)


def unknown(name: str, known: str) -> BoxError | UsageError:
    """Return the error of a box that is not in the cache, where those in `known` are.

    UsageError for a name of no recipe, which cannot be built.
    """
    built = f"harness box build {name}" if name in recipes.names() else None
    hint = "some boxes are damaged: `harness box ls` shows which" if damaged() else built
    kind = BoxError if built else UsageError
    return kind(f"no box {name!r} is in the cache", where=str(root()), expected=f"one of: {known}", hint=hint)


def _describe(folder: Path) -> CachedBox:
    box = open_box(folder)
    return CachedBox(box, description.size_mb(folder), built_at(folder), _is_current(box))


def _is_current(box: Box) -> bool | None:
    if box.name not in recipes.names():
        return False
    try:
        return current_digest(recipes.recipe(box.name), kernel_of(box)) == box.digest
    except HarnessError:
        return None


def kernel_of(box: Box) -> str | None:
    """Return the fingerprint of the kernel that a box has instead of its recipe's; None if it has that one."""
    return (description.read(box.folder).inputs or {}).get("kernel")


def open_box(folder: Path, name: str | None = None) -> Box:
    """Return the box in `folder`, whose name in the cache is or will be `name`; its parts are not checked.

    Raises DamagedBoxError when box.json is not there or no description of this box.
    """
    described = description.read(folder, name)
    if described.image_sha256:
        raise description.damaged(folder / description.FILE, "it is that of a provisioned machine")
    values = described.model_dump(include={"name", "digest", "kernel", "cmdline", "provider", "lock", "kernel_source"})
    return Box(**values, folder=folder, image_sha256=described.parts[DISK])


def wrong_sizes(folder: Path) -> list[str]:
    """Return one sentence for each part that is missing, no file, or of another size than it had; reads no part.

    Raises DamagedBoxError when box.json cannot be read.
    """
    described = description.read(folder)
    wrong = []
    for part in described.parts:
        path = folder / part
        try:
            with open_regular(path) as source:
                size = os.fstat(source.fileno()).st_size
        except OSError as error:
            wrong.append(_unreadable(path, error))
            continue
        if size != described.sizes.get(part, size):  # boxes of before 0.3 have none
            wrong.append(f"{path} has {size} bytes instead of {described.sizes[part]}")
    return wrong


def built_at(folder: Path) -> float:
    """Return when the box in `folder` was built, in seconds since 1970. Raises DamagedBoxError."""
    return description.read(folder).built


def problems(folder: Path) -> list[str]:
    """Hash every part of the box in `folder` again; return one sentence for each part that is wrong.

    Raises DamagedBoxError when box.json cannot be read.
    """
    wrong = []
    for part, expected in description.read(folder).parts.items():
        path = folder / part
        try:
            actual = sha256(path)
        except OSError as error:
            wrong.append(_unreadable(path, error))
            continue
        if actual != expected:
            wrong.append(f"{path} has changed: SHA-256 is not {expected}")
    return wrong


def _unreadable(path: Path, error: OSError) -> str:
    return f"{path} is missing" if isinstance(error, FileNotFoundError) else f"{path} cannot be read: {error.strerror}"
