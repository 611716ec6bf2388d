"""A box with another kernel than its recipe's: its digest, the build's commands, its errors, its place in the cache."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from boxes_on_disk import forge_box, forge_with_kernel
from kernel_files import RELEASE, deb, image, modules

from harness import boxes
from harness.boxes import builder, cache, kernel, pins, recipes, rootfs, transfer
from harness.boxes.kernel import BoxKernelError
from harness.boxes.pins import Pin, Pins
from harness.errors import BoxError, SpecError
from harness.progress import SilentWatcher
from harness.spec.kernels import DebKernel, ImageKernel, KernelForm, SuiteKernel

RECIPE = boxes.recipe("debian-12")
BACKPORTS = SuiteKernel(suite="bookworm-backports", package="linux-image-cloud-amd64")

# Stands in for mmdebstrap: the last word of the hook of image.sh but one names the work folder.
FAKE = """#!/bin/sh
echo "$@" >"$FAKE_KEPT/command"
work=$(echo "$@" | sed 's|.*image.sh "$1" \\([^ ]*\\) .*|\\1|')
cp "$work"/kernel.deb "$work"/vmlinuz "$work"/modules.tar "$FAKE_KEPT" 2>/dev/null
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in for mmdebstrap keeps what it was given."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("FAKE_KEPT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for needed in ("WORK_MB", "CACHE_MB"):
        monkeypatch.setattr(builder, needed, 1)  # nothing is built
    return tmp_path


