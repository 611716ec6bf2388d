"""Pins: the exact version of a package and the SHA-256 of its .deb file, for the build of a box and for its guests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from harness.errors import BoxError

BOX, ROLES = "[box]", "[roles]"  # the two sections of pins: what the image has, what the roles add to it
PRIORITY = 1001  # above 1000 apt takes a version even if that is a downgrade
_NAME, _VERSION = re.compile(r"[a-z0-9][a-z0-9+.-]+"), re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~:-]*")
_ARCHITECTURE, _SHA256 = re.compile(r"all|amd64"), re.compile(r"[0-9a-f]{64}")
_SIMULATED = re.compile(r"Inst (\S+) (?:\[\S+\] )?\((\S+) .*\[(\S+)\]\)")


@dataclass(frozen=True, order=True)
class Pin:
    """One package of an archive: exactly this version of it, in exactly this file."""

    name: str
    version: str
    architecture: str
    sha256: str

    def __str__(self) -> str:
        return " ".join(astuple(self))


@dataclass(frozen=True)
class Pins:
    """The packages of a box, and those that the roles of `ansible/` would add to it; both sorted."""

    box: tuple[Pin, ...]
    roles: tuple[Pin, ...] = ()

    def all(self) -> tuple[Pin, ...]:
        """Return the pins of both sections."""
        return self.box + self.roles

    def text(self) -> str:
        """Return both sections, one package a line."""
        return "\n".join([BOX, *map(str, self.box), ROLES, *map(str, self.roles)]) + "\n"


def pin(line: str) -> Pin:
    """Parse `NAME VERSION ARCHITECTURE SHA256`. Raises ValueError with what is wrong."""
    words = line.split()
    if len(words) != 4:
        raise ValueError(f"{len(words)} words instead of 4")
    patterns = {"name": _NAME, "version": _VERSION, "architecture": _ARCHITECTURE, "SHA-256": _SHA256}
    for (what, pattern), word in zip(patterns.items(), words, strict=True):
        if not pattern.fullmatch(word):
            raise ValueError(f"{word!r} is no {what}")
    return Pin(*words)


def of_build(out: Path) -> Pins:
    """Return the pins of the box that was just built, from what image.sh left in `out`.

    Raises BoxError if the archive's lists do not have an installed package.
    """
    known = [pin(line) for line in _lines(out / "archive")]
    archive: dict[tuple[str, ...], Pin] = {(one.name, one.version, one.architecture): one for one in known}
    installed = [tuple(line.split()) for line in _lines(out / "installed")]
    wanted = [match.groups() for line in _lines(out / "roles") if (match := _SIMULATED.match(line))]
    if missing := [" ".join(words) for words in [*installed, *wanted] if words not in archive]:
        raise BoxError(f"the archive's lists have no SHA-256 of {', '.join(missing)}")
    chosen = [archive[words] for words in wanted if words not in installed]
    return Pins(tuple(sorted(archive[words] for words in installed)), tuple(sorted(set(chosen))))


def preferences(pins: Iterable[Pin]) -> str:
    """Return a file for /etc/apt/preferences.d with which apt installs these versions and no other package."""
    entries = [f"Package: {one.name}\nPin: version {one.version}\nPin-Priority: {PRIORITY}\n" for one in pins]
    head = (
        "# Written by `harness box build` from the lock of this box: apt installs these versions and nothing else.\n\n"
    )
    return head + "\n".join([*entries, "Package: *\nPin: release *\nPin-Priority: -1\n"])


def differences(expected: Sequence[Pin], actual: Sequence[Pin]) -> list[str]:
    """Return one line for each package that only one of the two has; empty if they are equal."""
    missing = [f"- {one}" for one in sorted(set(expected) - set(actual))]
    return missing + [f"+ {one}" for one in sorted(set(actual) - set(expected))]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
