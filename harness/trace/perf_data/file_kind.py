"""What a file is, by its first bytes: a recording, a compressed one, or something else, and what to do with that."""

from __future__ import annotations

import string

from harness.errors import TraceError

MAGIC_LITTLE, MAGIC_BIG = b"PERFILE2", b"2ELIFREP"
HEAD_BYTES = 512  # tell what a file is
_RECORD = "record with `perf sched record -o perf.data`"
_UNPACK = "unpack it with `{}`, and give the recording"
_TEXT = bytes(string.printable, "ascii") + b"\x1b" + bytes(range(0x80, 0x100))  # names may hold any letter

_COMPRESSIONS = {  # by magic: those that are unpacked
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\0": "xz",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
}
_UNPACKERS = {
    "zstd": "zstd -d FILE.zst", "gzip": "gunzip FILE.gz", "xz": "xz -d FILE.xz", "bzip2": "bunzip2 FILE.bz2",
    "zip": "unzip FILE",
}  # fmt: skip

# where the magic is, the magic, what the file is, what to do
_KINDS = (
    (0, b"PERFFILE", "a recording by perf from before Linux 3.4 (PERFFILE, version 1 of the format)",
     "convert it with perf: `perf inject -i OLD -o perf.data`"),
    (0, b"ELIFFREP", "a recording by perf from before Linux 3.4 (PERFFILE, version 1 of the format)",
     "convert it with perf: `perf inject -i OLD -o perf.data`"),
    (0, b"\x17\x08\x44tracing", "a trace.dat file of trace-cmd",
     "print its text, which `harness trace import` reads: trace-cmd report -t -N FILE > text"),
    (0, b"\x7fELF", "an ELF file: a program, a library or a core dump", _RECORD),
    (0, b"PK\x05\x06", "an empty zip archive", _RECORD),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK.format("7z x FILE")),
    (0, b"Rar!\x1a\x07", "a RAR archive", _UNPACK.format("unrar x FILE")),
    (0, b"\x04\x22\x4d\x18", "an lz4 file", _UNPACK.format("lz4 -d FILE perf.data")),
    (0, b"\x1f\x9d", "a file of compress", _UNPACK.format("uncompress FILE.Z")),
    (0, b"LZIP", "an lzip file", _UNPACK.format("lzip -d FILE.lz")),
    (0, b"\x89LZO\0", "an lzop file", _UNPACK.format("lzop -d FILE.lzo")),
    (0, b"\x5d\0\0", "an lzma file", _UNPACK.format("xz --format=lzma -d FILE.lzma")),
    (257, b"ustar", "a tar archive", _UNPACK.format("tar -xf FILE")),
    (0, b"\xc1\x1f\xfc\xc1", "a stream of a CTF trace (LTTng)", _RECORD),
    (0, b"\x57\x1d\xd1\x75", "the metadata of a CTF trace (LTTng)", _RECORD),
    (0, b"/* CTF", "the metadata of a CTF trace (LTTng)", _RECORD),
    (0, b"SIMPLEPERF", "a report of simpleperf", "give the perf.data that simpleperf recorded"),
    (0, b"PAR1", "a Parquet file, perhaps a table made of a recording", "give the recording itself"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch the file: `git lfs pull`"),
    (0, b"<!DOCTYPE", "a web page", "download the file that the page shows"),
    (0, b"<!doctype", "a web page", "download the file that the page shows"),
    (0, b"\xff\xfe", "text in UTF-16, as PowerShell writes it", "`harness trace import` says how to read it"),
    (0, b"\xfe\xff", "text in UTF-16", "`harness trace import` says how to read it"),
    (0, b"<html", "a web page", "download the file that the page shows"),
)  # fmt: skip


def compression_of(start: bytes) -> str | None:
    """Return the kind of a compressed file that begins with `start` (6 bytes or more); None for any other file."""
    if start[1:4] == b"\x2a\x4d\x18" and start[0] >> 4 == 5:
        return "zstd"  # it begins with a frame to be skipped, as those of pzstd do
    return next((kind for magic, kind in _COMPRESSIONS.items() if start.startswith(magic)), None)


def is_text(start: bytes) -> bool:
    """Whether a file that begins with `start` (HEAD_BYTES, or the whole file) may be a text."""
    return bool(start) and start[:8] not in (MAGIC_LITTLE, MAGIC_BIG) and not start.translate(None, _TEXT)


def refuse_foreign(start: bytes) -> None:
    """Raise TraceError, with what the file is, unless `start` (HEAD_BYTES, or the whole file) begins a recording."""
    if start[:8] in (MAGIC_LITTLE, MAGIC_BIG):
        return
    if not start:
        raise TraceError("the file is empty", hint=_RECORD)
    what, hint = _description(start)
    raise TraceError(
        f"this is no perf.data file: it is {what}" if what else "this is no perf.data file",
        where="offset 0",
        expected=f"the magic PERFILE2, found {start[:8]!r}",
        hint=hint,
    )


def _description(start: bytes) -> tuple[str, str]:
    """Return what the file is, empty where unknown, and what to do."""
    if kind := compression_of(start):  # of a file that was compressed twice
        return f"a file of {kind}", _UNPACK.format(_UNPACKERS[kind])
    for offset, magic, what, hint in _KINDS:
        if start[offset : offset + len(magic)] == magic:
            return what, hint
    if len(start) < 8 and (MAGIC_LITTLE.startswith(start) or MAGIC_BIG.startswith(start)):
        return f"cut after {len(start)} bytes", "copy or record it again"
    if not start.strip(b"\0"):
        return "only zeros", "copy or record it again: the disk may have been full, or the machine lost its power"
    if not start.translate(None, _TEXT):
        return _text_description(start)
    if start[:1] == b"\n":  # a packet of a Perfetto trace; a text would have been noticed
        return "perhaps a Perfetto trace", _RECORD
    return "", _RECORD


def _text_description(start: bytes) -> tuple[str, str]:
    if b" secs " in start:
        return "the text of `perf sched map`", "`harness trace import` reads it"
    if b"sched:sched_" in start or b"sched_switch:" in start:
        return "a text of events, as `perf script` or `trace-cmd report` print it", "`harness trace import` reads it"
    if start[:1] in (b"{", b"["):
        return "JSON text, perhaps a trace for a browser", _RECORD
    return "text", "`harness trace import` reads the texts of `perf script`, `trace-cmd report` and `perf sched map`"