def build(folder: Path, form: KernelForm, script: str) -> BoxError:
    """Build with a stand-in for mmdebstrap that ends with `script`; return the error."""
    program = folder / "bin" / "mmdebstrap"
    program.parent.mkdir(exist_ok=True)
    program.write_text(FAKE + script, encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(BoxError) as caught:
        boxes.build(RECIPE, SilentWatcher(), form)
    return caught.value


def test_the_digest_follows_the_content_of_the_kernel_and_not_its_place(tmp_path: Path) -> None:
    first, copy = image(tmp_path / "a" / "bzImage"), image(tmp_path / "b" / "bzImage")
    other = image(tmp_path / "c" / "bzImage", "6.1.192-other")
    prints = [kernel.read(ImageKernel(image=str(path))).fingerprint() for path in (first, copy, other)]
    assert prints[0] == prints[1] != prints[2]
    with_modules = ImageKernel(image=str(first), modules=str(modules(tmp_path / "m")))
    assert kernel.read(with_modules).fingerprint() not in prints
    suites = [BACKPORTS, SuiteKernel(suite="trixie", package=BACKPORTS.package)]
    assert len({kernel.read(form).fingerprint() for form in suites}) == 2
    plain = cache.inputs(RECIPE, None)
    own = cache.inputs(RECIPE, None, prints[0])
    assert own == {**plain, "kernel": prints[0], "kernel_scripts": kernel.scripts_sha256()}


def test_a_kernel_that_is_built_anew_while_it_is_copied_makes_no_box_of_the_old_digest(tmp_path: Path) -> None:
    form = ImageKernel(image=str(image(tmp_path / "bzImage")), modules=str(modules(tmp_path / "m")))
    known = kernel.read(form)
    known.place(tmp_path)
    (tmp_path / "m" / "lib" / "modules" / RELEASE / "kernel" / "ext4.ko").write_bytes(b"newer")
    with pytest.raises(BoxKernelError, match="its files changed while they were copied"):
        known.place(tmp_path)


def test_the_build_installs_the_given_kernel_in_the_place_of_the_recipes() -> None:
    def command(*form: KernelForm) -> list[str]:
        chosen = kernel.read(form[0]) if form else None
        return rootfs.command(RECIPE, keys=Path("k"), guest=Path("g"), work=Path("w"), kernel=chosen)

    own, other = command(), command(BACKPORTS)
    assert "linux-image-cloud-amd64" in next(word for word in own if word.startswith("--include="))
    include = next(word for word in other if word.startswith("--include="))
    assert "linux-image" not in include
    assert "initramfs-tools" in include
    hooks = [word for word in other if word not in own and word != include]
    assert [word.partition("=")[0] for word in hooks] == ["--setup-hook", "--customize-hook"]
    assert hooks[0].endswith('source.sh "$1" w bookworm-backports linux-image-cloud-amd64')
    assert hooks[1].endswith('install.sh "$1" w suite bookworm-backports linux-image-cloud-amd64')
    last = [word for word in other if word.startswith("--customize-hook")]
    assert last.index(hooks[1]) < next(index for index, word in enumerate(last) if "finish.sh" in word)


def test_a_build_gets_the_files_and_no_link_out_of_the_modules(kept: Path) -> None:
    form = ImageKernel(image=str(image(kept / "linux" / "bzImage")), modules=str(modules(kept / "mods")))
    build(kept, form, "exit 1")
    assert (kept / "vmlinuz").read_bytes() == Path(form.image).read_bytes()
    with tarfile.open(kept / "modules.tar") as archive:
        files = {entry.name: (entry.uid, entry.uname) for entry in archive if not entry.isdir()}
    assert files == {f"lib/modules/{RELEASE}/kernel/ext4.ko": (0, "root")}
    assert f'install.sh "$1" {kept}' in (kept / "command").read_text()
    package = deb(kept / "mods")
    build(kept, DebKernel(deb=str(package)), "exit 1")
    assert (kept / "kernel.deb").read_bytes() == package.read_bytes()


def test_why_a_kernel_cannot_be_installed_is_the_error_of_the_build(kept: Path) -> None:
    error = build(kept, BACKPORTS, 'echo "the archive has no suite x" >"$work/out/kernel-problem"; exit 25')
    assert isinstance(error, BoxKernelError)
    assert error.what.endswith("can be built: the archive has no suite x")
    assert str(BACKPORTS) in error.what
    assert not isinstance(build(kept, BACKPORTS, "echo 'E: no network'; exit 25"), BoxKernelError)


def test_a_kernel_that_reports_another_release_than_its_modules_have_is_no_box(kept: Path) -> None:
    built = image(kept / "built", "6.1.192-else")
    script = f'echo {RELEASE} >"$work/out/kernel"; cp {built} "$work/out/vmlinuz"\n'
    error = build(kept, DebKernel(deb=str(deb(kept / "p"))), script)
    assert f"its kernel says that it is 6.1.192-else, and its modules are those of {RELEASE}" in error.what
    error = build(kept, BACKPORTS, f'echo {RELEASE} >"$work/out/kernel"; echo MZ >"$work/out/vmlinuz"\n')
    assert "cannot boot" in error.what


def test_a_file_that_vanished_since_the_experiment_was_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"(?s)cannot be read.*--set machine\.kernel") as caught:
        kernel.read(ImageKernel(image=str(tmp_path / "bzImage")))
    assert caught.value.where == str(tmp_path / "bzImage")


def test_the_cache_keeps_a_box_beside_that_of_the_recipe_and_tells_them_apart(kept: Path) -> None:
    own = forge_box(cache.root())
    box = forge_with_kernel(cache.root(), BACKPORTS)
    digest = box.digest
    assert cache.find(digest) == box
    assert boxes.build(RECIPE, SilentWatcher(), BACKPORTS) == box
    assert boxes.build(RECIPE, SilentWatcher()) == cache.find(own.digest)
    assert {one.box.digest: one.current for one in cache.ls()} == {own.digest: True, digest: True}
    assert cache.verify("debian-12") == []
    assert transfer.select("debian-12").digest == own.digest
    assert transfer.select(digest[:8]) == box
    assert transfer.why_unused(box) is None
    transfer.export(box, kept / "file", SilentWatcher())
    cache.remove(box)
    (imported,) = transfer.import_file(kept / "file", SilentWatcher())
    assert (imported.box, imported.unused_because) == (box, None)


