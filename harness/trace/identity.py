"""Which recording the tables were made of: its name, its size and its SHA-256, taken while it is decoded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.files import open_regular
from harness.trace.perf_data.folder import data_files, main_file
from harness.trace.perf_data.recording import Recording
from harness.trace.perf_data.records import as_trace_error

_BLOCK_BYTES = 1 << 20

Identity = dict[str, Any]


@contextmanager
def identify(path: Path, recording: Recording | None = None) -> Iterator[Callable[[], Identity]]:
    """Hash a recording, or a text, in a thread; yield the function that waits for the result and returns it.

    `name`, `bytes` and `sha256` are those of the file as it was given. Of a compressed one, `compression` names the
    kind and `unpacked` has the bytes and the SHA-256 of what is in it, so that both forms are known as one recording.
    Of a folder, `files` has those of each file, and `sha256` is that of the lines that `sha256sum data data.0 ...`
    prints. Raises TraceError if a file cannot be read.
    """
    ended = threading.Event()
    with ThreadPoolExecutor(max_workers=1) as thread:
        identity = thread.submit(_identity, path, recording, ended)
        try:
            yield identity.result
        finally:
            ended.set()  # nobody waits for the hash of a recording that was refused


def _identity(path: Path, recording: Recording | None, ended: threading.Event) -> Identity:
    unpacked = recording.decompressed if recording else None
    with as_trace_error():
        if path.is_dir():
            return _folder(path, ended)
        identity = {"name": path.name, **_hashed(path, ended)}
        if unpacked:
            identity |= {"compression": unpacked.kind, "unpacked": _hashed(unpacked.path, ended)}
        return identity


def _folder(path: Path, ended: threading.Event) -> Identity:
    import hashlib

    files = [{"name": file.name, **_hashed(file, ended)} for file in (main_file(path), *data_files(path))]
    lines = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
    size, digest = sum(file["bytes"] for file in files), hashlib.sha256(lines.encode()).hexdigest()
    return {"name": path.resolve().name, "bytes": size, "sha256": digest, "files": files}


def _hashed(path: Path, ended: threading.Event) -> Identity:
    import hashlib

    digest, size = hashlib.sha256(), 0
    with open_regular(path) as source:
        while not ended.is_set() and (block := source.read(_BLOCK_BYTES)):
            digest.update(block)
            size += len(block)
    return {"bytes": size, "sha256": digest.hexdigest()}
