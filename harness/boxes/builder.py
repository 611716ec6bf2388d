"""Build a box in a work folder (root filesystem, disk image, Vagrant box), then rename it into the cache."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import processes, temporary
from harness.boxes import cache, description, lock_file, pins, recipes, roles, rootfs
from harness.boxes import kernel as box_kernel
from harness.boxes.box import Box
from harness.boxes.description import OTHER_CACHE
from harness.boxes.kernel import BoxKernel
from harness.boxes.lock_file import Lock
from harness.boxes.recipes import Recipe
from harness.errors import BoxError, HostError
from harness.files import as_host_error, make_folder, write_atomic
from harness.progress import Watcher
from harness.spec.kernels import KernelForm

BUILD_LIMIT_S = 14_400.0
QUIET_LIMIT_S = 1500.0  # without a line of output: on a quiet host, mmdebstrap prints one every half minute
CONVERT_LIMIT_S = 600.0
MAX_REASON = 300  # characters of a program's error line; the log has it whole
WORK_MB = 2500  # the unpacked root and the raw disk, removed after the build
CACHE_MB = 600  # the finished box
# Part of a line that mmdebstrap prints, the share of the build done at it (measured on debian-12), the text to show.
STAGES = (
    ("running --setup-hook", 0.02, "looking into the archive"),
    ("running apt-get update", 0.02, "reading the package lists"),
    ("downloading packages", 0.05, "downloading packages"),
    ("extracting archives", 0.12, "unpacking the base system"),
    ("installing essential", 0.30, "installing the base system"),
    ("installing remaining", 0.42, "installing kernel, sshd and python"),
    ("running --customize-hook", 0.85, "making the disk"),
    ("cleaning package lists", 0.93, "cleaning up"),
)


def build(recipe: Recipe, watcher: Watcher, form: KernelForm | None = None) -> Box:
    """Return the box of this recipe and the lock beside it, from the cache or newly built; `form`: with that kernel.

    Raises SpecError when that lock is wrong, else what `build_from` raises.
    """
    return build_from(recipe, lock_file.beside(recipe), watcher, form)


def build_from(recipe: Recipe, lock: Lock | None, watcher: Watcher, form: KernelForm | None = None) -> Box:
    """Return the box of this recipe and this lock, from the cache or newly built (about a minute, 240 MB of cache).

    Raises BoxError when it cannot be built, has another kernel than the recipe says or other packages than the lock,
    HostError when a program or disk space is missing, SpecError when `form` names no kernel. A build that is stopped
    leaves no half-built box in the cache.
    """
    kernel = box_kernel.read(form) if form else None
    made_from = cache.inputs(recipe, lock, kernel.fingerprint() if kernel else None)
    digest = description.digest_of(made_from)
    if box := cache.find(digest):
        return box
    keys = rootfs.keyring(recipe)
    with cache.lock(digest):
        if box := cache.find(digest):  # built by another process in the meantime
            return box
        sweep()
        with _work_folder() as work:
            return _make(recipe, lock, kernel, made_from, keys, work, watcher)


def _make(
    recipe: Recipe,
    lock: Lock | None,
    other: BoxKernel | None,
    made_from: Mapping[str, str | None],
    keys: Path,
    work: Path,
    watcher: Watcher,
) -> Box:
    digest = description.digest_of(made_from)
    log = cache.root() / (f"{recipe.name}-{digest[:12]}.log" if other else f"{recipe.name}.log")
    write_atomic(log, "")
    _prepare(recipe, lock, other, keys, work)
    _bootstrap(recipe, lock, other, work, log, watcher)
    out = work / "out"
    kernel = other.require_built(out, log) if other else _kernel(recipe, out, log)
    packages = pins.of_build(out, own_kernel=other is None)
    compare = pins.changed if other else pins.differences_of
    if lock and (differences := compare(lock.pins, packages)):
        raise BoxError(
            f"the box {recipe.name!r} was built with other packages than its lock has:\n    "
            + "\n    ".join(differences),
            hint=f"make a new lock: harness box lock {recipe.name}",
            log=log,
        )
    write_atomic(out / "pins", packages.text())
    with cache.fresh_folder(cache.root()) as fresh:
        box = Box(
            recipe.name,
            digest,
            kernel,
            rootfs.COMMAND_LINE,
            "libvirt",
            fresh,
            kernel_source=other.source() if other else None,
            lock=lock.sha256() if lock else None,
        )
        _pack(recipe, box, out, log, watcher)
        return cache.publish(cache.write_manifest(fresh, box, made_from=made_from), cache.root() / digest)


def _kernel(recipe: Recipe, out: Path, log: Path) -> str:
    kernel = (out / "kernel").read_text(encoding="utf-8").strip()
    if not recipe.matches_kernel(kernel):
        raise BoxError(
            f"the box {recipe.name!r} has the kernel {kernel}",
            expected=f"a release matching {recipe.kernel.release.pattern}",
            hint=f"correct kernel.release or kernel.package in {recipes.folder() / recipe.name}.yaml",
            log=log,
        )
    return kernel


def _prepare(recipe: Recipe, lock: Lock | None, kernel: BoxKernel | None, keys: Path, work: Path) -> None:
    """Write what the build reads, readable for the user that a user namespace maps root to."""
    files = {"root.tar": rootfs.overlay(), "keys.gpg": keys.read_bytes()}
    files |= {
        f"roles/{release}": "".join(f"{name}\n" for name in names).encode()
        for release, names in roles.packages(recipe).items()
    }
    if lock:
        pinned = (pins.for_other_kernel(lock.pins) if kernel else lock.pins).all()
        rows = "".join(f"{one}\n" for one in pinned)
        files |= {"lock": rows.encode(), "preferences": pins.preferences(pinned, alone=kernel is None).encode()}
    if kernel:
        kernel.place(work)
    for name, content in files.items():
        (work / name).write_bytes(content)
        (work / name).chmod(0o644)


def _bootstrap(
    recipe: Recipe, lock: Lock | None, kernel: BoxKernel | None, work: Path, log: Path, watcher: Watcher
) -> None:
    """Run mmdebstrap, which leaves in `work/out` what image.sh writes."""
    keys, guest = work / "keys.gpg", recipes.folder()
    result = processes.run(
        rootfs.command(recipe, keys=keys, guest=guest, work=work, locked=lock is not None, kernel=kernel),
        timeout_s=BUILD_LIMIT_S,
        quiet_s=QUIET_LIMIT_S,
        log=log,
        on_line=_reporter(watcher),
        env={**os.environ, "TMPDIR": str(work / "tmp"), "LC_ALL": "C.UTF-8"},
    )
    if lock and not result.ok and (moved := _moved(work / "out" / "moved")):
        raise BoxError(
            f"the archive no longer has what the lock of {recipe.name!r} pins; nothing was downloaded:\n    "
            + "\n    ".join(moved),
            where=f"suite {recipe.suite}",
            hint="carry the box over from another host (`harness box export`, `harness box import`), or remove the "
            f"lock and make a new one: harness box lock {recipe.name}",
            log=log,
        )
    if kernel and not result.ok and (why := work / "out" / box_kernel.PROBLEM).is_file():
        raise kernel.error(why.read_text(encoding="utf-8").strip(), log)
    if not result.ok:
        raise BoxError(
            f"the box {recipe.name!r} could not be built: {_reason(result)}",
            where=f"mmdebstrap, suite {recipe.suite}",
            hint="is the network up, and does `apt-get update` work? `harness doctor` checks the rest",
            log=log,
        )


def _moved(path: Path) -> list[str]:
    """Return one line for each pin that lock.sh did not find in the archive."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    shown = []
    for name, version, architecture, digest, other, *newest in map(str.split, lines):
        if other != "-":
            shown.append(f"{name} {version} ({architecture}): its SHA-256 there is {other}, not {digest}")
        else:
            now = f"the archive now has {newest[0]}" if newest else "the archive has no version of it"
            shown.append(f"{name} {version} ({architecture}): {now}")
    return shown


