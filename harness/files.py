"""Files on disk: written whole or not at all, flushed to the disk, hashed, and their errors made clear.

This module is imported by everything that reads a recording, so `hashlib` and `shutil` are imported only when used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO

from harness.errors import HostError
from harness.paths import scratch_dir
from harness.temporary import held_file, held_folder, sweep

SEAL = "sha256"  # the key of the SHA-256 that a JSON file has of its own content
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_BLOCK_BYTES = 1 << 20


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that `path` holds the old content or the new one, never a part of it; text becomes UTF-8.

    Raises HostError when the disk is full or the folder cannot be written to.
    """
    with atomic_file(path) as sink:
        sink.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; rename it to `path` when the block ends, remove it after an error.

    An OSError in the block counts as an error of writing `path`. Raises HostError.
    """
    with as_host_error(path), atomic_path(path) as temporary, temporary.open("wb") as sink:
        yield sink


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file that the block leaves there is flushed and renamed to `path`.

    Use it for a file that another program or library writes by name; it must not put another file in its place. After
    an error the temporary file is removed. If the block removed it, `path` is unchanged. A link is followed. What
    killed processes left in the folder is removed. Raises HostError when the file cannot be made, flushed or renamed,
    and for a device, a pipe or a socket, which the rename would replace.
    """
    path = path.resolve() if path.is_symlink() else path
    _refuse_device(path)
    sweep(path.parent)
    with ExitStack() as held:
        with as_host_error(path):
            temporary = held.enter_context(held_file(path))
        yield temporary
        if temporary.exists():
            with as_host_error(path):
                sync(temporary)
                temporary.replace(path)
                sync(path.parent)


@contextmanager
def as_host_error(path: Path, hint: str | None = None) -> Iterator[None]:
    """Turn an OSError from writing `path` into a HostError that names the file and the free space, or says `hint`."""
    name = path.name or path
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise HostError(
                f"the disk is full: {name} could not be written",
                where=str(path),
                expected=f"more than the {_free_mb(path.parent):.1f} MB that are free there",
                hint="free some space and do it again; a run goes on with `harness run --resume`",
            ) from error
        what = f"{name} could not be written: {error.strerror or error}"
        raise HostError(what, where=str(path), hint=hint) from error


def make_folder(path: Path, hint: str | None = None) -> None:
    """Make a folder and its parents. Raises HostError with `hint`, also where a file has the folder's name."""
    with as_host_error(path, hint):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except FileExistsError as error:  # "File exists" would hide that it is no folder
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from error


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """Make a temporary folder in the cache, and remove what killed processes left there. Raises HostError."""
    parent = scratch_dir()
    make_folder(parent, hint="name another folder in the environment variable HARNESS_CACHE")
    sweep(parent)
    with ExitStack() as held:
        with as_host_error(parent):
            folder = held.enter_context(held_folder(parent, name))
        yield folder


@contextmanager
def used_folder(path: Path) -> Iterator[None]:
    """Make a folder and its parents as `make_folder` does; remove those of them that the block leaves empty."""
    with as_host_error(path):
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
    make_folder(path)
    try:
        yield
    finally:
        with suppress(OSError):
            for folder in made:
                folder.rmdir()  # refused for a folder that holds something


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some file systems, such as VirtualBox's shared folders, cannot flush a folder
            raise
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError for anything else, without waiting for the writer of a pipe."""
    foreign = OSError(errno.EINVAL, "it is a device, a pipe or a socket", str(path))
    try:
        source = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    except OSError as error:
        raise (foreign if error.errno == errno.ENXIO else error) from None  # a socket cannot be opened
    if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
        source.close()
        raise foreign
    return source


def sha256(path: Path) -> str:
    """Return the SHA-256 of a regular file in hexadecimal, read block by block. Raises OSError."""
    with open_regular(path) as source:
        return sha256_of(source)


def sha256_of(source: IO[bytes]) -> str:
    """Return the SHA-256 of the rest of an open file in hexadecimal, read block by block. Raises OSError."""
    import hashlib

    digest = hashlib.sha256()
    while block := source.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def tree_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their paths. Raises OSError."""
    import hashlib

    if not path.is_dir():
        return sha256(path)
    total = hashlib.sha256()
    for file in _files(path):
        content = f"-> {file.readlink()}" if file.is_symlink() else sha256(file)
        total.update(f"{file.relative_to(path).as_posix()} {content}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the files and links in a folder, sorted; a link is not followed."""
    return sorted(
        Path(parent) / name
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(one for one in folders if (Path(parent) / one).is_symlink())]
    )


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with its SHA-256, by which `is_changed` notices another program's change."""
    plain = {key: value for key, value in content.items() if key != SEAL}
    return {**plain, SEAL: _content_sha256(plain)}


def is_changed(content: Mapping[str, Any]) -> bool:
    """Return whether content that was read differs from its own SHA-256; versions before 0.3.0 wrote none."""
    return SEAL in content and content[SEAL] != sealed(content)[SEAL]


def _content_sha256(content: Mapping[str, Any]) -> str:
    """Return a SHA-256 that does not depend on spaces and order."""
    import hashlib
    import json

    plain = json.loads(json.dumps(content))  # as it will be read: keys are texts, tuples are lists
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _refuse_device(path: Path) -> None:
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise HostError("this is a device, a pipe or a socket", where=str(path), expected="a new or a regular file")


def _free_mb(folder: Path) -> float:
    import shutil

    try:
        return shutil.disk_usage(folder).free / 1e6
    except OSError:
        return 0.0
