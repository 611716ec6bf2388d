"""Pins: what a build leaves becomes rows of a lock, and rows of a lock become what apt may install."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import pins, roles
from harness.boxes.pins import Pin, Pins
from harness.errors import BoxError

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
APT = Pin("apt", "2.6.2", "amd64", A)
ADDUSER = Pin("adduser", "3.134", "all", B)
NGINX = Pin("nginx", "1:1.22.1-9+deb12u11", "amd64", C)


def build(out: Path, **files: str) -> Path:
    """Write what image.sh leaves; apt's lists also have a version that is not installed."""
    content = {
        "installed": "apt 2.6.2 amd64\nadduser 3.134 all\n",
        "roles": "Inst nginx (1:1.22.1-9+deb12u11 Debian-Security:12/oldstable-security [amd64]) []\nUnknown gone\n",
        "archive": f"{APT}\n{ADDUSER}\n{NGINX}\napt 2.6.1 amd64 {C}\n",
    }
    for name, text in {**content, **files}.items():
        (out / name).write_text(text, encoding="utf-8")
    return out


def test_a_build_pins_each_installed_package_and_what_the_roles_would_add(tmp_path: Path) -> None:
    assert pins.of_build(build(tmp_path)) == Pins(box=(ADDUSER, APT), roles=(NGINX,))


def test_a_package_that_a_role_finds_installed_is_pinned_once(tmp_path: Path) -> None:
    twice = "Inst apt (2.6.2 Debian:12.5/oldstable [amd64])\n"
    assert pins.of_build(build(tmp_path, roles=twice)) == Pins(box=(ADDUSER, APT))


def test_an_installed_package_that_the_archive_does_not_have_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(BoxError, match="no SHA-256 of apt"):
        pins.of_build(build(tmp_path, archive=f"{ADDUSER}\n{NGINX}\n"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("apt 2.6.2 amd64", "3 words instead of 4"),
        (f"apt 2.6.2 amd64 {A} more", "5 words instead of 4"),
        (f"Apt 2.6.2 amd64 {A}", "'Apt' is no name"),
        (f"apt 2.6* amd64 {A}", "'2.6\\*' is no version"),  # a star would match every version
        (f"apt 2.6.2 arm64 {A}", "'arm64' is no architecture"),
        (f"apt 2.6.2 amd64 {A[1:]}", "is no SHA-256"),
    ],
)
def test_a_row_that_is_no_pin_says_what_is_wrong_with_it(line: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        pins.pin(line)


def test_apt_may_install_the_pinned_versions_and_nothing_else() -> None:
    entries = pins.preferences([APT, NGINX]).split("\n\n")[1:]
    assert entries == [
        "Package: apt\nPin: version 2.6.2\nPin-Priority: 1001",
        "Package: nginx\nPin: version 1:1.22.1-9+deb12u11\nPin-Priority: 1001",
        "Package: *\nPin: release *\nPin-Priority: -1\n",
    ]


def test_differences_name_what_is_missing_and_what_is_too_much() -> None:
    assert pins.differences([APT], [APT]) == []
    assert pins.differences([APT, ADDUSER], [APT, NGINX]) == [f"- {ADDUSER}", f"+ {NGINX}"]


def test_the_packages_of_the_roles_come_from_ansibles_tables_with_the_kernel_of_the_recipe() -> None:
    assert {"apache2-utils", "linux-perf", "nginx", "postgresql", "stress-ng"} <= {
        *roles.packages(boxes.recipe("debian-12"))["debian-12"]
    }
    assert "linux-perf-5.10" in roles.packages(boxes.recipe("debian-11"))["debian-11"]
    assert "linux-tools-4.15.0-58-generic" in roles.packages(boxes.recipe("ubuntu-18.04"))["ubuntu-18.04"]


def test_a_package_named_after_a_kernel_that_only_the_box_knows_is_left_out() -> None:
    there = roles.packages(boxes.recipe("debian-13"))["ubuntu-18.04"]
    assert not any(name.startswith("linux-tools") for name in there)
