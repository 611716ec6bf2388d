"""Compiles the C sources beside this file into one shared library."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from harness.errors import TraceError

HERE = Path(__file__).parent
# No -march=native: a cache may be shared by machines that differ.
FLAGS = ("-std=c11", "-O2", "-ftree-vectorize", "-fPIC", "-shared", "-Wall", "-Wextra")
_LIMIT_S = 120
_NEED = "sudo apt-get install gcc libc6-dev, or set HARNESS_NATIVE=0 to do without compiled code"


def sources() -> list[Path]:
    """The C files, in the order in which the compiler gets them."""
    return sorted(HERE.glob("*.c"))


def compiler() -> str | None:
    """The C compiler: `CC`, or else the first `cc` on the PATH; None where there is none."""
    name = os.environ.get("CC") or "cc"
    for folder in ("",) if os.sep in name else os.get_exec_path():
        found = os.path.join(folder, name)
        if os.path.isfile(found) and os.access(found, os.X_OK):
            return os.path.realpath(found)
    return None


def digest(compiler: str, flags: Sequence[str] = FLAGS) -> str:
    """What a library depends on: the sources, the flags, the machine, and the very file that is the compiler."""
    import hashlib

    kept = os.stat(compiler)
    told = [*flags, os.uname().machine, compiler, str(kept.st_size), str(kept.st_mtime_ns)]
    whole = hashlib.sha256("\0".join(told).encode())
    for path in sorted([*sources(), *HERE.glob("*.h")]):
        whole.update(path.name.encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:24]


def build(target: Path, compiler: str, flags: Sequence[str] = FLAGS) -> None:
    """Compile every source into `target`, which appears whole or not at all, whoever else makes it meanwhile.

    Raises TraceError with the compiler's first words where it fails, OSError where the folder cannot be written.
    """
    import subprocess

    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    command = [compiler, *flags, "-o", str(temporary), *map(str, sources())]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_LIMIT_S)
        if done.returncode:
            raise TraceError(f"the C compiler failed: {_first_words(done.stderr)}", where=compiler, hint=_NEED)
        temporary.replace(target)
    except subprocess.TimeoutExpired:
        raise TraceError(f"the C compiler took longer than {_LIMIT_S} s", where=compiler, hint=_NEED) from None
    finally:
        temporary.unlink(missing_ok=True)


def _first_words(text: str) -> str:
    """The first line of a compiler's message that speaks of an error."""
    lines = text.strip().splitlines() or ["it said nothing"]
    return next((line for line in lines if "error" in line), lines[0])[:300]
