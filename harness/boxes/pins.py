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


def of_build(out: Path, *, own_kernel: bool = True) -> Pins:
    """Return the pins of the box that was just built, from what image.sh left in `out`.

    Raises BoxError if the archive's lists do not have an installed package; without the recipe's `own_kernel`, such a
    package has come with the other one, and has no pin.
    """
    known = [pin(line) for line in _lines(out / "archive")]
    archive: dict[tuple[str, ...], Pin] = {(one.name, one.version, one.architecture): one for one in known}
    installed = [tuple(line.split()) for line in _lines(out / "installed")]
    wanted = [match.groups() for line in _lines(out / "roles") if (match := _SIMULATED.match(line))]
    if not own_kernel:
        installed, wanted = ([words for words in some if words in archive] for some in (installed, wanted))
    if missing := [" ".join(words) for words in [*installed, *wanted] if words not in archive]:
        raise BoxError(f"the archive's lists have no SHA-256 of {', '.join(missing)}")
    chosen = [archive[words] for words in wanted if words not in installed]
    return Pins(tuple(sorted(archive[words] for words in installed)), tuple(sorted(set(chosen))))


def differences_of(locked: Pins, built: Pins) -> list[str]:
    """Return one line for each package of the box that only one of the two has."""
    return differences(locked.box, built.box)


def for_other_kernel(locked: Pins) -> Pins:
    """Return the pins of a box with another kernel: packages named linux-... come with that."""
    return Pins(tuple(one for one in locked.box if not one.name.startswith("linux-")), locked.roles)


def changed(locked: Pins, built: Pins) -> list[str]:
    """Return one line for each package that is not as pinned; packages of only one of the two do not count."""
    names = {one.name for one in locked.box} & {one.name for one in built.box}
    return differences(*([one for one in pins.box if one.name in names] for pins in (locked, built)))


def preferences(pins: Iterable[Pin], *, alone: bool = True) -> str:
    """Return a file for /etc/apt/preferences.d with which apt installs these versions and, `alone`, nothing else."""
    entries = [f"Package: {one.name}\nPin: version {one.version}\nPin-Priority: {PRIORITY}\n" for one in pins]
    head = "# Written by `harness box build` from the lock of this box: apt installs these versions"
    head += " and nothing else.\n\n" if alone else ".\n\n"
    return head + "\n".join([*entries, *(["Package: *\nPin: release *\nPin-Priority: -1\n"] if alone else [])])


def differences(expected: Sequence[Pin], actual: Sequence[Pin]) -> list[str]:
    """Return one line for each package that only one of the two has; empty if they are equal."""
    missing = [f"- {one}" for one in sorted(set(expected) - set(actual))]
    return missing + [f"+ {one}" for one in sorted(set(actual) - set(expected))]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
