"""One process at a time in a run folder.

The lock is the kernel's (flock), so it ends with the process that holds it, even after SIGKILL. A file beside it names
the holder. It is read only after the lock was refused, so a file that a dead process left is never used.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from harness.errors import LockedError
from harness.files import as_host_error, write_atomic
from harness.store.clock import now

LOCK = ".lock"
HOLDER = ".lock.json"
PATIENCE_S = 1.0  # `is_locked` in another process takes the lock briefly


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a run folder. Raises LockedError, naming the holder, when another process has it."""
    lock = FileLock(folder / LOCK, timeout=PATIENCE_S)
    with as_host_error(folder / LOCK):
        try:
            lock.acquire()
        except Timeout:
            raise held_by_another(folder) from None
    try:
        write_atomic(folder / HOLDER, json.dumps({"pid": os.getpid(), "since": now()}))
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        lock.release()


@contextmanager
def unchanged(folder: Path) -> Iterator[None]:
    """Keep other processes from locking a run folder while it is read. Raises LockedError when one has locked it.

    Only a folder that was never locked, and in which this user may make no file, is read without a lock.
    """
    with ExitStack() as held:
        with suppress(OSError):  # as above, or a file system without locks
            flags = os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            lock = held.enter_context(os.fdopen(os.open(folder / LOCK, flags, 0o644), "rb"))
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise held_by_another(folder) from None
        yield


@contextmanager
def of_tables(folder: Path, kind: int) -> Iterator[None]:
    """Hold a lock of the kernel (`fcntl.LOCK_*`) on a folder itself, which also those can who may not write there.

    Raises LockedError, with LOCK_NB, when another process has one. A folder that is not there is not locked, nor is one
    on a file system without such locks.
    """
    with ExitStack() as held:
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, kind)
            except BlockingIOError:
                what, hint = "another process reads tables in this folder", "wait for it to end, or stop it"
                raise LockedError(what, where=str(folder), hint=hint) from None
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a live process holds the lock.

    The question shares the lock for a moment, so that two that ask at once do not take each other for the holder; and
    it only reads, so that the runs of other users can be asked about.
    """
    try:
        with (folder / LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # it was never locked, or the file system has no locks
        return False
    return False


def held_by_another(folder: Path) -> LockedError:
    """Return the error of a folder that another process has locked."""
    return LockedError(
        "another process works in this run folder",
        where=str(folder),
        expected="no other campaign, report or training in it",
        hint=f"wait for {_holder(folder)} to end, or stop it",
    )


def holder(folder: Path) -> dict[str, Any]:
    """Return `pid` and `since` of the process that holds the lock, which has to be held; empty if it is not named."""
    try:
        named = json.loads((folder / HOLDER).read_text("utf-8"))
        return {"pid": int(named["pid"]), "since": str(named["since"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _holder(folder: Path) -> str:
    named = holder(folder)
    return f"process {named['pid']} (since {named['since']})" if named else "the other process"
