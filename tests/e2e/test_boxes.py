"""The real box and the real machine of a run, exported, imported and locked; apt and the archive resolve real locks.

No box is built here. To see what apt makes of a lock, the real mmdebstrap is stopped before it downloads a package.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shlex
import shutil
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from command_line import harness
from real_campaign import Smoke

from harness import boxes
from harness.boxes import cache, lock_file, provisioned, recipes, roles
from harness.boxes.pins import Pin, Pins
from harness.campaign.effects import Effects
from harness.campaign.needs import Needs
from harness.progress import SilentWatcher
from harness.spec import MachineSpec

RECIPE = boxes.recipe("debian-12")
LOOSE = ("ca-certificates", "sudo", "nginx", "nginx-common")  # no other package needs a certain version of these


@dataclass(frozen=True)
class Exported:
    """A file of `harness box export`, the folders that it was made from, and what the machine in it has, if any."""

    file: Path
    folders: tuple[Path, ...]
    machine: Needs | None


@pytest.fixture(scope="module", params=["box", "machine"])
def exported(
    smoke: Smoke, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    """The box of the run, or the provisioned machine that it recorded on."""
    used, file = smoke.folder.manifest["box"], tmp_path_factory.mktemp("export") / "file"
    machine = used["provisioned"] if request.param == "machine" else None
    name = f"{machine['digest']}-{machine['image_sha256'][:12]}" if machine else used["name"]
    told = json.loads(harness("box", "export", name, file, "--json").stdout)
    assert [one["digest"] for one in told["boxes"]] == [used["digest"], *([machine["digest"]] if machine else [])]
    folders = tuple(Path(one["folder"]) for one in told["boxes"])
    yield Exported(file, folders, Needs(tuple(machine["roles"]), machine.get("variables", {})) if machine else None)
    file.unlink()


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The empty cache of another host."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"
    shutil.rmtree(tmp_path / "cache", ignore_errors=True)


def test_what_was_exported_is_whole_in_an_empty_cache_and_a_run_there_uses_it(
    exported: Exported, there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    imported = json.loads(harness("box", "import", exported.file, "--json").stdout)["boxes"]
    assert [(one["state"], one["unused_because"]) for one in imported] == [("new", None)] * len(exported.folders)
    for one, original in zip(imported, exported.folders, strict=True):
        names = sorted(path.name for path in Path(one["box"]["folder"]).iterdir())
        assert filecmp.cmpfiles(original, one["box"]["folder"], names, shallow=False) == (names, [], [])
        assert {"box.json", "box.img", "vmlinuz", "initrd", "libvirt.box"} <= set(names)
    assert json.loads(harness("box", "verify", "debian-12", "--json").stdout)["problems"] == []
    listed = json.loads(harness("box", "ls", "--json").stdout)
    assert [one["current"] for one in listed["cached"] + listed["provisioned"]] == [True] * len(exported.folders)

    monkeypatch.setenv("PATH", str(tmp_path))  # no mmdebstrap: whatever builds a box fails
    box = Effects().build_box(MachineSpec(box="debian-12"), SilentWatcher())
    assert isinstance(box, boxes.Box)
    assert box.folder == there / "boxes" / exported.folders[0].name
    kept = Effects().find_provisioned(box, exported.machine or Needs(()))
    assert (kept.folder.name if kept else None) == (exported.folders[1].name if exported.machine else None)


@pytest.mark.parametrize("where", ["list", "disk", "last"])
def test_one_flipped_byte_is_refused_and_leaves_the_cache_empty(exported: Exported, there: Path, where: str) -> None:
    with tarfile.open(exported.file) as archive:
        members = [member for member in archive if member.size]
    flipped = {"list": members[0], "disk": max(members, key=lambda member: member.size), "last": members[-1]}[where]
    offset = flipped.offset_data + flipped.size // 2
    flip(exported.file, offset)
    try:
        refused = harness("box", "import", exported.file, code=3).stderr
    finally:
        flip(exported.file, offset)
    assert "nothing was imported" in refused
    assert str(exported.file) in refused
    assert (cache.ls(), provisioned.ls()) == ([], [])
    assert [path for path in there.rglob("*") if path.is_file() and path.stat().st_size] == []


def flip(file: Path, offset: int) -> None:
    """Change one bit of the byte at this offset; a second call changes it back."""
    with file.open("r+b") as opened:
        opened.seek(offset)
        (byte,) = opened.read(1)
        opened.seek(offset)
        opened.write(bytes([byte ^ 1]))


@dataclass(frozen=True)
class Resolved:
    """What `harness box build` wrote as errors, its log, what apt would have installed, and what the archive has."""

    stderr: str
    log: str
    chosen: set[tuple[str, str, str]]  # name, version, architecture
    archive: dict[tuple[str, str, str], Pin]


def resolve(folder: Path, packages: Sequence[str], *options: str | Path) -> Resolved:
    """Build a box with the real mmdebstrap, in which apt only says how it would install `packages`; then it ends.

    A hook of mmdebstrap does this, after that of a lock and before anything is downloaded; the log has its output.
    """
    words, index = shlex.join(packages), shlex.quote(str(recipes.folder() / "index.awk"))
    hook = f"""export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
        ls "$1"/var/lib/apt/lists/*Packages* >/dev/null 2>&1 || apt-get update -q --error-on=any
        apt-get install --simulate -q {words} | tee "$1/said"
        sed -n 's/^Inst \\([^ ]*\\) .*/\\1/p' "$1/said" | xargs apt-cache show | awk -f {index} | sed 's/^/archive: /'
        exit 1"""
    stand_in = folder / "bin" / "mmdebstrap"
    stand_in.parent.mkdir(parents=True)
    real = shutil.which("mmdebstrap")
    stand_in.write_text(
        f'#!/bin/sh\ncase $1 in --unshare-helper) exec {real} "$@" ;; esac\n'
        f'exec {real} "$@" --setup-hook={shlex.quote(hook)}\n'
    )
    stand_in.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
        patch.setenv("HARNESS_CACHE", str(folder / "cache"))
        ended = harness("box", "build", "debian-12", *options, code=3)
        assert cache.ls() == []
        (path,) = cache.root().glob("debian-12*.log")  # with another kernel, its digest is in the name
        log = path.read_text("utf-8")
    chosen = set(re.findall(r"^Inst (\S+) \((\S+) .*\[(\S+)\]\)", log, re.MULTILINE))
    known = [Pin(*words) for words in re.findall(r"^archive: (\S+) (\S+) (\S+) (\S+)$", log, re.MULTILINE)]
    return Resolved(ended.stderr, log, chosen, {(pin.name, pin.version, pin.architecture): pin for pin in known})


@pytest.fixture(scope="module")
def today(tmp_path_factory: pytest.TempPathFactory) -> Resolved:
    """What apt would install without a lock, from what the archive has now; the box of the run may be older."""
    of_roles = roles.packages(RECIPE)["debian-12"]
    resolved = resolve(tmp_path_factory.mktemp("today"), ["?essential", "apt", *RECIPE.all_packages(), *of_roles])
    assert {*RECIPE.all_packages(), *of_roles} <= {name for name, _, _ in resolved.chosen}, resolved.stderr
    return resolved


def lock_of(pins: Sequence[Pin]) -> lock_file.Lock:
    return lock_file.Lock(
        RECIPE.name, RECIPE.fingerprint(), RECIPE.suite, "2026-11-29T12:00:00Z", Pins(tuple(sorted(pins)))
    )


def test_a_lock_pins_every_package_of_the_box_to_the_file_in_the_archive(
    smoke: Smoke, today: Resolved, tmp_path: Path
) -> None:
    told = json.loads(harness("box", "lock", "debian-12", "--out", tmp_path / "x.lock", "--json").stdout)
    box = boxes.cache.find(told["box"])
    assert box is not None
    assert box.digest == smoke.folder.manifest["box"]["digest"]
    pins = lock_file.read(tmp_path / "x.lock", RECIPE).pins
    installed = (box.folder / "packages").read_text("utf-8").splitlines()
    assert [f"{pin.name} {pin.version}" for pin in pins.box] == sorted(installed)
    on_machine = smoke.folder.manifest["box"]["provisioned"]["packages"]
    assert set(on_machine) <= {pin.name for pin in pins.all()}
    for pin in pins.all():
        same = today.archive.get((pin.name, pin.version, pin.architecture), pin)
        assert pin == same


def test_apt_chooses_exactly_the_pins_of_a_lock_also_where_the_archive_has_newer_versions(
    today: Resolved, tmp_path: Path
) -> None:
    newest = {words[0]: today.archive[words] for words in today.chosen}
    named = {name: [pin for pin in today.archive.values() if pin.name == name] for name in LOOSE}
    oldest = {name: known[-1] for name, known in named.items()}  # apt shows the newest first
    pins = [*{**newest, **oldest}.values()]
    (tmp_path / "x.lock").write_text(lock_of(pins).text())
    locked = resolve(tmp_path, [pin.name for pin in pins], "--lock", tmp_path / "x.lock")
    assert locked.chosen == {(pin.name, pin.version, pin.architecture) for pin in pins}, locked.stderr


def test_a_kernel_of_another_suite_brings_only_what_the_boxes_own_suite_lacks(tmp_path: Path) -> None:
    wanted = ["?essential", "apt", *RECIPE.packages_without_kernel(), "linux-image-cloud-amd64/bookworm-backports"]
    form = "{suite: bookworm-backports, package: linux-image-cloud-amd64}"
    resolved = resolve(tmp_path, wanted, "--kernel", form)
    there = set(re.findall(r"^Inst (\S+) \(\S+ Debian Backports:", resolved.log, re.MULTILINE))
    assert "linux-image-cloud-amd64" in there, resolved.stderr
    assert [name for name in there if not name.startswith("linux-")] == []
    assert {*RECIPE.packages_without_kernel()} <= {name for name, _, _ in resolved.chosen}


def test_apt_installs_no_package_that_a_lock_lacks_not_even_a_dependency(today: Resolved, tmp_path: Path) -> None:
    pins = [today.archive[words] for words in today.chosen if words[0] != "nginx-common"]
    assert len(pins) == len(today.chosen) - 1
    (tmp_path / "x.lock").write_text(lock_of(pins).text())
    refused = resolve(tmp_path / "nginx", ["nginx"], "--lock", tmp_path / "x.lock")
    assert "Depends: nginx-common" in refused.log
    assert refused.chosen == set()


def test_every_pin_that_the_archive_lacks_is_named_and_nothing_is_downloaded(today: Resolved, tmp_path: Path) -> None:
    pins = {words[0]: today.archive[words] for words in today.chosen}
    other_hash = "0" * 64
    changed = {
        "openssl": replace(pins["openssl"], version="0.1-1"),
        "sudo": replace(pins["sudo"], sha256=other_hash),
        "no-such-package": Pin("no-such-package", "1.0", "all", other_hash),
    }
    (tmp_path / "x.lock").write_text(lock_of([*{**pins, **changed}.values()]).text())
    refused = resolve(tmp_path, [*pins], "--lock", tmp_path / "x.lock")
    said = " ".join(refused.stderr.split())
    assert f"openssl 0.1-1 (amd64): the archive now has {pins['openssl'].version}" in said
    assert f"sudo {pins['sudo'].version} (amd64): its SHA-256 there is {pins['sudo'].sha256}, not {other_hash}" in said
    assert "no-such-package 1.0 (all): the archive has no version of it" in said
    assert len(re.findall(r" \((?:amd64|all)\): ", said)) == len(changed)
    assert refused.chosen == set()  # what comes after the comparison was not reached
