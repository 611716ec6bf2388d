"""Recipe -> root filesystem -> disk image -> Vagrant box, in a work folder, then into the cache in one rename."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import processes
from harness.boxes import cache, recipes, rootfs
from harness.boxes.cache import Box
from harness.boxes.recipes import Recipe
from harness.errors import BoxError, HostError
from harness.files import sync
from harness.progress import Watcher

BUILD_LIMIT_S = 1500.0
CONVERT_LIMIT_S = 600.0
WORK_MB = 2500  # the unpacked root and the raw disk, for a while
CACHE_MB = 600  # what stays
# What mmdebstrap says as it goes, and how much of the whole is then done (measured on debian-12).
STAGES = (
    ("running apt-get update", 0.02, "reading the package lists"),
    ("downloading packages", 0.05, "downloading packages"),
    ("extracting archives", 0.12, "unpacking the base system"),
    ("installing essential", 0.30, "installing the base system"),
    ("installing remaining", 0.42, "installing kernel, sshd and python"),
    ("running --customize-hook", 0.85, "making the disk"),
    ("cleaning package lists", 0.93, "cleaning up"),
)


def build(wanted: Recipe, watcher: Watcher) -> Box:
    """The box of this recipe, from the cache or newly built (about a minute, 350 MB of cache).

    Raises BoxError when it cannot be built or has another kernel than the recipe says, HostError when a program or
    disk space is missing. A build that is stopped leaves nothing that is taken for a box.
    """
    digest = cache.digest(wanted)
    if found := cache.find(wanted.name, digest):
        return found
    keys = rootfs.keyring(wanted)
    with cache.lock(digest):
        if found := cache.find(wanted.name, digest):
            return found
        sweep()
        with _work_folder() as work:
            return _make(wanted, digest, keys, work, watcher)


def _make(wanted: Recipe, digest: str, keys: Path, work: Path, watcher: Watcher) -> Box:
    log = cache.root() / f"{wanted.name}.log"
    log.write_text("", encoding="utf-8")
    _bootstrap(wanted, keys, work, log, watcher)
    out = work / "out"
    kernel = (out / "kernel").read_text(encoding="utf-8").strip()
    if not wanted.matches_kernel(kernel):
        raise BoxError(
            f"the box {wanted.name!r} has the kernel {kernel}",
            expected=f"a release matching {wanted.kernel.release}",
            hint=f"correct kernel.release or kernel.package in {recipes.folder() / wanted.name}.yaml",
            log=log,
        )
    fresh = Path(tempfile.mkdtemp(prefix=f".new-{digest[:12]}-{os.getpid()}-", dir=cache.root()))
    try:
        box = Box(wanted.name, digest, kernel, rootfs.COMMAND_LINE, "libvirt", fresh)
        _pack(wanted, box, out, log, watcher)
        cache.write_manifest(fresh, box)
        return _settle(fresh, digest, wanted.name)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _bootstrap(wanted: Recipe, keys: Path, work: Path, log: Path, watcher: Watcher) -> None:
    guest = recipes.folder()
    rootfs.overlay(guest / "root", work / "root.tar")
    ended = processes.run(
        rootfs.command(wanted, keys=keys, guest=guest, work=work),
        timeout_s=BUILD_LIMIT_S,
        log=log,
        on_line=_reporter(watcher),
        env={**os.environ, "TMPDIR": str(work / "tmp"), "LC_ALL": "C.UTF-8"},
    )
    if not ended.ok:
        raise BoxError(
            f"the box {wanted.name!r} could not be built: {_reason(ended)}",
            where=f"mmdebstrap, suite {wanted.suite}",
            hint="is the network up, and does `apt-get update` work? `harness doctor` checks the rest",
            log=log,
        )


def _pack(wanted: Recipe, box: Box, out: Path, log: Path, watcher: Watcher) -> None:
    """Compress the disk and wrap it as Vagrant wants it; kernel and initrd go beside it."""
    watcher.note("compressing the disk")
    convert = ["qemu-img", "convert", "-c", "-W", "-m", "4", "-O", "qcow2", "-o", "compression_type=zstd"]
    ended = processes.run([*convert, str(out / "disk.raw"), str(box.image)], timeout_s=CONVERT_LIMIT_S, log=log)
    if not ended.ok:
        raise BoxError(f"the disk of {wanted.name!r} could not be compressed: {_reason(ended)}", log=log)
    for part in ("vmlinuz", "initrd", "packages"):
        shutil.copyfile(out / part, box.folder / part)
    meta = {"provider": "libvirt", "format": "qcow2", "virtual_size": wanted.disk_gb}
    (box.folder / "metadata.json").write_text(json.dumps(meta), encoding="utf-8")
    with tarfile.open(box.path, "w") as archive:  # not compressed: the disk inside already is
        archive.add(box.folder / "metadata.json", "metadata.json")
        archive.add(box.image, "box.img")
    watcher.advance(1.0, 1.0)


def _settle(fresh: Path, digest: str, name: str) -> Box:
    """Everything to disk, then one rename: the folder named by the digest is whole from its first moment."""
    for path in fresh.iterdir():
        sync(path)
    sync(fresh)
    final = cache.root() / digest
    shutil.rmtree(final, ignore_errors=True)  # only ever one without box.json: `build` looked under the lock
    fresh.rename(final)
    sync(cache.root())
    found = cache.find(name, digest)
    assert found is not None
    return found


def _reporter(watcher: Watcher) -> Callable[[str], None]:
    def report(line: str) -> None:
        for words, share, text in STAGES:
            if words in line:
                watcher.note(text)
                watcher.advance(share, 1.0)
                return

    return report


def _reason(ended: processes.Ended) -> str:
    """The line that says why: the last error line of the output, or how it ended."""
    if ended.timed_out:
        return f"not done after {ended.seconds:.0f} s"
    lines = [line.strip() for line in ended.output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("E:", "Err:", "W: Failed", "mke2fs", "qemu-img:"))]
    said = (errors or lines or ["no output"])[0]
    return f"{ended.argv[0]} ended with {ended.exit_code}: {said}"


def scratch_root() -> Path:
    """Where the root filesystem is unpacked: TMPDIR, else /var/tmp, because /tmp often is in memory."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")


