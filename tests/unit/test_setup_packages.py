"""setup.sh installs the packages of its lists and says before what that changes; a stand-in for apt plays the archive.

What the stand-in prints as its plan is what apt 2.6 printed on a Debian 12 system without updates.
"""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
import setup_script
from locations import ROOT

FUNCTIONS = (
    *("say", "die", "as_root", "installed", "available", "wanted_packages", "present", "lacks", "choose_package"),
    *("keyring_packages", "install_packages", "show_plan", "packages_below", "confirm_upgrades"),
)
UPGRADE = """The following packages will be upgraded:
  libzstd1
"""
PLAN = """Reading package lists...
The following additional packages will be installed:
  libarchive13
The following NEW packages will be installed:
  libarchive13 zstd
{upgrade}1 upgraded, 2 newly installed, 0 to remove and 16 not upgraded.
Need to get 950 kB of archives.
After this operation, 2720 kB of additional disk space will be used.
'http://mirror.invalid/zstd.deb' zstd.deb 950 MD5Sum:0
"""
STAND_INS = {
    "apt-get": 'echo "apt-get $*" >>"$CALLS"\ncase "$*" in *print-uris*) cat "$PLAN" ;; esac',
    "apt-cache": 'case " $UNKNOWN " in *" $2 "*) echo "Candidate: (none)" ;; *) echo "Candidate: 1.0" ;; esac',
    "dpkg-query": 'case " $LACKING " in *" $4 "*) exit 1 ;; esac; printf installed',
    "id": "echo 1000",
    "sudo": 'shift; echo "sudo $*" >>"$CALLS"; exec "$@"',
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A host of a user with sudo, in which `install` runs the functions of setup.sh."""
    (tmp_path / "bin").mkdir()
    for name, script in STAND_INS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "calls").touch()
    return tmp_path


def install(
    host: Path, *, lacking: str = "", unknown: str = "", upgrade: str = "", terminal: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `install_packages`, with a terminal or without."""
    (host / "plan").write_text(PLAN.format(upgrade=upgrade))
    script = (
        f"wanted=tests\n{setup_script.array('APT_OPTIONS')}\n{setup_script.functions(*FUNCTIONS)}\ninstall_packages"
    )
    seen = {"CALLS": str(host / "calls"), "PLAN": str(host / "plan"), "LACKING": lacking, "UNKNOWN": unknown}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=ROOT, text=True, check=False,
        stdin=subprocess.DEVNULL if terminal is None else terminal, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if terminal is None else terminal, env={"PATH": f"{host / 'bin'}:/usr/bin:/bin", **seen},
    )  # fmt: skip


def calls(host: Path) -> list[str]:
    return (host / "calls").read_text().splitlines()


def test_where_nothing_is_missing_neither_root_nor_apt_is_asked(host: Path) -> None:
    done = install(host)
    assert (done.returncode, done.stderr, calls(host)) == (0, "", [])


def test_what_is_missing_is_installed_without_what_is_only_recommended_after_its_size_was_said(host: Path) -> None:
    done = install(host, lacking="zstd")
    assert done.returncode == 0, done.stderr
    assert "  libarchive13 zstd\nNeed to get 950 kB" in done.stderr
    assert "2720 kB of additional disk space" in done.stderr
    assert "upgrade" not in done.stderr
    last = calls(host)[-1]
    assert re.search(r"--no-install-recommends --no-remove .* install zstd$", last)


def test_of_two_names_of_a_package_the_one_that_this_release_has_is_taken(host: Path) -> None:
    done = install(host, lacking="linux-perf linux-tools-generic", unknown="linux-perf")
    assert done.returncode == 0, done.stderr
    assert calls(host)[-1].endswith(" install linux-tools-generic")


def test_a_package_that_no_archive_has_is_named_and_nothing_is_installed(host: Path) -> None:
    done = install(host, lacking="zstd shellcheck", unknown="shellcheck")
    assert done.returncode == 3
    assert "no archive that apt knows has the package shellcheck" in done.stderr
    assert not [call for call in calls(host) if " install " in call]


def test_without_a_terminal_upgrades_that_the_new_packages_need_are_named_and_done(host: Path) -> None:
    done = install(host, lacking="zstd", upgrade=UPGRADE)
    assert done.returncode == 0, done.stderr
    assert "to upgrade these that are installed:\n  libzstd1\n" in done.stderr
    assert calls(host)[-1].endswith(" install zstd")


@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 3), ("", 3)])
def test_on_a_terminal_such_upgrades_are_asked_for(host: Path, answer: str, code: int) -> None:
    keyboard, terminal = pty.openpty()
    os.write(keyboard, f"{answer}\n".encode())
    done = install(host, lacking="zstd", upgrade=UPGRADE, terminal=terminal)
    assert done.returncode == code
    assert any(call.endswith(" install zstd") for call in calls(host) if "print-uris" not in call) == (code == 0)


def test_every_package_of_the_lists_has_a_reason_beside_it() -> None:
    for name in ("debian-run.txt", "debian-tests.txt"):
        lines = (ROOT / "requirements" / name).read_text("utf-8").splitlines()
        for line in (line for line in lines if not line.startswith("#")):
            assert re.fullmatch(r"[a-z0-9.-]+( \| [a-z0-9.-]+)* *# \w.*", line), line
