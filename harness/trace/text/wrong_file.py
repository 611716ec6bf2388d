"""Files that are no text of perf, named by how they begin: recordings, compressed files, other encodings."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.compressed_file import unpacked_start
from harness.trace.perf_data.file_kind import MAGIC_BIG, MAGIC_LITTLE, compression_of

PERF_SCRIPT, SCHED_MAP = "perf script", "perf sched map"
FORMS = f"the text of `{PERF_SCRIPT}` or of `{SCHED_MAP}`"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def refuse_other_files(path: Path, file: BinaryIO, start: bytes) -> None:
    """Raise TraceError, with what to do, if an open file that begins with `start` is plainly no text of perf."""
    compression = compression_of(start)
    unpacked = unpacked_start(file, compression) if compression else start
    if unpacked.startswith((MAGIC_LITTLE, MAGIC_BIG)):
        what, hint = "this is a perf.data file, not a text", f"harness trace convert {path}"
    elif compression:
        what, hint = f"this is a {compression} file", "unpack it, and give the text"
    elif start.startswith(_UTF_16) or (b"\0" in start[:64][1::2] and b"\0" not in start[:64][::2]):
        what, hint = "this text is in UTF-16, as PowerShell writes it", "iconv -f UTF-16 -t UTF-8 TEXT > NEW"
    elif b"\0" in start:
        what, hint = "this is no text: it holds zero bytes", "print it with `perf script` or `perf sched map`"
    else:
        return
    raise TraceError(what, where=str(path), expected=FORMS, hint=hint)
