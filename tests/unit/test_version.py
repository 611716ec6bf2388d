"""The version: of a checkout it is what git says, elsewhere what was installed."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from git_repository import Git, commit_all
from locations import ROOT
from packaging.version import Version

from harness.version import DISTRIBUTION, RELEASE, UNKNOWN

SOURCE = ROOT / "harness" / "version.py"


def version_in(folder: Path) -> str:
    """Return the version of a checkout or an installation in this folder."""
    spec = importlib.util.spec_from_file_location("version_of_another", folder / "harness" / "version.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.version())


@pytest.fixture
def unpacked(tmp_path: Path) -> Path:
    """The files of a checkout, without git."""
    (tmp_path / "harness").mkdir()
    shutil.copy(SOURCE, tmp_path / "harness")
    (tmp_path / "pyproject.toml").write_text(f'name = "{DISTRIBUTION}"\n')
    return tmp_path


@pytest.fixture
def git(unpacked: Path) -> Git:
    return commit_all(unpacked)


def test_without_git_the_version_is_that_of_the_source_distribution_or_says_that_it_is_not_known(
    unpacked: Path,
) -> None:
    assert version_in(unpacked) == UNKNOWN
    (unpacked / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: x\nVersion: 0.4.0.dev2+gabcdef0\n\nVersion: 9\n")
    assert version_in(unpacked) == "0.4.0.dev2+gabcdef0"


def test_without_tags_the_version_names_the_commit(unpacked: Path, git: Git) -> None:
    assert version_in(unpacked) == f"{RELEASE}.dev0+g{git('rev-parse', '--short=10', 'HEAD')}"


def test_a_tag_is_the_version_and_commits_after_it_come_before_the_next_release(unpacked: Path, git: Git) -> None:
    git("tag", "v0.2.0")
    for other in ("vague", "v9-draft", "v9.0rc1"):
        git("tag", other)
    assert version_in(unpacked) == "0.2.0"
    git("commit", "-q", "--allow-empty", "-m", "two")
    assert version_in(unpacked) == f"{RELEASE}.dev1+g{git('rev-parse', '--short=10', 'HEAD')}"


def test_a_change_that_is_not_committed_is_no_release(unpacked: Path, git: Git) -> None:
    git("tag", f"v{RELEASE}")
    with (unpacked / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    changed = version_in(unpacked)
    assert changed.endswith(".dirty")
    assert Version(changed) > Version(RELEASE)  # which is out
    assert Version(changed).is_devrelease


def test_an_installation_in_a_repository_of_another_project_is_not_of_its_commit(unpacked: Path, git: Git) -> None:
    git("tag", "v7.0")
    site = unpacked / ".venv" / "lib"
    (site / "harness").mkdir(parents=True)
    shutil.copy(SOURCE, site / "harness")
    assert not version_in(site).startswith("7")
    (unpacked / "pyproject.toml").write_text('name = "another"\n')  # whose folder it was installed into itself
    assert not version_in(unpacked).startswith("7")


def test_a_source_distribution_in_a_repository_of_its_packagers_keeps_its_version(unpacked: Path, git: Git) -> None:
    git("tag", "v7.0")
    (unpacked / "PKG-INFO").write_text("Version: 0.3.0\n")
    assert version_in(unpacked) == "0.3.0"


def test_a_repository_that_git_refuses_has_a_version_that_says_so(unpacked: Path, git: Git) -> None:
    git("tag", "v7.0")
    (unpacked / ".git" / "HEAD").write_text("refused")
    assert version_in(unpacked) == UNKNOWN


def test_only_what_has_to_know_the_version_asks_git(unpacked: Path, git: Git, tmp_path: Path) -> None:
    shutil.rmtree(unpacked / "harness")
    for folder in ("harness", "ansible"):
        (unpacked / folder).symlink_to(ROOT / folder)
    asked, programs = tmp_path / "asked", tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\ntouch {asked}\nexit 1\n")
    (programs / "git").chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": f"{unpacked}:{ROOT}"}

    def harness(*words: str) -> str:
        command = [sys.executable, "-m", "harness", *words]
        return subprocess.run(command, cwd=unpacked, env=environment, check=True, capture_output=True, text=True).stdout

    for words in (["--help"], ["ls"], ["loads"]):
        harness(*words)
        assert not asked.exists(), words
    assert harness("--version") == f"harness {UNKNOWN}\n"
    assert asked.exists()
