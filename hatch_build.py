"""Compiles the C of harness/trace/native when the package is built or installed; `make build` does it in a checkout."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import sysconfig
import zlib
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path(__file__).parent / "harness" / "trace" / "native"
LIBRARY = NATIVE / "libtrace.so"
# No -march=native: a wheel may be installed on an older processor than it was built on.
FLAGS = ("-std=c11", "-O2", "-ftree-vectorize", "-fPIC", "-shared", "-Wall", "-Wextra")
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]


def compile_library(target: Path = LIBRARY, more_flags: tuple[str, ...] = ()) -> None:
    """Compile every C file into one shared library. SystemExit with one line if the compiler is missing or fails."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")  # renamed when complete: others may load it
    sources = b"".join(source.read_bytes() for source in sorted(NATIVE.glob("*.[ch]")))
    defined = f"-DSOURCES_CHECKSUM={zlib.crc32(sources)}"  # harness/trace/native/library.py compares it
    command = [*COMPILER, *FLAGS, defined, *more_flags, "-o", str(temporary), *map(str, sorted(NATIVE.glob("*.c")))]
    install = "sudo apt-get install gcc libc6-dev"
    try:
        messages = subprocess.run(command, check=True, stderr=subprocess.PIPE, text=True).stderr
        temporary.replace(target)
    except FileNotFoundError:
        raise SystemExit(f"harness needs a C compiler, and there is no `{COMPILER[0]}`: {install}") from None
    except subprocess.CalledProcessError as failure:
        error = next((line for line in failure.stderr.splitlines() if "error" in line), "no error message")
        raise SystemExit(f"`{COMPILER[0]}` failed: {error}; if a header is missing: {install}") from None
    finally:
        temporary.unlink(missing_ok=True)
    sys.stderr.write(messages)


class NativeLibrary(BuildHookInterface):
    """Puts the compiled library into the wheel, which is then for this platform and any Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the library, before hatchling writes a wheel or an editable installation."""
        compile_library()
        build_data["artifacts"].append(f"/{LIBRARY.relative_to(self.root)}")
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")


if __name__ == "__main__":
    compile_library()
