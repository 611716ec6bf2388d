"""A file on a machine that is not trusted: its size is asked first, and no more than that is read."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import paramiko

from harness.errors import HostError, RemoteError

BLOCK_BYTES = 1 << 18
KEEP_FREE_BYTES = 256 << 20  # of the disk, for whoever else writes to it


def size_of(sftp: paramiko.SFTPClient, remote: str, most_bytes: int) -> int:
    """Return the size of a regular file. Raises RemoteError for anything else, such as a link, and for a larger one."""
    facts = sftp.lstat(remote)
    if not stat.S_ISREG(facts.st_mode or 0) or facts.st_size is None:
        raise RemoteError(f"{remote} is not a regular file")
    if facts.st_size > most_bytes:
        raise RemoteError(f"{remote} has {facts.st_size} bytes", expected=f"at most {most_bytes}")
    return facts.st_size


def require_room(size: int, remote: str, folder: Path) -> None:
    """Raise HostError unless the disk of `folder` has room for `size` bytes."""
    free = shutil.disk_usage(folder).free
    if size + KEEP_FREE_BYTES > free:
        raise HostError(
            f"the disk of this host has no room for {remote}",
            where=str(folder),
            expected=f"{(size + KEEP_FREE_BYTES) / 1e6:.0f} MB free; there are {free / 1e6:.0f} MB",
            hint="free some space",
        )


def blocks(channel: paramiko.Channel, remote: str, size: int) -> Iterator[bytes]:
    """Yield what the command on `channel` prints, the content of `remote`, which has to have `size` bytes.

    Raises RemoteError when it has more or fewer, EOFError when the connection was lost.
    """
    done = 0
    while block := channel.recv(BLOCK_BYTES):
        done += len(block)
        if done > size:
            raise RemoteError(f"{remote} grew while it was copied", expected=f"{size} bytes")
        yield block
    status = channel.recv_exit_status()
    if status < 0:
        raise EOFError("the connection ended before the file did")
    if done < size or status:
        said = channel.recv_stderr(BLOCK_BYTES)[-500:].decode("utf-8", "replace").strip()
        raise RemoteError(f"{remote} ended after {done} bytes{': ' if said else ''}{said}", expected=f"{size} bytes")
