"""Names what this host denied a command: errors of the system that no code nearer to them has put into words."""

from __future__ import annotations

import errno
import os

from harness.errors import HarnessError, HostError, MissingExtraError, UsageError
from harness.extras import MODULES

GO_ON = "`harness run --resume` continues a run"
SENTENCES = {  # errno: what failed, what to do
    errno.ENOSPC: ("the disk is full", f"free some space and try again; {GO_ON}"),
    errno.EDQUOT: ("your disk quota is used up", f"free some space and try again; {GO_ON}"),
    errno.EROFS: ("this file system is read-only", "use a folder that you may write to"),
    errno.EACCES: ("you have no permission for this", "change its owner or mode, or use another folder"),
    errno.EPERM: ("the system does not permit this", "change its owner or mode, or use another folder"),
    errno.EMFILE: ("this process has as many files open as it may", "raise the limit (ulimit -n)"),
    errno.ENFILE: ("this host has as many files open as it may", "close other programs"),
    errno.ENOMEM: ("this host has too little memory", "close other programs, or raise the limit (ulimit -v)"),
    errno.EAGAIN: ("this host starts no further process or thread", "raise the limit (ulimit -u)"),
    errno.EIO: ("the device reports an error", "look at the kernel's log (dmesg); restore the file from a copy"),
    errno.ESTALE: ("the file server no longer knows this file", "mount it again"),
}
MISTYPED = {  # what only a wrong argument or variable leads to
    errno.ENAMETOOLONG: ("this name is too long for a file", "names of at most 255 bytes"),
    errno.ELOOP: ("these symbolic links lead back to themselves", "a path that leads to a file"),
    errno.ENOTDIR: ("a part of this path is no folder", "a path through folders"),
}
MEANT = {  # what other kinds of exception say when the system refused memory or a thread
    "can't allocate memory": errno.ENOMEM,
    "failed to map segment": errno.ENOMEM,
    "can't start new thread": errno.EAGAIN,
}
LOOP = "Symlink loop from "  # what pathlib says before Python 3.13


def host_trouble(error: Exception) -> HarnessError | None:
    """Return the error for what this host denied or lacks, or for a name that it cannot have; None for another one."""
    if isinstance(error, ModuleNotFoundError) and error.name in MODULES:
        return MissingExtraError(*MODULES[error.name])
    if isinstance(error, MemoryError):
        error = OSError(errno.ENOMEM, "")
    if isinstance(error, RuntimeError) and str(error).startswith(LOOP):
        error = OSError(errno.ELOOP, "", str(error).removeprefix(LOOP).strip("'"))
    if isinstance(error, (RuntimeError, ImportError)):
        error = next((OSError(meant, "") for text, meant in MEANT.items() if text in str(error)), error)
    if not isinstance(error, OSError):
        return None
    if error.errno == errno.ENOENT and (missing := _missing_folder(error)):
        return missing
    where = os.fsdecode(error.filename)[:200] if isinstance(error.filename, (str, bytes)) else None
    if error.errno in MISTYPED:
        what, expected = MISTYPED[error.errno]
        return UsageError(what, where=where, expected=expected)
    if error.errno in SENTENCES:
        what, hint = SENTENCES[error.errno]
        return HostError(what, where=where, hint=hint)
    return None


def _missing_folder(error: OSError) -> HostError | None:
    """Return the error for a folder that every process takes for granted."""
    if "No usable temporary directory" in str(error):
        return HostError(
            "there is no folder for temporary files",
            where=f"TMPDIR={os.environ['TMPDIR']}" if "TMPDIR" in os.environ else "/tmp",
            expected="a folder that you may write to",
            hint="make it, or name another one in the environment variable TMPDIR",
        )
    try:
        os.getcwd()
    except FileNotFoundError:
        return HostError("the folder that this command was started in is gone", hint="cd to another folder")
    return None
