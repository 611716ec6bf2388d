"""lock.sh compares the archive with a lock before anything is downloaded; stand-ins for apt play the archive."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.boxes import recipes

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
ENTRY = "Package: {}\nVersion: {}\nDescription: x\n Version: 9\nArchitecture: {}\nSHA256: {}\n\n"
INSTALLED = "Package: apt\nStatus: install ok installed\nVersion: 1.0\nArchitecture: amd64\n\n"  # dpkg's: has no hash


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The work folder of a build, and an archive with two versions of apt, the newest first, and one of nginx."""
    for folder in ("bin", "out", "root/etc/apt/preferences.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "preferences").write_text("Package: apt\n")
    entries = [("apt", "2.6.2", "amd64", A), ("apt", "2.6.1", "amd64", B), ("nginx", "1:1.22", "all", C)]
    (tmp_path / "archive").write_text("".join(ENTRY.format(*entry) for entry in entries) + INSTALLED)
    for name, script in {
        "apt-get": 'echo "$APT_CONFIG $*"',
        "apt-cache": f"cat {tmp_path / 'archive'}; exit 100",
    }.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("MMDEBSTRAP_APT_CONFIG", "/its/apt.conf")
    return tmp_path


def compare(work: Path, *rows: str) -> tuple[int, str]:
    """Run the script with a lock of these rows; return its exit code and the rows that it missed."""
    (work / "lock").write_text("".join(f"{row}\n" for row in rows))
    script = recipes.folder() / "lock.sh"
    done = subprocess.run(["sh", script, work / "root", work], capture_output=True, text=True, check=False)
    assert "/its/apt.conf update -q --error-on=any" in done.stdout
    return done.returncode, (work / "out" / "moved").read_text()


def test_an_archive_with_every_pin_lets_the_build_go_on_with_these_alone(work: Path) -> None:
    assert compare(work, f"apt 2.6.1 amd64 {B}", f"nginx 1:1.22 all {C}") == (0, "")
    assert (work / "root/etc/apt/preferences.d/harness-lock").read_text() == "Package: apt\n"


def test_a_version_that_is_gone_is_named_with_the_newest_one(work: Path) -> None:
    row = f"apt 2.5 amd64 {A}"
    assert compare(work, row) == (1, f"{row} - 2.6.2\n")
    assert not (work / "root/etc/apt/preferences.d/harness-lock").exists()


def test_a_package_that_is_gone_is_named_without_one(work: Path) -> None:
    row = f"gdb 13 amd64 {A}"
    assert compare(work, row, f"apt 2.6.2 amd64 {A}") == (1, f"{row} - \n")


def test_the_same_version_with_another_hash_is_named_with_that_hash(work: Path) -> None:
    row = f"apt 2.6.2 amd64 {C}"
    assert compare(work, row) == (1, f"{row} {A} 2.6.2\n")


def test_the_same_version_of_another_architecture_is_not_the_pinned_one(work: Path) -> None:
    row = f"nginx 1:1.22 amd64 {C}"
    assert compare(work, row) == (1, f"{row} - 1:1.22\n")