def _pack(recipe: Recipe, box: Box, out: Path, log: Path, watcher: Watcher) -> None:
    """Compress the disk and make the Vagrant box of it; copy kernel, initrd and the package list beside it."""
    watcher.note("compressing the disk")
    result = processes.run(rootfs.compression(out / "disk.raw", box.image), timeout_s=CONVERT_LIMIT_S, log=log)
    if not result.ok:
        raise BoxError(f"the disk of {recipe.name!r} could not be compressed: {_reason(result)}", log=log)
    for part in ("vmlinuz", "initrd", "packages", "pins"):
        shutil.copyfile(out / part, box.folder / part)
    meta = {"provider": "libvirt", "format": "qcow2", "virtual_size": recipe.disk_gb}
    (box.folder / "metadata.json").write_text(json.dumps(meta), encoding="utf-8")
    with tarfile.open(box.path, "w") as archive:  # not compressed: the disk inside already is
        archive.add(box.folder / "metadata.json", "metadata.json")
        archive.add(box.image, "box.img")
    watcher.advance(1.0, 1.0)


def _reporter(watcher: Watcher) -> Callable[[str], None]:
    def report(line: str) -> None:
        for words, share, text in STAGES:
            if words in line:
                watcher.note(text)
                watcher.advance(share, 1.0)
                return

    return report


