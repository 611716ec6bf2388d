"""The lock of a recipe: a file that pins every package of its box, to be committed beside the recipe as NAME.lock."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from harness.boxes import pins, recipes
from harness.boxes.pins import Pin, Pins
from harness.boxes.recipes import Recipe
from harness.errors import SpecError, UsageError
from harness.files import open_regular

HEADER = ("recipe", "recipe-sha256", "suite", "built")
TITLE = (
    "# Every package of this box. `harness box build` installs exactly these, or says which the archive no longer has."
)
MAX_BYTES = 10_000_000


@dataclass(frozen=True)
class Lock:
    """The pins of one recipe, whose fingerprint was `recipe_sha256`; their box was `built` at that time."""

    recipe: str
    recipe_sha256: str
    suite: str
    built: str
    pins: Pins

    def sha256(self) -> str:
        """Return the SHA-256 of what the lock pins; when does not matter."""
        return hashlib.sha256(self.pins.text().encode()).hexdigest()

    def text(self) -> str:
        """Return the file's text."""
        values = (self.recipe, self.recipe_sha256, self.suite, self.built)
        header = [f"{key}: {value}" for key, value in zip(HEADER, values, strict=True)]
        return "\n".join([TITLE, *header, self.pins.text()])


def path_of(recipe: Recipe) -> Path:
    """Return where the lock of a recipe belongs, whether or not there is one."""
    return recipes.folder() / f"{recipe.name}.lock"


def beside(recipe: Recipe) -> Lock | None:
    """Return the lock beside the recipe; None when it has none. Raises SpecError when the lock is wrong."""
    path = path_of(recipe)
    return read(path, recipe) if os.path.lexists(path) else None


def make(recipe: Recipe, folder: Path, built: float) -> Lock:
    """Return a new lock of `recipe`, with the pins that its build left in the box's `folder` at that time.

    Raises UsageError or SpecError when these pins cannot be read.
    """
    stamp = datetime.fromtimestamp(built, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = folder / "pins"
    empty = Lock(recipe.name, recipe.fingerprint(), recipe.suite, stamp, Pins(()))
    return replace(empty, pins=_Reader(path, _lines(path)).pins())


def read(path: Path, recipe: Recipe) -> Lock:
    """Parse a lock and check that it belongs to `recipe` as it is today.

    Raises UsageError when the file cannot be read, and SpecError with file:line for a line that is none of a lock, for
    the lock of another recipe, and for a recipe that was changed since.
    """
    return _Reader(path, _lines(path)).lock(recipe)


def _lines(path: Path) -> list[str]:
    try:
        with open_regular(path) as source:
            text = source.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise SpecError("this is no lock of a box", where=f"{path}:1", expected=f"at most {MAX_BYTES} bytes")
        return text.decode("utf-8").splitlines()
    except OSError as error:
        hint = "put the file there, or remove what has its name"
        raise UsageError(f"the lock cannot be read: {error.strerror}", where=str(path), hint=hint) from None
    except UnicodeDecodeError:
        raise SpecError("this is no lock of a box", where=f"{path}:1", expected="UTF-8 text") from None


class _Reader:
    """Reads the lines of one lock; every error carries file:line."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self._path = path
        numbered = enumerate(lines, start=1)
        self._lines = [(number, line.strip()) for number, line in numbered if line.strip() and not line.startswith("#")]
        self._end = len(lines) + 1

    def lock(self, recipe: Recipe) -> Lock:
        """Return the lock. Raises SpecError when it is not one of `recipe`."""
        header = self._header(recipe)
        content = self.pins()
        names = {one.name for one in content.all()}
        if missing := [name for name in recipe.all_packages() if name not in names]:
            what = f"the lock lacks {', '.join(missing)}, which the recipe asks for"
            raise self._error(self._end, what, "a line for every package", f"harness box lock {recipe.name}")
        return Lock(*header, content)

    def pins(self) -> Pins:
        """Return what is left to read, both sections. Raises SpecError."""
        rows: dict[str, list[tuple[int, Pin]]] = {}
        for section in (pins.BOX, pins.ROLES):
            self._expect(section)
            rows[section] = self._section()
        if self._lines:
            raise self._error(self._lines[0][0], f"{self._lines[0][1]!r} does not belong here", "the end of the file")
        self._check_twice([*rows[pins.BOX], *rows[pins.ROLES]])
        return Pins(*(tuple(sorted(one for _, one in rows[part])) for part in rows))

    def _header(self, recipe: Recipe) -> tuple[str, str, str, str]:
        values = []
        wanted = {"recipe": recipe.name, "recipe-sha256": recipe.fingerprint(), "suite": recipe.suite}
        wrong = {"recipe": "this is the lock of another recipe", "suite": "this is the lock of another suite"}
        for key in HEADER:
            number, line = self._next(f"{key}: ...")
            name, _, value = line.partition(": ")
            if name != key or not value:
                raise self._error(number, f"{line!r} is no header line of a lock", f"{key}: ...")
            if value != wanted.get(key, value):
                what = wrong.get(key, "the recipe has changed since this lock was made")
                raise self._error(number, what, f"{key}: {wanted[key]}", f"harness box lock {recipe.name}")
            values.append(value)
        return values[0], values[1], values[2], values[3]

    def _section(self) -> list[tuple[int, Pin]]:
        rows = []
        while self._lines and not self._lines[0][1].startswith("["):
            number, line = self._lines.pop(0)
            try:
                rows.append((number, pins.pin(line)))
            except ValueError as error:
                raise self._error(number, f"this line is no pin: {error}", "NAME VERSION ARCHITECTURE SHA256") from None
        return rows

    def _check_twice(self, rows: list[tuple[int, Pin]]) -> None:
        first: dict[str, int] = {}
        for number, one in rows:
            if one.name in first:
                raise self._error(
                    number, f"{one.name} is pinned twice, also in line {first[one.name]}", "one line of it"
                )
            first[one.name] = number

    def _expect(self, section: str) -> None:
        number, line = self._next(section)
        if line != section:
            raise self._error(number, f"{line!r} does not belong here", section)

    def _next(self, expected: str) -> tuple[int, str]:
        if not self._lines:
            raise self._error(self._end, "the lock ends too early", expected)
        return self._lines.pop(0)

    def _error(self, number: int, what: str, expected: str, hint: str | None = None) -> SpecError:
        return SpecError(what, where=f"{self._path}:{number}", expected=expected, hint=hint)
