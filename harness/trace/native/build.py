"""Compiles the C sources beside this file into one shared library, and tells such a library that is whole."""

from __future__ import annotations

import os
import shlex
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

from harness.errors import HostError

HERE = Path(__file__).parent
# No -march=native: a cache may be shared by machines that differ.
FLAGS = ("-std=c11", "-O2", "-ftree-vectorize", "-fPIC", "-shared", "-Wall", "-Wextra")
LIMIT_S = 60.0
_NEED = "sudo apt-get install gcc libc6-dev, or set HARNESS_NATIVE=0 to do without compiled code"
_DIGEST_BYTES = 32  # of SHA-256, behind the library's own bytes, where no loader looks


def sources() -> list[Path]:
    """The C files, in the order in which the compiler gets them."""
    return sorted(HERE.glob("*.c"))


def compiler() -> tuple[str, ...]:
    """The C compiler as words of a command: `CC`, or else the first `cc` on the PATH. HostError where there is none."""
    asked = shlex.split(os.environ.get("CC", "")) or ["cc"]
    for folder in ("",) if os.sep in asked[0] else os.get_exec_path():
        found = os.path.join(folder, asked[0])
        if os.path.isfile(found) and os.access(found, os.X_OK):
            return (found, *asked[1:])  # not resolved: ccache goes by the name it is called by
    source = "from CC" if os.environ.get("CC") else "no CC is set"
    raise HostError(f"there is no C compiler `{asked[0]}` ({source})", hint=_NEED)


def digest(compiler: Sequence[str], flags: Sequence[str] = FLAGS) -> str:
    """What a library depends on: the sources, the flags, the machine, and the very file that is the compiler."""
    import hashlib

    file = os.path.realpath(compiler[0])
    kept = os.stat(file)
    told = [*flags, os.uname().machine, *compiler, file, str(kept.st_size), str(kept.st_mtime_ns)]
    whole = hashlib.sha256("\0".join(told).encode())
    for path in sorted([*sources(), *HERE.glob("*.h")]):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:24]


def build(target: Path, compiler: Sequence[str], flags: Sequence[str] = FLAGS, limit_s: float = LIMIT_S) -> None:
    """Compile every source into `target`, which appears whole or not at all, whoever else makes it meanwhile.

    The folder is made for this user alone. Raises HostError with the compiler's first words where it fails, OSError
    where the folder cannot be written.
    """
    import tempfile

    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    os.close(number)
    temporary = Path(name)
    try:
        _compile([*compiler, *flags, "-o", name, *map(str, sources())], limit_s)
        _seal(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def refusal(path: Path) -> str:
    """Why a file is not to be loaded: another user may have written it, or it is not what was built. Empty if it is."""
    import hashlib

    for place in (path, path.parent):
        found = place.stat()
        if found.st_uid not in (0, os.geteuid()) or stat.S_IMODE(found.st_mode) & 0o022:
            return f"{place} may have been written by another user"
    content = path.read_bytes()
    told = content[-_DIGEST_BYTES:]
    return "" if hashlib.sha256(content[:-_DIGEST_BYTES]).digest() == told else f"{path} is damaged"


def _compile(command: list[str], limit_s: float) -> None:
    """Run the compiler in a process group of its own, so that what it starts ends with it."""
    import subprocess

    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        said = process.communicate(timeout=limit_s)[1].decode(errors="replace")
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise HostError(f"the C compiler took longer than {limit_s:g} s", where=command[0], hint=_NEED) from None
    if process.returncode:
        raise HostError(f"the C compiler failed: {_first_words(said)}", where=command[0], hint=_NEED)


def _seal(library: Path) -> None:
    """Put the digest of a library behind it, and both on the disk, for this user to write alone."""
    import hashlib

    with library.open("r+b") as file:
        file.write(hashlib.sha256(file.read()).digest())
        file.flush()
        os.fchmod(file.fileno(), 0o700)
        os.fsync(file.fileno())


def _first_words(text: str) -> str:
    """The first line of a compiler's message that speaks of an error."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "error" in line), lines[0])[:300]
