"""What is no recording is refused with what it is, and nothing that is given for a recording is waited for."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import perf_text
import pytest
from command_line import harness as command

import harness.trace
from harness.errors import TraceError, UsageError

NOISE = random.Random(1).randbytes(2000)


def in_a_tar(content: bytes) -> bytes:
    archive, member = io.BytesIO(), tarfile.TarInfo("perf.data")
    member.size = len(content)
    with tarfile.open(fileobj=archive, mode="w") as members:
        members.addfile(member, io.BytesIO(content))
    return archive.getvalue()


def refusal(path: Path) -> str:
    with pytest.raises(TraceError) as caught:
        harness.trace.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "reasons"),
    [
        (b"", ["the file is empty", "perf sched record"]),
        (b"PERFI", ["cut after 5 bytes"]),
        (b"PERFILE2\x68\0", ["cut in its header, after 10 bytes"]),
        (b"PERFILE2" + struct.pack("<Q", 104) + bytes(30), ["cut in its header, after 46 bytes"]),
        (bytes(4096), ["only zeros"]),
        (in_a_tar(b"PERFILE2"), ["a tar archive", "tar -xf"]),
        (gzip.compress(in_a_tar(b"PERFILE2"), mtime=0), ["a tar archive", "tar -xf"]),
        (gzip.compress(gzip.compress(NOISE, mtime=0), mtime=0), ["a file of gzip", "gunzip"]),
        (b"7z\xbc\xaf\x27\x1c\0\4", ["a 7z archive", "7z x"]),
        (b"Rar!\x1a\x07\x01\0", ["a RAR archive", "unrar x"]),
        (b"\x04\x22\x4d\x18abcd", ["an lz4 file", "lz4 -d"]),
        (b"\x17\x08\x44tracing6\0", ["trace.dat file of trace-cmd"]),
        (b"\xc1\x1f\xfc\xc1" + bytes(range(100)), ["CTF"]),
        (b"\x0a\x10\x08\x01" + bytes(range(100)), ["Perfetto"]),
        (b"#!/bin/sh\necho hello\n" * 10, ["text", "harness trace import"]),
        (b'{"traceEvents": []}', ["JSON"]),
        ("perf".encode("utf-16"), ["UTF-16", "harness trace import"]),
        (b"\xfe\xff" + "perf".encode("utf-16-be"), ["UTF-16", "harness trace import"]),
        (b"<!DOCTYPE html><html>", ["a web page"]),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", ["Git LFS", "git lfs pull"]),
        (bytes(range(1, 256)), ["no perf.data file", "the magic PERFILE2"]),
    ],
)
def test_a_file_of_another_kind_is_named(content: bytes, reasons: list[str], tmp_path: Path) -> None:
    path = tmp_path / "perf.data"
    path.write_bytes(content)
    said = refusal(path)
    for reason in reasons:
        assert reason in said


def test_a_program_is_named() -> None:
    assert "an ELF file" in refusal(Path(sys.executable).resolve())


def test_the_texts_that_perf_prints_are_named(nginx_recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "perf.data"
    for arguments, what in [(["sched", "map"], "`perf sched map`"), (["script"], "`perf script`")]:
        printed = ["perf", *arguments, "-i", str(nginx_recording)]
        path.write_bytes(subprocess.run(printed, capture_output=True, check=True, timeout=perf_text.LIMIT_S).stdout)
        assert what in refusal(path)
        assert "`harness trace import` reads it" in refusal(path)


def version_1(whole: bytes) -> bytes:
    """The recording as perf of Linux 3.3 would have written it: another magic, attrs of 96 bytes."""
    entry_size, offset, size = struct.unpack_from("<QQQ", whole, 16)
    entries = [whole[start : start + entry_size] for start in range(offset, offset + size, entry_size)]
    attrs = b"".join(entry[:4] + struct.pack("<I", 96) + entry[8:96] + entry[-16:] for entry in entries)
    changed = bytearray(whole)
    changed[offset : offset + len(attrs)] = attrs
    changed[:8] = b"PERFFILE"
    struct.pack_into("<QQQ", changed, 16, 112, offset, len(attrs))
    return bytes(changed)


def test_a_recording_of_version_1_is_named_and_read_after_the_conversion_that_the_error_names(
    nginx_recording: Path, tmp_path: Path
) -> None:
    old, new = tmp_path / "old.data", tmp_path / "new.data"
    old.write_bytes(version_1(nginx_recording.read_bytes()))
    said = refusal(old)
    assert "before Linux 3.4 (PERFFILE, version 1 of the format)" in said
    assert "`perf inject -i OLD -o perf.data`" in said
    subprocess.run(["perf", "inject", "-i", old, "-o", new], check=True, timeout=perf_text.LIMIT_S)
    assert harness.trace.read(new).switches.equals(harness.trace.read(nginx_recording).switches)


def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        assert "it is a device, a pipe or a socket" in refusal(path)


def test_a_folder_that_is_no_recording_names_the_recording_in_it(tmp_path: Path) -> None:
    assert "it has no file `data`" in refusal(tmp_path)
    (tmp_path / "perf.data").touch()
    assert f"give the file: {tmp_path / 'perf.data'}" in refusal(tmp_path)


def test_standard_input_is_a_wrong_argument() -> None:
    with pytest.raises(UsageError, match="standard input"):
        harness.trace.read("-")
    assert "write it to a file" in command("trace", "summary", "-", code=2).stderr
