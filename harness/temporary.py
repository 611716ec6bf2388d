"""Temporary files and folders, and the sweep of those whose owner was killed.

A name is `.NAME.PID.HEX.tmp`. As long as its owner lives, it holds the kernel's lock (flock) on the file, or on the
file `.owner` in the folder; the kernel lets go of it when the owner ends, also after SIGKILL. So what can be locked was
left behind. The process id is there for people only: another process may have it by now, and on another host, or in a
container, that shares the folder, it says nothing. A lock is seen from every container, and NFS passes it on. Where a
file system has no locks, nothing is swept, because nobody can tell what is in use.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

OWNER = ".owner"  # the file in a temporary folder that its owner holds
_NAME = re.compile(r"\..+\.\d+\.[0-9a-f]{8}\.tmp")
_KEPT_BYTES = 200  # of a long name, so that the temporary one is no longer than a file system allows


@contextmanager
def held_file(path: Path) -> Iterator[Path]:
    """Make an empty temporary file beside `path`; it is removed at the end, if it is still there. Raises OSError.

    Others may write it by its name, but must not put another file in its place.
    """
    while True:
        temporary = name_beside(path)
        with _removed(temporary, _unlink):
            if lock := _hold(temporary):
                with lock:
                    yield temporary
                return


@contextmanager
def held_folder(parent: Path, name: str, remove: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Make a temporary folder in `parent`, for this user only; `remove` empties and removes it. Raises OSError."""
    while True:
        folder = name_beside(parent / name)
        with _removed(folder, remove or remove_folder):
            folder.mkdir(mode=0o700)
            if lock := _hold(folder / OWNER):
                with lock:
                    yield folder
                return


def sweep(folder: Path, remove: Callable[[Path], None] | None = None) -> None:
    """Remove the temporary files and folders in `folder` that killed processes of this user left.

    `remove` does that with a folder.
    """
    with suppress(OSError), os.scandir(folder) as entries:
        for path in [Path(entry.path) for entry in entries if _NAME.fullmatch(entry.name)]:
            remove_if_left(path, remove)


def remove_if_left(path: Path, remove: Callable[[Path], None] | None = None) -> None:
    """Remove a temporary file or folder of this user unless its owner lives; what cannot be removed stays."""
    with suppress(OSError):
        if path.lstat().st_uid != os.geteuid():
            return
        if path.is_dir() and not path.is_symlink():
            _remove_folder_if_left(path, remove or remove_folder)
        else:
            with _open(path, os.O_RDONLY) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()


def remove_folder(folder: Path) -> None:
    """Remove a temporary folder, the file of its owner last, so that the next sweep takes up what is not done."""
    with suppress(OSError):
        content = [path for path in folder.iterdir() if path.name != OWNER]
        for path in content:
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if not any(map(os.path.lexists, content)):
            shutil.rmtree(folder)


def _remove_folder_if_left(folder: Path, remove: Callable[[Path], None]) -> None:
    try:
        owner = _open(folder / OWNER, os.O_RDONLY)
    except FileNotFoundError:
        folder.rmdir()  # refused unless it is empty; its owner may be about to hold it, and then makes another
        return
    with owner:
        fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
        remove(folder)


def name_beside(path: Path) -> Path:
    """Return a new name for a temporary file or folder beside `path`."""
    name = os.fsdecode(os.fsencode(path.name)[:_KEPT_BYTES])
    return path.with_name(f".{name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")


@contextmanager
def _removed(path: Path, remove: Callable[[Path], None]) -> Iterator[None]:
    """Remove what the block makes. A stop signal may come in the middle of that, but only once: so do it twice."""
    try:
        try:
            yield
        finally:
            remove(path)
    finally:
        remove(path)


def _hold(path: Path) -> IO[bytes] | None:
    """Create a file and hold it. Return None if a sweep took it, or its folder, before it was held."""
    try:
        lock = _open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    except FileNotFoundError:
        if path.name == OWNER:
            return None
        raise
    with suppress(OSError):  # a file system without locks
        fcntl.flock(lock, fcntl.LOCK_EX)
    if path.exists():
        return lock
    lock.close()
    return None


def _unlink(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _open(path: Path, flags: int) -> IO[bytes]:
    mode = 0o600 if path.name == OWNER else 0o666  # nobody else may hold a folder
    descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, mode)
    return os.fdopen(descriptor, "wb" if flags & os.O_WRONLY else "rb")
