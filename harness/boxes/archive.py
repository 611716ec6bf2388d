"""One file that carries boxes between hosts: a plain tar whose first member lists every file with size and SHA-256.

Nothing is compressed, because disks, kernels and boxes already are. Bytes that a file has in common with an earlier one
(a Vagrant box holds the disk) are written once; the list says where they belong. `tar -tvf` shows what is inside, but
only `Reader` puts it together. The hashes find damage; they do not prove who made the file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from harness.errors import BoxError
from harness.files import as_host_error, atomic_file, open_regular, sha256, sha256_of

SCHEMA = 1
LIST = "harness-box.json"  # the name of the first member
MAX_LIST_BYTES = 1_000_000
MAX_FILE_BYTES = 8**11 - 1  # the largest size that the header of a plain tar can hold
_BLOCK = tarfile.BLOCKSIZE
_COPY_BYTES = 1 << 20
_PATH = re.compile(r"(boxes|provisioned)/[0-9a-f]{64}(-[0-9a-f]{12})?/[A-Za-z0-9][A-Za-z0-9._-]{0,40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class SharedBytes:
    """An earlier file whose bytes are also in another one, from `offset` on."""

    path: str
    offset: int


@dataclass(frozen=True)
class Member:
    """A file of an archive: `path` is STORE/FOLDER/NAME; `held` are its bytes that the archive has already."""

    path: str
    size: int
    sha256: str
    held: SharedBytes | None = None


def write(target: Path, files: Mapping[str, Path], progress: Callable[[float], None]) -> str:
    """Write the archive `target` of these files, whole or not at all; return its SHA-256.

    `progress` gets the share done. Raises HostError when the disk is full, BoxError for a file that is too large.
    """
    members = _members(files)
    sizes = {member.path: member.size for member in members}
    total = sum(_stored(member, sizes) for member in members) or 1
    digest, done = hashlib.sha256(), 0

    with atomic_file(target) as sink:

        def put(block: bytes) -> None:
            sink.write(block)
            digest.update(block)

        listed = json.dumps(
            {"kind": "harness box", "schema": SCHEMA, "files": [asdict(one) for one in members]}, indent=1
        )
        put(_header(LIST, len(listed.encode())) + listed.encode() + _padding(len(listed.encode())))
        for member in members:
            put(_header(member.path, _stored(member, sizes)))
            for start, length in _own_parts(member, sizes):
                with _reading(files[member.path]) as source:
                    source.seek(start)
                    while length and (block := source.read(min(length, _COPY_BYTES))):
                        put(block)
                        length, done = length - len(block), done + len(block)
                        progress(done / total)
                    if length:
                        raise _changed(files[member.path], "it has become shorter")
            put(_padding(_stored(member, sizes)))
        put(bytes(2 * _BLOCK))
    return digest.hexdigest()


class Reader:
    """Reads an archive from its first byte to its last. Every method raises BoxError for a file that is damaged."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def members(self) -> list[Member]:
        """Return the list of files, checked: no path leads outside, every size is possible, nothing is cut off."""
        with self._open() as source:
            members = self._list(source)
            needed = source.tell() + sum(_BLOCK + _padded(stored) for stored in self._stored(members)) + 2 * _BLOCK
            actual = os.fstat(source.fileno()).st_size
        if actual != needed:
            what = "ends too early" if actual < needed else "has something after its end"
            raise self._error(f"the file {what}: it has {actual} bytes", f"{needed} bytes")
        return members

    def extract(self, place: Callable[[str], Path], progress: Callable[[float], None]) -> None:
        """Write every file to `place(path)` and compare its SHA-256. Raises HostError too, when the disk is full."""
        with self._open() as source:
            members = self._list(source)
            sizes = {member.path: member.size for member in members}
            total, done = sum(sizes.values()) or 1, 0
            for member, stored in zip(members, self._stored(members), strict=True):
                self._check_header(source, member.path, stored)
                target = place(member.path)
                with as_host_error(target), target.open("xb") as sink:
                    self._put_together(source, member, sizes, place, sink)
                self._read(source, len(_padding(stored)))
                if sha256(target) != member.sha256:
                    raise self._error(
                        f"{member.path} is damaged: its SHA-256 is not {member.sha256}", "an unchanged file"
                    )
                done += member.size
                progress(done / total)

    def _put_together(
        self, source: BinaryIO, member: Member, sizes: Mapping[str, int], place: Callable[[str], Path], sink: BinaryIO
    ) -> None:
        offset = 0
        for start, length in _own_parts(member, sizes):
            if start > offset and member.held:
                with place(member.held.path).open("rb") as held:
                    self._copy(held, sink, start - offset)
            self._copy(source, sink, length)
            offset = start + length

    def _open(self) -> BinaryIO:
        try:
            return open_regular(self._path)
        except OSError as error:
            raise self._error(f"the file cannot be read: {error.strerror}", "a file of `harness box export`") from None

    def _list(self, source: BinaryIO) -> list[Member]:
        size = self._header(source, LIST)
        if size > MAX_LIST_BYTES:
            raise self._error("its list of files is too long", f"at most {MAX_LIST_BYTES} bytes")
        text = self._read(source, size)
        self._read(source, len(_padding(size)))
        try:
            plain = json.loads(text)
            kind, schema = plain["kind"], plain["schema"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise self._error("its list of files cannot be read", "a file of `harness box export`") from None
        if kind != "harness box" or type(schema) is not int:
            raise self._error("this file holds no box", "a file of `harness box export`")
        if schema > SCHEMA:
            hint = "update harness on this host"
            raise self._error(f"a newer harness wrote this file (schema {schema})", f"schema {SCHEMA} or less", hint)
        try:
            members = [_member(one) for one in plain["files"]]
            _check(members)
        except (ValueError, TypeError, KeyError) as error:
            raise self._error(f"its list of files is wrong: {error}", "a file of `harness box export`") from None
        return members

    def _stored(self, members: Sequence[Member]) -> list[int]:
        sizes = {member.path: member.size for member in members}
        return [_stored(member, sizes) for member in members]

    def _check_header(self, source: BinaryIO, name: str, size: int) -> None:
        if (actual := self._header(source, name)) != size:
            raise self._error(f"{name} has {actual} bytes in it", f"{size} bytes")

    def _header(self, source: BinaryIO, name: str) -> int:
        """Read the header of the member `name`; return the size that it gives."""
        try:
            header = tarfile.TarInfo.frombuf(self._read(source, _BLOCK), "utf-8", "strict")
        except (tarfile.TarError, ValueError, OverflowError):
            raise self._error(f"it has no readable header of {name}", "a file of `harness box export`") from None
        if header.name != name or not header.isreg() or header.size < 0:
            raise self._error(f"{header.name!r} stands where {name} belongs", "a file of `harness box export`")
        return header.size

    def _read(self, source: BinaryIO, size: int) -> bytes:
        block = source.read(size)
        if len(block) != size:
            raise self._error("the file ends too early", "a whole file of `harness box export`")
        return block

    def _copy(self, source: BinaryIO, sink: BinaryIO, size: int) -> None:
        while size:
            block = self._read(source, min(size, _COPY_BYTES))
            sink.write(block)
            size -= len(block)

    def _error(self, what: str, expected: str, hint: str | None = None) -> BoxError:
        again = "export the box again and compare the SHA-256 of both copies"
        return BoxError(f"{what}; nothing was imported", where=str(self._path), expected=expected, hint=hint or again)


def _members(files: Mapping[str, Path]) -> list[Member]:
    members: list[Member] = []
    for path, file in files.items():
        with _reading(file) as source:
            size, digest = os.fstat(source.fileno()).st_size, sha256_of(source)
        if size > MAX_FILE_BYTES:
            raise BoxError(
                f"{file.name} is too large to be exported", where=str(file), expected=f"{MAX_FILE_BYTES} bytes"
            )
        members.append(Member(path, size, digest, _shared(file, size, digest, members)))
    return members


def _shared(file: Path, size: int, digest: str, earlier: Sequence[Member]) -> SharedBytes | None:
    """Return which earlier file is the same as this one, or is a member of this one if it is a Vagrant box."""
    for other in earlier:
        if (other.size, other.sha256) == (size, digest) and size:
            return SharedBytes(other.path, 0)
    if file.suffix != ".box":
        return None
    by_size = {other.size: other for other in earlier if other.path.endswith("/box.img")}
    with suppress(tarfile.TarError), _reading(file) as source, tarfile.open(fileobj=source, mode="r:") as box:
        for inside in box:
            other_file = by_size.get(inside.size) if inside.isreg() and not inside.issparse() else None
            content = box.extractfile(inside) if other_file else None
            if other_file and content and sha256_of(content) == other_file.sha256:
                return SharedBytes(other_file.path, inside.offset_data)
    return None  # also for a file that is no tar


@contextmanager
def _reading(file: Path) -> Iterator[BinaryIO]:
    try:
        source = open_regular(file)
    except OSError as error:
        raise _changed(file, f"it cannot be read: {error.strerror}") from None
    with source:
        yield source


def _changed(file: Path, what: str) -> BoxError:
    hint = "did another process remove the box meanwhile? `harness box verify` looks at every file of it"
    return BoxError(f"{file.name} changed while it was exported: {what}", where=str(file), hint=hint)


def _member(plain: Mapping[str, Any]) -> Member:
    held = plain["held"]
    shared = SharedBytes(held["path"], held["offset"]) if held else None
    member = Member(plain["path"], plain["size"], plain["sha256"], shared)
    if not (isinstance(member.path, str) and _PATH.fullmatch(member.path)):
        raise ValueError(f"{member.path!r} is no path in the cache")
    if type(member.size) is not int or not 0 <= member.size <= MAX_FILE_BYTES:
        raise ValueError(f"{member.path} has no size")
    if not (isinstance(member.sha256, str) and _SHA256.fullmatch(member.sha256)):
        raise ValueError(f"{member.path} has no SHA-256")
    return member


def _check(members: Sequence[Member]) -> None:
    if not members:
        raise ValueError("it is empty")
    sizes: dict[str, int] = {}
    for member in members:
        if member.path in sizes:
            raise ValueError(f"{member.path} is there twice")
        if held := member.held:
            if held.path not in sizes or type(held.offset) is not int:
                raise ValueError(f"{member.path} holds a file that does not come before it")
            if not 0 <= held.offset <= member.size - sizes[held.path]:
                raise ValueError(f"{member.path} is too short for {held.path}")
        sizes[member.path] = member.size


def _own_parts(member: Member, sizes: Mapping[str, int]) -> list[tuple[int, int]]:
    """Return start and length of the parts of a file before and after what it holds; of all if it holds nothing."""
    if not member.held:
        return [(0, member.size)]
    end = member.held.offset + sizes[member.held.path]
    return [(0, member.held.offset), (end, member.size - end)]


def _stored(member: Member, sizes: Mapping[str, int]) -> int:
    return sum(length for _, length in _own_parts(member, sizes))


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _padded(size: int) -> int:
    return size + len(_padding(size))
