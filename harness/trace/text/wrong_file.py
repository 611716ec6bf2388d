"""Files that are no text of perf, named by how they begin: recordings, compressed files, other encodings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import BinaryIO

from harness.errors import TraceError
from harness.trace.perf_data.compressed_file import unpacked_start
from harness.trace.perf_data.file_kind import MAGIC_BIG, MAGIC_LITTLE, compression_of

PERF_SCRIPT, FTRACE, SCHED_MAP = "perf script", "trace-cmd report", "perf sched map"
FORMS = f"the text of `{PERF_SCRIPT}`, of `{FTRACE}` (or ftrace's own), or of `{SCHED_MAP}`"
WITH_NS = {PERF_SCRIPT: "perf script --ns", FTRACE: "trace-cmd report -t"}
_OTHER_TEXTS = {  # how other texts of perf and trace-cmd begin
    "the text of `perf sched timehist`, which has no priorities or wakeups": rb"\s+time +cpu +task name\b",
    "the summary of `perf sched timehist`, which has no events": rb"\s*Runtime summary\b",
    "the text of `perf sched latency`, which has no events": rb"\s*Task +\| +Runtime ms\b",
    "the text of `perf report`, which has no times": rb"# To display the perf\.data header info|\s+[\d.]+% ",
    "the dump of `perf script -D`": rb"\.? *0x[0-9a-f]+(?:@| \[0x)",
    "an error that perf printed": rb"\s*(?:Error:|failed to open|Invalid field|Samples for '|Usage: perf)",
    "an error that trace-cmd printed": rb"\s*(?:trace-cmd: |usage:)",
}
_TRACE_DAT = b"\x17\x08\x44tracing"
_PRINT = "print it with `perf script --ns`; for the recording itself use `harness trace convert perf.data`"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def refuse_other_files(path: Path, file: BinaryIO, start: bytes) -> None:
    """Raise TraceError, with what to do, if an open file that begins with `start` is plainly no text of perf."""
    compression = compression_of(start)
    unpacked = unpacked_start(file, compression) if compression else start
    if unpacked.startswith((MAGIC_LITTLE, MAGIC_BIG)):
        what, hint = "this is a perf.data file, not a text", f"harness trace convert {path}"
    elif unpacked.startswith(_TRACE_DAT):
        what, hint = "this is a trace.dat file of trace-cmd", "print its text: trace-cmd report -t -N FILE > text"
    elif compression:
        what, hint = f"this is a {compression} file", "unpack it, and give the text"
    elif start.startswith(_UTF_16) or (b"\0" in start[:64][1::2] and b"\0" not in start[:64][::2]):
        what, hint = "this text is in UTF-16, as PowerShell writes it", "iconv -f UTF-16 -t UTF-8 TEXT > NEW"
    elif b"\0" in start:
        what, hint = "this is no text: it holds zero bytes", "print it with `perf script` or `perf sched map`"
    else:
        return
    raise TraceError(what, where=str(path), expected=FORMS, hint=hint)


def name_text(content: bytes) -> tuple[str, str]:
    """Return what a text is that begins with this line, and what to do instead."""
    for what, begin in _OTHER_TEXTS.items():
        if re.match(begin, content):
            return f"this is {what}", _PRINT
    return "this is no text that can be read", _PRINT
