"""Carry a box, or a provisioned machine with its box, to another host's cache in one file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness import paths
from harness.boxes import builder, cache, description, lock_file, provisioned, recipes
from harness.boxes.archive import Member, Reader, write
from harness.boxes.box import Box
from harness.boxes.description import OTHER_CACHE
from harness.boxes.provisioned import ProvisionedBox
from harness.errors import BoxError, DamagedBoxError, HarnessError, UsageError
from harness.files import make_folder
from harness.progress import Watcher

MIN_DIGEST = 6  # characters; fewer could be a recipe's name


@dataclass(frozen=True)
class ExportedFile:
    """A file that holds boxes, and its SHA-256."""

    boxes: tuple[Box, ...]
    sha256: str


@dataclass(frozen=True)
class ImportedBox:
    """A box from a file: `state` is "new" or why it was not copied, `unused_because` is why no run would use it."""

    box: Box
    state: str
    unused_because: str | None


def select(target: str) -> Box:
    """Return the box or provisioned machine with this name or this start of a digest.

    A name with several boxes means the one that a run would use, with the recipe's kernel if there is one; a digest
    with several machines the newest of them.
    Raises BoxError when there is none, UsageError when no recipe has this name or several boxes match.
    """
    boxes = cache.ls()
    if named := [cached for cached in boxes if cached.box.name == target]:
        named = [cached for cached in named if not cached.box.kernel_source] or named
        current = [cached.box for cached in named if cached.current]
        return _only(target, current or [cached.box for cached in named])
    everything = [cached.box for cached in boxes] + [machine.box for machine in provisioned.ls()]
    matching = [box for box in everything if len(target) >= MIN_DIGEST and box.folder.name.startswith(target)]
    if matching:
        return _only(target, matching)
    known = ", ".join(sorted({box.name for box in everything} | {box.digest[:12] for box in everything})) or "none"
    raise cache.unknown(target, known)


def export(box: Box, target: Path, watcher: Watcher) -> ExportedFile:
    """Write `box` into the file `target`, a provisioned machine together with the box that it was made from.

    A file that is there is replaced. Raises UsageError when `target` is no place for a file, BoxError when a file of
    the box has changed since it was built, or the box of a machine is not in the cache.
    """
    _check_target(target)
    boxes = [box]
    if isinstance(box, ProvisionedBox):
        base = cache.find(box.base_digest)
        if base is None:
            raise BoxError(
                f"the box {box.base_digest[:12]} is not in the cache: the machine was made from it, and runs need both",
                where=str(cache.root()),
                hint=f"harness box build {box.name}, if its recipe still gives this box",
            )
        boxes = [base, box]
    watcher.note("comparing every file with its hash")
    for one in boxes:
        cache.require_unchanged(one)
        if not isinstance(one, ProvisionedBox) and description.read(one.folder).inputs is None:
            raise BoxError(
                f"an older version of harness built the box {one.digest[:12]}, without writing down what from",
                where=str(one.folder),
                hint=f"build it again and export that: harness box build {one.name}",
            )
    files = {f"{_store(one)}/{one.folder.name}/{path.name}": path for one in boxes for path in _files(one.folder)}
    watcher.note("writing")
    digest = write(target, files, lambda share: watcher.advance(share, 1.0))
    return ExportedFile(tuple(boxes), digest)


def import_file(path: Path, watcher: Watcher) -> list[ImportedBox]:
    """Put the boxes of a file into the cache, each whole or not at all, after every hash was compared.

    A box that is there already stays. Raises BoxError when the file is damaged or is no export, when a box in it does
    not match its own description, and when another box with the same digest is in the cache; HostError when the disk is
    too small.
    """
    reader = Reader(path)
    members = reader.members()
    folders = list(dict.fromkeys(member.path.rpartition("/")[0] for member in members))
    builder.sweep()
    cache.sweep(provisioned.root())
    make_folder(cache.root(), OTHER_CACHE)
    builder.check_space(cache.root(), sum(member.size for member in members) // 1_000_000 + 1, "import this file")
    with _fresh_folders(folders) as fresh:
        watcher.note("reading, and comparing every hash")
        reader.extract(lambda name: _place(fresh, name), lambda share: watcher.advance(share, 1.0))
        boxes = {name: _opened(path, name, fresh[name], members) for name in folders}
        return [_publish(path, name, box, asked_for=name == folders[-1]) for name, box in boxes.items()]


def why_unused(box: Box) -> str | None:
    """Return why a run on this host would not use `box`; None if it would."""
    try:
        return _why_machine_unused(box) if isinstance(box, ProvisionedBox) else _why_box_unused(box)
    except HarnessError as error:  # its recipe here, its lock or the box of a machine is wrong
        return f"{error.where}: {error.what}"


def _why_box_unused(box: Box) -> str | None:
    if box.name not in recipes.names():
        return f"no recipe {box.name!r} is here"
    recipe = recipes.recipe(box.name)
    here = cache.inputs(recipe, lock_file.beside(recipe), cache.kernel_of(box))
    there = description.read(box.folder).inputs or {}
    differs = {key for key in here if here[key] != there.get(key)}
    if bool(here["lock"]) != bool(box.lock):
        differs.discard("commands")  # a build from a lock has one command more
    reasons = []
    if "recipe" in differs:
        reasons.append(f"the recipe {box.name}.yaml here differs")
    if differs & {"commands", "files", "kernel_scripts"}:
        reasons.append("another version of harness built it, with other commands, scripts or files for the guest")
    if "lock" in differs:
        reasons.append(_other_lock(box.lock, here["lock"], lock_file.path_of(recipe)))
    return "; ".join(reasons) or None


def _other_lock(there: str | None, here: str | None, path: Path) -> str:
    if there and here:
        return f"it was built from another lock than {path}"
    if there:
        return f"it was built from a lock, and there is no {path}"
    return f"it was built without a lock, and here is {path}"


def _why_machine_unused(box: ProvisionedBox) -> str | None:
    made = box.provisioning
    if provisioned.key(made.base, made.roles, made.variables) != box.digest:
        return "the roles in ansible/ here differ"
    base = cache.find(made.base)
    return _why_box_unused(base) if base else f"the box {made.base[:12]} that it was made from is not in the cache"


def _only(target: str, boxes: Sequence[Box]) -> Box:
    digests = dict.fromkeys(box.digest for box in boxes)
    if len(digests) == 1:  # of several machines with one key, the newest is used, and is first here
        return boxes[0]
    listed = ", ".join(digest[:12] for digest in digests)
    raise UsageError(f"several boxes match {target!r}", expected=f"the beginning of one digest: {listed}")


def _store(box: Box) -> str:
    return "provisioned" if isinstance(box, ProvisionedBox) else "boxes"


def _files(folder: Path) -> list[Path]:
    """Return the files of a box, the disk before the Vagrant box that holds it."""
    names = {*description.read(folder).parts, description.FILE}
    names |= {name for name in ("metadata.json",) if (folder / name).is_file()}
    return [folder / name for name in sorted(names)]


def _check_target(target: Path) -> None:
    what = "there is no such folder" if not target.parent.is_dir() else "this is a folder" if target.is_dir() else None
    if paths.cache_dir() in target.resolve().parents:
        what = "this is inside the cache"
    if what:
        raise UsageError(what, where=str(target), expected="the path of a file to write")


@contextmanager
def _fresh_folders(folders: Sequence[str]) -> Iterator[dict[str, Path]]:
    """Make a folder for each box that is not complete yet, beside where it will be; remove what is left at the end."""
    with ExitStack() as stack:
        fresh = {}
        for name in folders:
            root = provisioned.root() if name.startswith("provisioned/") else cache.root()
            fresh[name] = stack.enter_context(cache.fresh_folder(root))
        yield fresh


def _place(fresh: Mapping[str, Path], name: str) -> Path:
    folder, _, part = name.rpartition("/")
    return fresh[folder] / part


def _opened(path: Path, name: str, folder: Path, members: Sequence[Member]) -> Box:
    """Return the box that was read into `folder`, if its description is right in every point that can be checked."""
    store, _, folder_name = name.partition("/")
    open_box: Callable[[Path, str], Box] = cache.open_box if store == "boxes" else provisioned.open_box
    try:
        box, described = open_box(folder, folder_name), description.read(folder, folder_name)
    except DamagedBoxError as error:
        raise _wrong(path, error.what, f"the description of {name}") from None
    hashes = {one.path.rpartition("/")[2]: one.sha256 for one in members if one.path.startswith(f"{name}/")}
    undescribed = hashes.keys() - described.parts.keys() - {description.FILE, "metadata.json"}
    if undescribed or any(hashes.get(part) != digest for part, digest in described.parts.items()):
        raise _wrong(path, "its files are not those of its description", "the files and hashes in box.json")
    if store == "boxes" and described.inputs is None:
        raise _wrong(path, "its description does not say what it was made from", "recipe, commands, files and lock")
    return box


def _wrong(path: Path, what: str, expected: str) -> BoxError:
    hint = "export it again; a box of a version before 0.3 has to be built here"
    return BoxError(f"this file holds no usable box: {what}", where=str(path), expected=expected, hint=hint)


def _publish(path: Path, name: str, box: Box, *, asked_for: bool) -> ImportedBox:
    """Rename a complete folder into the cache, unless a box with its digest is there."""
    final = paths.cache_dir() / name
    with cache.lock(box.digest):
        if not description.is_there(final):
            box = cache.publish(box, final)
            return ImportedBox(box, "new", why_unused(box))
        there = replace(box, folder=final)
        cache.require_unchanged(there)
        if description.read(final).parts == description.read(box.folder, final.name).parts:
            return ImportedBox(there, "here already", why_unused(there))
        if asked_for:
            raise BoxError(
                f"another box of the same recipe, {box.digest[:12]}, is in the cache: its packages or its disk differ",
                where=str(final),
                hint=f"compare {final / 'packages'} with that of the other host; to replace the box here: "
                f"harness box rm {box.name}, then import {path} again",
            )
    return ImportedBox(there, "here already, with other packages or another disk; it stays", why_unused(there))
