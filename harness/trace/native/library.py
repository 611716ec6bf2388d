"""Loads the compiled code of this folder; hatch_build.py compiles it when the package is built or installed."""

from __future__ import annotations

import ctypes
import zlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import HostError

LIBRARY = Path(__file__).with_name("libtrace.so")
Signatures = dict[str, tuple[Any, list[Any]]]  # function -> (type of its result, types of its arguments)


def load_functions(signatures: Signatures) -> ctypes.CDLL:
    """Return the library, with these functions typed. HostError where it or one of the functions is missing."""
    library = load_library()
    try:
        for name, (result, arguments) in signatures.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except AttributeError as error:
        raise _unusable(str(error)) from error
    return library


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL:
    """Return the library, loaded once. HostError where it is missing, damaged or older than the sources beside it."""
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.sources_checksum.restype = ctypes.c_int64
        outdated = sources_checksum() not in (None, library.sources_checksum())
    except (OSError, AttributeError) as error:
        raise _unusable(str(error)) from error
    if outdated:
        raise _unusable("it was built from other sources")
    return library


def sources_checksum() -> int | None:
    """Return the CRC-32 of the C sources in this folder; None in a wheel, which carries none."""
    checksum = 0
    for source in sorted(Path(__file__).parent.glob("*.[ch]")):
        checksum = zlib.crc32(source.read_bytes(), checksum)
    return checksum or None


def _unusable(reason: str) -> HostError:
    return HostError(
        f"the compiled trace decoder cannot be loaded: {reason}",
        where=str(LIBRARY),
        expected="a library built from the C sources of this version",
        hint="in a checkout `make build`; otherwise reinstall the package",
    )
