"""`machine.kernel` as a kernel to put into the box: its forms, what is wrong with their files, and swept kernels."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from kernel_files import RELEASE, deb, image, modules

from harness import boxes, plan, spec
from harness.errors import SpecError
from harness.spec import Experiment
from harness.spec.kernels import DebKernel, ImageKernel, SuiteKernel, short_name
from harness.store import RunFolder


def load(folder: Path, kernel: str, more: str = "", machine: str = "box: debian-12", **changes: str) -> Experiment:
    path = folder / "e.yaml"
    path.write_text(f"name: e\nmachine: {{{machine}, kernel: {kernel}}}\nload: {{kind: idle}}\n{more}")
    return spec.load(path, kernel_of=boxes.kernel_version, **changes)  # type: ignore[arg-type]


def test_each_form_is_read_with_the_paths_from_the_file_on_and_survives_the_manifest(tmp_path: Path) -> None:
    image(tmp_path / "bzImage")
    modules(tmp_path / "mods")
    package = deb(tmp_path)
    forms = {
        "{image: bzImage, modules: mods}": ImageKernel(image=str(tmp_path / "bzImage"), modules=str(tmp_path / "mods")),
        "{image: bzImage}": ImageKernel(image=str(tmp_path / "bzImage")),
        f"{{deb: {package.name}}}": DebKernel(deb=str(package)),
        "{suite: bookworm-backports, package: linux-image-cloud-amd64}": SuiteKernel(
            suite="bookworm-backports", package="linux-image-cloud-amd64"
        ),
    }
    for text, form in forms.items():
        experiment = load(tmp_path, text)
        assert experiment.machine.kernel == form
        assert spec.from_dict(spec.to_dict(experiment)).machine.kernel == form
    assert load(tmp_path, "6.1.0-37-amd64").machine.kernel == "6.1.0-37-amd64"


def test_a_stored_experiment_is_read_where_its_files_are_gone(tmp_path: Path) -> None:
    values = spec.to_dict(load(tmp_path, f"{{deb: {deb(tmp_path).name}}}"))
    (tmp_path / values["machine"]["kernel"]["deb"]).unlink()
    assert spec.from_dict(values).machine.kernel == DebKernel(deb=values["machine"]["kernel"]["deb"])


WRONG = {
    "a key of no form": ("{debian: x}", "2:35", "machine.kernel is a mapping", "{deb} or {suite, package}"),
    "two forms at once": ("{deb: e.yaml, suite: sid}", "2:35", "machine.kernel is a mapping", "the keys of one form"),
    "a suite without a package": ("{suite: sid}", "2:27", "machine.kernel.package is missing", ""),
    "modules without an image": ("{modules: .}", "2:27", "machine.kernel.image is missing", ""),
    "a suite that is none": ("{suite: 'a b', package: linux}", "2:43", "machine.kernel.suite is 'a b'", "matches"),
    "a release that is none": ("newest", "2:35", "machine.kernel is 'newest'", "6.1.0-37-amd64"),
    "a file that is not there": ("{deb: no.deb}", "2:41", "there is no ", "a file"),
    "a text for an image": ("{image: e.yaml}", "2:43", "e.yaml is no x86 kernel", "bzImage"),
    "vmlinux for an image": ("{image: vmlinux}", "2:43", "is an uncompressed kernel, as vmlinux is", "bzImage"),
    "an arm64 Image, packed": ("{image: Image.gz}", "2:43", "Image.gz is no x86 kernel", "64-bit"),
    "an image cut off in its header": ("{image: cut}", "2:43", "cut is no x86 kernel", "64-bit"),
    "modules beside the folder": ("{image: bzImage, modules: linked}", "2:61", "has but a link to", "a folder"),
    "a 32-bit image": ("{image: bzImage32}", "2:43", "is a kernel for 32-bit CPUs", "64-bit"),
    "modules of another release": (
        "{image: bzImage, modules: others}", "2:61", "has the modules of 6.1.0-other", f"lib/modules/{RELEASE}",
    ),
    "a folder without modules": ("{image: bzImage, modules: empty}", "2:61", "has no lib/modules", "modules_install"),
    "a text for a package": ("{deb: e.yaml}", "2:41", "e.yaml is no Debian package", "bindeb-pkg"),
    "a package of headers": (
        "{deb: linux-headers-6.1.192_1_amd64.deb}", "2:41", "which holds no kernel", "linux-image",
    ),
    "debug symbols": (
        f"{{deb: linux-image-{RELEASE}-dbg_1_amd64.deb}}", "2:41", "which holds no kernel", "linux-image-RELEASE",
    ),
    "a package that only depends on a kernel": (
        "{deb: linux-image-cloud-amd64_1_amd64.deb}", "2:41", "which holds no kernel", "linux-image-RELEASE",
    ),
    "a package for another CPU": (
        f"{{deb: linux-image-{RELEASE}_1_arm64.deb}}", "2:41", "is for the architecture arm64", "amd64",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with kernels, and with much that is none."""
    folder = tmp_path_factory.mktemp("kernels")
    image(folder / "bzImage")
    image(folder / "bzImage32", bits=32)
    (folder / "linked" / "lib" / "modules").mkdir(parents=True)
    (folder / "linked" / "lib" / "modules" / RELEASE).symlink_to(modules(folder / "tree") / "lib" / "modules" / RELEASE)
    (folder / "cut").write_bytes((folder / "bzImage").read_bytes()[:520])
    (folder / "vmlinux").write_bytes(b"\x7fELF" + bytes(5000))
    (folder / "Image.gz").write_bytes(gzip.compress(bytes(5000)))
    (folder / "empty").mkdir()
    modules(folder / "others", "6.1.0-other")
    for package in ("linux-headers-6.1.192", f"linux-image-{RELEASE}-dbg", "linux-image-cloud-amd64"):
        deb(folder, package)
    deb(folder, architecture="arm64")
    return folder


