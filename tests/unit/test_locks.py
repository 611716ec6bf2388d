"""What setup.sh installs: exact versions, and of every file the hash; nothing else, and nothing changed."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
import setup_script
from command_line import LIMIT_S
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from locations import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.extras import DISTRIBUTION

LOCKS = ("run", "tests", "torch-cpu", "torch-cuda")
NAME = "pinned_here-1.0-py3-none-any.whl"


def entries(lock: str) -> list[tuple[Requirement, list[str]]]:
    """Return each requirement of a lock with its hashes."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8").replace("\\\n", "")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found = [
        (line.partition(" --hash=")[0], re.findall(r"--hash=sha256:([0-9a-f]{64})(?= |$)", line)) for line in lines
    ]
    return [(Requirement(head), hashes) for head, hashes in found]


def locked() -> dict[str, str]:
    """Return the version of each package that the locks of a test environment name for this Python."""
    names = [requirement for lock in ("run", "tests", "torch-cpu") for requirement, _ in entries(lock)]
    here = [requirement for requirement in names if requirement.marker is None or requirement.marker.evaluate()]
    return {canonicalize_name(requirement.name): str(requirement.specifier)[2:] for requirement in here}


def declared() -> list[str]:
    """Return what this project needs, as a wheel made of it would say."""
    core = ProjectMetadata(str(ROOT), PluginManager()).core
    extras = core.optional_dependencies.items()
    return [*core.dependencies, *(f"{text} ; extra == {extra!r}" for extra, texts in extras for text in texts)]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes_and_names_no_host(lock: str) -> None:
    assert "://" not in (ROOT / "requirements" / f"{lock}.txt").read_text("utf-8")
    for requirement, hashes in entries(lock):
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), requirement
        assert hashes, requirement


@pytest.mark.parametrize("lock", ["run", "tests"])
def test_a_cpu_build_of_torch_brings_no_package_of_a_gpu(lock: str) -> None:
    assert not [each for each, _ in entries(lock) if re.match("nvidia|cuda|triton|torch$", each.name)]


def test_what_this_project_needs_is_locked_with_all_that_that_needs() -> None:
    own, seen = Requirement(f"{DISTRIBUTION}[all,docs,test]"), set()
    wanted = [own]
    while wanted:
        requirement = wanted.pop()
        for text in declared() if requirement is own else requires(requirement.name) or []:
            needed = Requirement(text)
            key = canonicalize_name(needed.name), frozenset(needed.extras)
            extras = requirement.extras or {""}
            if key in seen or not (needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras)):
                continue
            seen.add(key)
            assert needed.specifier.contains(locked()[key[0]], prereleases=True), needed
            wanted.append(needed)
    assert len(seen) > 60


def test_what_is_installed_is_what_the_locks_name() -> None:
    differing = {}
    for name, pinned in locked().items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if installed != pinned and name != "torch":  # a torch that the user installed is kept
            differing[name] = (installed, pinned)
    assert not differing


def wheel(folder: Path) -> str:
    """Make the smallest package that pip installs; return its hash."""
    info = "pinned_here-1.0.dist-info"
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        archive.writestr("pinned_here.py", "")
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: pinned-here\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return hashlib.sha256((folder / NAME).read_bytes()).hexdigest()


def install(folder: Path, lock: str) -> subprocess.CompletedProcess[str]:
    """Run setup.sh's own function on a lock, with the packages of `folder` as the only ones there are."""
    (folder / "requirements").mkdir()
    (folder / "requirements" / "run.txt").write_text(lock)
    (folder / ".venv").symlink_to(Path(sys.executable).parent.parent)
    own = setup_script.functions("say", "install_locked", "show_progress")
    place = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_TARGET": str(folder / "site")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{own}\ninstall_locked -r requirements/run.txt"],
        cwd=folder, env=os.environ | place, capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip


@pytest.mark.slow
def test_setup_installs_a_package_whose_hash_is_locked(tmp_path: Path) -> None:
    done = install(tmp_path, f"pinned-here==1.0 --hash=sha256:{wheel(tmp_path)}\n")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "pinned_here.py").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("hashes", [f" --hash=sha256:{'0' * 64}", ""])
def test_setup_refuses_a_package_with_another_hash_or_without_one(tmp_path: Path, hashes: str) -> None:
    wheel(tmp_path)
    done = install(tmp_path, f"pinned-here==1.0{hashes}\n")
    assert done.returncode == 1
    assert not (tmp_path / "site").exists()
    assert "hash" in done.stderr.lower()
