"""Write the files of a model whole, read JSON, hash files, and name the errors of weights that do not fit."""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import safetensors

MOST_BYTES, MOST_JSON_BYTES = 2 << 30, 32 << 20  # more than any training or run writes
SEAL = "sha256"  # the key of the SHA-256 that a JSON file has of its own content
WEIGHT_ERRORS = (  # raised by arrays that do not belong to the predictor which restores them
    safetensors.SafetensorError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)


def write_atomic(path: Path, content: bytes) -> None:
    """Write the file whole or not at all, and remove what killed processes left of the same file.

    The temporary file is locked while its owner lives, so one that can be locked was left behind.
    """
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        _remove_if_left(left)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(file, fcntl.LOCK_EX)
            if not temporary.exists():  # another process removed it before it was locked
                return write_atomic(path, content)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_if_left(temporary: Path) -> None:
    with suppress(OSError), temporary.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        temporary.unlink()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading. Raises OSError for anything else, without waiting for the writer of a pipe."""
    foreign = OSError(errno.EINVAL, "it is a device, a pipe or a socket", str(path))
    try:
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    except OSError as error:
        raise (foreign if error.errno in (errno.ENXIO, errno.EISDIR) else error) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise foreign
    return file


def read_bytes(path: Path) -> bytes:
    """Return the content of a regular file of at most MOST_BYTES. Raises OSError."""
    with open_regular(path) as file:
        if os.fstat(file.fileno()).st_size > MOST_BYTES:
            raise OSError(errno.EFBIG, f"it is larger than {MOST_BYTES >> 30} GiB", str(path))
        return file.read()


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. Raises OSError, and ValueError for what is no file, no JSON, or too deep."""
    try:
        with open_regular(path) as file:
            content = file.read(MOST_JSON_BYTES + 1)
    except OSError as error:
        raise (ValueError(error.strerror) if error.errno == errno.EINVAL else error) from None
    if len(content) > MOST_JSON_BYTES:
        raise ValueError(f"it is larger than {MOST_JSON_BYTES >> 20} MiB")
    try:
        return json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of a JSON file with its SHA-256, by which `is_changed` notices another program's change."""
    return {**unsealed(content), SEAL: _content_sha256(content)}


def unsealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content without its SHA-256."""
    return {key: value for key, value in content.items() if key != SEAL}


def is_changed(content: Mapping[str, Any]) -> bool:
    """Return whether content that was read differs from its own SHA-256; versions before 0.3.0 wrote none."""
    return SEAL in content and content[SEAL] != _content_sha256(content)


def _content_sha256(content: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(unsealed(content)))  # as it will be read: keys are texts, tuples are lists
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, read block by block. Raises OSError."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