@pytest.mark.parametrize(("kernel", "where", "what", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_no_kernel_is_an_error_with_its_line(
    files: Path, kernel: str, where: str, what: str, expected: str
) -> None:
    with pytest.raises(SpecError) as caught:
        load(files, kernel)
    assert caught.value.where == f"{files / 'e.yaml'}:{where}"
    assert what in caught.value.what
    assert expected in f"{caught.value.expected} {caught.value.hint} {caught.value.what}"


def test_a_key_that_is_nearly_right_is_suggested(files: Path) -> None:
    with pytest.raises(SpecError) as caught:
        load(files, "{suite: sid, packages: linux}")
    assert "unknown key in machine.kernel: 'packages'" in str(caught.value)
    assert "did you mean 'package'?" in str(caught.value)


def test_only_a_box_that_is_built_here_and_booted_by_libvirt_gets_a_kernel(files: Path) -> None:
    for machine, what in {
        "box: bento/ubuntu-18.04": "machine.box is a ready-made box",
        "box: debian-12, fallback: bento/debian-12": "machine.fallback is a ready-made box",
        "box: debian-12, hypervisor: virtualbox": "machine.hypervisor is 'virtualbox'",
    }.items():
        with pytest.raises(SpecError, match=what):
            load(files, "{image: bzImage}", machine=machine)


def test_a_replay_must_fit_the_kernel_that_the_box_gets(files: Path) -> None:
    def predict(kernel: str, predictor: str) -> None:
        load(files, kernel, f"model: {{predictors: [{predictor}]}}\n", machine="box: debian-13")

    predict("{image: bzImage}", "cfs_replay")  # debian-13's own kernel has EEVDF
    with pytest.raises(SpecError, match=r"Linux 6\.1 has CFS"):
        predict("{image: bzImage}", "eevdf_replay")
    with pytest.raises(SpecError, match=r"Linux 6\.1 has CFS"):
        predict("{suite: bookworm, package: linux-image-6.1.0-37-amd64}", "eevdf_replay")
    for replay in ("cfs_replay", "eevdf_replay"):  # only the archive knows
        predict("{suite: sid, package: linux-image-amd64}", replay)


def test_another_box_gets_the_same_kernel_but_need_not_report_the_same_release(files: Path) -> None:
    assert load(files, "{image: bzImage}", box="debian-11").machine.kernel == ImageKernel(image=str(files / "bzImage"))
    assert load(files, "6.1.0-37-amd64", box="debian-11").machine.kernel is None
    swept = load(files, "{image: bzImage}", "sweep: {machine.box: [debian-11, debian-12]}\n")
    assert [arm.experiment.machine.kernel for arm in plan.arms(swept)] == [swept.machine.kernel] * 2


def test_a_kernel_of_the_command_line_is_read_from_the_current_folder(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files)
    assert spec.kernel_form("{image: bzImage}", "--kernel") == ImageKernel(image=str(files / "bzImage"))
    for text, what in {
        "6.1.0-37-amd64": "names no kernel to put into a box",
        "{image: no}": "there is no ",
        "{image: vmlinux}": "vmlinux is",
        "{suit: x}": "machine.kernel is a mapping",
    }.items():
        with pytest.raises(SpecError, match=what) as caught:
            spec.kernel_form(text, "--kernel")
        assert caught.value.where == "--kernel"


def test_swept_kernels_name_their_arms_by_the_build_and_a_wrong_one_has_its_line(files: Path) -> None:
    kernels = "[null, {image: bzImage}, {suite: bookworm-backports, package: linux-image-cloud-amd64}]"
    swept = load(files, "null", f"sweep:\n  machine.kernel: {kernels}\n")
    names = ["idle__kernel-own", f"idle__kernel-{files.name}", "idle__kernel-bookworm-backports-cloud-amd64"]
    assert [arm.name for arm in plan.arms(swept)] == names
    assert [len(group) for group in plan.by_boot(plan.trials(swept))] == [1] * 9
    with pytest.raises(SpecError, match=r"in sweep: .*vmlinux is an uncompressed kernel") as caught:
        load(files, "null", "sweep:\n  machine.kernel:\n  - null\n  - {image: vmlinux}\n")
    assert caught.value.where == f"{files / 'e.yaml'}:7:5"


def test_an_arm_is_named_alike_before_the_run_in_it_and_when_it_is_done_again(tmp_path: Path) -> None:
    for tree, release in (("linux-a", RELEASE), ("linux-b", f"{RELEASE}-b")):
        image(tmp_path / tree / "arch" / "x86" / "boot" / "bzImage", release)
    images = ", ".join(f"{{image: {tree}/arch/x86/boot/bzImage}}" for tree in ("linux-a", "linux-b"))
    experiment = load(tmp_path, "null", f"sweep: {{machine.kernel: [{images}]}}\n")
    run = RunFolder.create(tmp_path / "runs", experiment, [])
    for same in (experiment, run.experiment, spec.load(run.path / "experiment.yaml")):
        assert [arm.name for arm in plan.arms(same)] == ["idle__kernel-linux-a", "idle__kernel-linux-b"]


def test_an_unsigned_package_of_debian_has_the_release_of_the_signed_one(tmp_path: Path) -> None:
    package = f"linux-image-{RELEASE}-unsigned"
    for form in (DebKernel(deb=str(deb(tmp_path, package))), SuiteKernel(suite="sid", package=package)):
        assert form.release() == RELEASE
    assert SuiteKernel(suite="sid", package=f"linux-image-unsigned-{RELEASE}").release() == RELEASE


def test_only_whole_kernels_are_swept(files: Path) -> None:
    for key, value in {"deb": "bzImage", "suite": "sid"}.items():
        with pytest.raises(SpecError, match=rf"unknown path in sweep: 'machine\.kernel\.{key}'") as caught:
            load(files, "6.1.0-37-amd64", f"sweep: {{machine.kernel.{key}: [{value}]}}\n")
        assert caught.value.where == f"{files / 'e.yaml'}:4:9"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"deb": "/a/linux-image-6.1.192-mine_6.1.192-mine-2_amd64.deb"}, "6.1.192-mine-2"),
        ({"deb": "linux-image-6.1.0-37-amd64_6.1.140-1_amd64.deb"}, "6.1.0-37-amd64-6.1.140-1"),
        ({"deb": "my kernel.deb"}, "my kernel"),
        ({"image": "/home/me/linux-patched/arch/x86/boot/bzImage", "modules": "/m"}, "linux-patched"),
        ({"image": "/boot/vmlinuz-6.1.192-mine"}, "6.1.192-mine"),
        ({"image": "/boot/bzImage"}, "image"),
        ({"suite": "sid", "package": "linux-image-rt-amd64"}, "sid-rt-amd64"),
    ],
)
def test_the_name_of_a_kernel_tells_its_build(value: dict[str, str], name: str) -> None:
    assert short_name(value) == name