def test_a_box_that_other_scripts_put_its_kernel_into_is_not_used_any_more(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    box = forge_with_kernel(cache.root(), BACKPORTS)
    monkeypatch.setattr(cache, "scripts_sha256", lambda: "a" * 64)
    assert [one.current for one in cache.ls()] == [False]
    assert "another version of harness built it" in str(transfer.why_unused(box))


def test_a_lock_pins_all_but_the_kernel(kept: Path) -> None:
    apt, perf = Pin("apt", "1", "amd64", "a" * 64), Pin("linux-perf", "6", "amd64", "b" * 64)
    base = Pin("linux-base", "4.9", "all", "c" * 64)
    locked = Pins((apt, base), (perf,))
    assert pins.for_other_kernel(locked) == Pins((apt,), (perf,))
    assert "release *" not in pins.preferences([apt], alone=False)
    newer = Pin("linux-base", "4.12", "all", "d" * 64)
    assert pins.changed(pins.for_other_kernel(locked), Pins((apt, newer))) == []
    assert pins.changed(locked, Pins((Pin("apt", "2", "amd64", "a" * 64),))) != []


SOURCES = """deb [signed-by=/a b=c] http://one/debian bookworm main contrib
deb [signed-by=/a b=c] http://one/debian bookworm-updates main contrib
deb http://two/debian-security bookworm-security main
"""


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work folder of a build, and an archive with one package in two suites."""
    for folder in ("bin", "out", "root/etc/apt/preferences.d", "root/etc/apt/sources.list.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "root/etc/apt/sources.list").write_text(SOURCES)
    rows = "linux-image-amd64 | 6.12 | http://one/debian trixie/main amd64 Packages\n"
    rows += "linux-image-amd64 | 6.1 | http://two/debian-security bookworm-security/main amd64 Packages\n"
    (tmp_path / "madison").write_text(rows)
    for name, script in {
        "apt-get": "grep -q nosuch $0.list && { echo \"E: The repository 'http://one/debian nosuch Release' does not "
        'have a Release file." >&2; exit 100; }; true',
        "apt-cache": f'grep "$2" {tmp_path / "madison"}',
    }.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    (tmp_path / "bin/apt-get.list").symlink_to(tmp_path / "root/etc/apt/sources.list.d/harness-kernel.list")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("MMDEBSTRAP_APT_CONFIG", "/its/apt.conf")
    return tmp_path


def look(work: Path, suite: str, package: str = "linux-image-amd64") -> tuple[str, str]:
    """Run the script; return the source that it adds, and the problem that it finds."""
    script = recipes.folder() / "kernel" / "source.sh"
    subprocess.run(["sh", script, work / "root", work, suite, package], capture_output=True, check=False)
    problem = work / "out" / kernel.PROBLEM
    source = (work / "root/etc/apt/sources.list.d/harness-kernel.list").read_text()
    return source, problem.read_text() if problem.exists() else ""


def test_another_suite_comes_from_the_archive_of_the_boxes_own(work: Path) -> None:
    assert look(work, "trixie") == ("deb [signed-by=/a b=c] http://one/debian trixie main contrib\n", "")
    preferences = (work / "root/etc/apt/preferences.d/harness-kernel").read_text()
    assert preferences == "".join(f"Package: *\nPin: release {key}=trixie\nPin-Priority: 1\n\n" for key in "na")


def test_security_updates_come_from_their_own_archive(work: Path) -> None:
    assert look(work, "bookworm-security") == ("deb http://two/debian-security bookworm-security main\n", "")


def test_a_suite_that_is_not_there_and_a_package_that_it_lacks_are_said(work: Path) -> None:
    assert look(work, "nosuch")[1] == "the archive has no suite nosuch\n"
    assert look(work, "trixie", "linux-image-none")[1] == "the suite trixie has no package linux-image-none\n"