def _reason(result: processes.ProcessResult) -> str:
    """Return why a program failed: how far it was when its time was up, its first error line, else its first line."""
    lines = [line.strip() for line in result.output.splitlines() if line.strip()]
    if result.timed_out:
        last = (lines or ["no output"])[-1][:MAX_REASON]
        return f"not done after {result.seconds:.0f} s, and its last line was: {last}"
    errors = [
        line for line in lines if line.startswith(("E:", "Err:", "W: Failed", "dpkg: error", "mke2fs", "qemu-img:"))
    ]
    line = (errors or lines or ["no output"])[0]
    shown = line if len(line) <= MAX_REASON else f"{line[:MAX_REASON]} ..."
    return f"{result.argv[0]} ended with {result.exit_code}: {shown}"


def scratch_root() -> Path:
    """Return the folder where root filesystems are unpacked: TMPDIR, else /var/tmp, because /tmp is often in memory."""
    return Path(os.environ.get("TMPDIR") or "/var/tmp")


def check_space(folder: Path, needed_mb: int, purpose: str = "build a box") -> None:
    """Raise HostError unless `folder` has `needed_mb` of free space."""
    with as_host_error(folder):
        free_mb = shutil.disk_usage(folder).free / 1e6
    if free_mb < needed_mb:
        raise HostError(
            f"not enough disk space to {purpose} in {folder}",
            expected=f"{needed_mb} MB; {free_mb:.0f} MB are free",
            hint="`harness box prune` removes what no run uses; or choose other folders with TMPDIR and HARNESS_CACHE",
        )


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Make a work folder that a user namespace can write to, but whose path other users can neither list nor guess."""
    make_folder(cache.root(), OTHER_CACHE)
    check_space(scratch_root(), WORK_MB)
    check_space(cache.root(), CACHE_MB)
    with temporary.held_folder(scratch_root(), "harness-box", _remove) as outer:
        outer.chmod(0o711)
        work = Path(tempfile.mkdtemp(dir=outer))
        work.chmod(0o755)
        (work / "roles").mkdir(mode=0o755)
        (work / "roles").chmod(0o755)
        for name in ("tmp", "out"):
            (work / name).mkdir()
            (work / name).chmod(0o1777)
        yield work


def sweep() -> None:
    """Remove what killed builds of this user left; keep what live processes hold."""
    temporary.sweep(scratch_root(), _remove)
    cache.sweep(cache.root())


def _remove(outer: Path) -> None:
    """Remove a temporary folder, even when files in it belong to the subordinate ids of a user namespace."""
    temporary.remove_folder(outer)
    if outer.exists() and os.getuid() != 0:
        content = [str(path) for path in outer.iterdir() if path.name != temporary.OWNER]
        processes.run(["mmdebstrap", "--unshare-helper", "rm", "-rf", *content], timeout_s=120)
        temporary.remove_folder(outer)