def check_space(folder: Path, needed_mb: int) -> None:
    """Raises HostError naming the folder, what is needed and what is free."""
    free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < needed_mb:
        raise HostError(
            f"not enough disk space to build a box in {folder}",
            expected=f"{needed_mb} MB; {free_mb:.0f} MB are free",
            hint="free some space, or choose other folders with TMPDIR and HARNESS_CACHE",
        )


@contextmanager
def _work_folder() -> Iterator[Path]:
    """A folder that a user namespace can reach and write to; its name is not to be guessed and not to be listed."""
    cache.root().mkdir(parents=True, exist_ok=True)
    check_space(scratch_root(), WORK_MB)
    check_space(cache.root(), CACHE_MB)
    outer = Path(tempfile.mkdtemp(prefix=f"harness-box-{os.getuid()}-{os.getpid()}-", dir=scratch_root()))
    outer.chmod(0o711)
    work = Path(tempfile.mkdtemp(dir=outer))
    work.chmod(0o755)
    try:
        for name in ("tmp", "out"):
            (work / name).mkdir()
            (work / name).chmod(0o1777)
        yield work
    finally:
        _remove(outer)


def sweep() -> None:
    """Remove what builds of this user left when they were killed; a folder of a live process is left alone."""
    for outer in scratch_root().glob(f"harness-box-{os.getuid()}-*"):
        if not _alive(outer.name.split("-")[3]):
            _remove(outer)
    for fresh in cache.root().glob(".new-*"):
        if not _alive(fresh.name.split("-")[2]):
            shutil.rmtree(fresh, ignore_errors=True)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()


def _remove(folder: Path) -> None:
    """Remove a tree, also one whose files belong to the subordinate ids of a user namespace."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists() and os.getuid() != 0:
        processes.run(["mmdebstrap", "--unshare-helper", "rm", "-rf", str(folder)], timeout_s=120)
        shutil.rmtree(folder, ignore_errors=True)
