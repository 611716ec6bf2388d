"""One file that carries a run to another host: a tar.gz that `tar xf` unpacks into the folder of the run.

It holds the records of the run and each file that a step lists, hashed while it is packed. A trial that failed has no
such list: all its files are packed, since they say why. `machine/`, which has SSH keys, stays behind. The run is only
read. Two archives of an unchanged run are the same bytes.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from harness.errors import StoreError
from harness.files import atomic_file, open_regular, sha256
from harness.progress import Watcher
from harness.store import disk_size, events, experiment_file, input_files, label, lock, verify
from harness.store.folder import RunFolder
from harness.store.manifest import NAME as MANIFEST
from harness.store.manifest import cleaned
from harness.store.verify import FileProblem

ENDINGS = (".tar.gz", ".tgz")
RECORDS = (MANIFEST, events.NAME, label.NAME)  # the manifest has no hash of these
PRIVATE = "machine"
TIME_S = 315_532_800  # 1980-01-01, of every file: tar finds 1970 implausible
_HOST_PATH = re.compile(r"(?<![\w./-])/[\w.-]")


@dataclass(frozen=True)
class RunArchive:
    """An archive that was written: its bytes and SHA-256, and the paths of the run that are in it.

    `problems`: files that are not as the run wrote them. `left_out`: files outside of `machine/` that are not in it.
    """

    size: int
    sha256: str
    files: list[str]
    problems: list[FileProblem]
    left_out: list[str]


def write(run: RunFolder, target: Path, watcher: Watcher, *, damaged: bool = False) -> RunArchive:
    """Write the archive whole or not at all; the run cannot be changed by harness meanwhile.

    Raises LockedError while a process works in the run; StoreError, unless `damaged`, if a file is not as the run wrote
    it; HostError if the archive cannot be written.
    """
    with lock.unchanged(run.path):
        run = RunFolder.open(run.path)
        listed, problems = _listed(run), list(verify.of_manifest(run.manifest))
        with atomic_file(target) as sink:
            with _tar(sink) as tar:
                problems += _pack(run, listed, tar, watcher)
                packed = [name.partition("/")[2] for name in tar.getnames()]
            if problems and not damaged:
                raise _not_as_written(run.path, problems)
        left_out = sorted(set(_files(run.path)) - listed.keys())
    return RunArchive(target.stat().st_size, sha256(target), packed, problems, left_out)


def host_paths(run: RunFolder) -> list[str]:
    """Return where the records have paths of the host that recorded the run: keys of the manifest, or events.jsonl."""
    manifest = run.manifest
    named = " ".join(entry["path"] for entry in manifest.get(input_files.KEY, {}).values())
    texts = {
        "command": " ".join(map(str, manifest.get("command") or [])),
        "spec_source": manifest.get("spec_source"),
        **({"spec": named, input_files.KEY: named} if named else {}),
        "repeats.path": manifest.get("repeats", {}).get("path"),
        "error": manifest.get("error"),
        **{f"steps.{name}.error": step["error"] for name, step in manifest["steps"].items()},
        events.NAME: "\n".join(str(value) for event in run.events() for value in event.values()),
    }
    return [key for key, text in texts.items() if _HOST_PATH.search(str(text))]


def _listed(run: RunFolder) -> dict[str, str | None]:
    """Return the path of each file to pack with its SHA-256, or None where the manifest has none."""
    records = (name for name in RECORDS if (run.path / name).is_file())
    files: dict[str, str | None] = dict.fromkeys((*records, *_of_unfinished_trials(run)))
    for step in run.manifest["steps"].values():
        files |= step["outputs"]
    for path in cleaned(run.manifest, run.path):  # their recordings, which are packed, make them again
        del files[path]
    if run.manifest.get("spec_file"):
        files[experiment_file.NAME] = experiment_file.sha256(run.manifest)
    return files


def _of_unfinished_trials(run: RunFolder) -> Iterator[str]:
    """Yield the paths of the complete files of each trial whose step is not done; temporary ones begin with a dot."""
    steps = run.manifest["steps"].items()
    trials = {name.replace("trial:", "trials/", 1) for name, step in steps if step["state"] != "done"}
    for path in map(PurePosixPath, _files(run.path)):
        if str(path.parent) in trials and not path.name.startswith("."):
            yield str(path)


def _files(folder: Path) -> Iterator[str]:
    """Yield the paths of all files of a run but those of `machine/` and the lock."""
    for parent, folders, names in os.walk(folder):
        if Path(parent) == folder:
            folders[:] = [name for name in folders if name != PRIVATE]
            names = [name for name in names if name not in (lock.LOCK, lock.HOLDER)]
        yield from ((Path(parent) / name).relative_to(folder).as_posix() for name in names)


def _pack(
    run: RunFolder, listed: Mapping[str, str | None], tar: tarfile.TarFile, watcher: Watcher
) -> Iterator[FileProblem]:
    """Put the files into the archive, and yield what is wrong with them; one that cannot be read is not in it."""
    on_read = _progress(watcher, disk_size.of_files(run.path / path for path in listed))
    for path, digest in sorted(listed.items()):
        watcher.note(path)
        try:
            source = _open(run, path)
        except OSError as error:
            kind = "missing" if error.errno == errno.ENOENT else "unreadable"
            yield FileProblem(path, kind, error.strerror or str(error))
            continue
        with source:
            actual = _add(tar, f"{run.path.name}/{path}", source, _HashedReader(run.path / path, source, on_read))
        if digest not in (None, actual):
            yield FileProblem(path, "changed", f"SHA-256 is {actual[:12]}..., was {str(digest)[:12]}...")


def _progress(watcher: Watcher, total: int) -> Callable[[int], None]:
    """Return what adds up the bytes that were read and shows them."""
    done = 0

    def add(size: int) -> None:
        nonlocal done
        done += size
        watcher.advance(done, total)

    return add


def _open(run: RunFolder, path: str) -> BinaryIO:
    """Open a file of the run. Raises OSError, also for what a link or a forged manifest would give away."""
    try:
        real = (run.path / path).resolve()
    except RuntimeError:  # of Python before 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
    if not real.is_relative_to(run.path) or real.is_relative_to(run.path / PRIVATE):
        raise OSError(errno.EPERM, f"it leads to {real}, which is not given away")
    return open_regular(real)


def _add(tar: tarfile.TarFile, name: str, source: BinaryIO, reader: _HashedReader) -> str:
    """Put a file into the archive and return the SHA-256 of what was put there. Raises StoreError if it shrinks."""
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = source.seek(0, os.SEEK_END), TIME_S, 0o644
    source.seek(0)
    tar.addfile(member, reader)
    return reader.digest.hexdigest()


class _HashedReader(io.RawIOBase):
    """Reads a file for tarfile and hashes it; an error of reading is one of this file, not of the archive."""

    def __init__(self, file: Path, source: BinaryIO, on_read: Callable[[int], None]) -> None:
        self._file, self._source, self._on_read, self.digest = file, source, on_read, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        try:
            block = self._source.read(size)
        except OSError as error:
            raise StoreError(f"{self._file.name} cannot be read: {error.strerror}", where=str(self._file)) from error
        if len(block) < size:
            raise StoreError(f"{self._file.name} became shorter while it was packed", where=str(self._file))
        self.digest.update(block)
        self._on_read(len(block))
        return block


@contextmanager
def _tar(sink: BinaryIO) -> Iterator[tarfile.TarFile]:
    """Write a compressed archive, whose head has no name and no time."""
    with (
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=sink, mtime=0) as packed,
        tarfile.open(
            fileobj=packed, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        ) as tar,
    ):
        yield tar


def _not_as_written(folder: Path, problems: list[FileProblem]) -> StoreError:
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return StoreError(
        f"this run is not as it was written: {problems[0]}{more}",
        where=str(folder),
        expected="the SHA-256 in manifest.json",
        hint="`harness verify` lists all that has changed; --damaged packs the run as it is",
    )
