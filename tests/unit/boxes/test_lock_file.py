"""A lock belongs to one recipe as it is; a wrong line is named with its place before anything starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import cache, lock_file, recipes, rootfs
from harness.boxes.lock_file import Lock
from harness.boxes.pins import Pin, Pins
from harness.errors import SpecError, UsageError

RECIPE = boxes.recipe("debian-12")
FIRST = 6  # the line of the first pin: after the title, the four lines of the header and the name of the section


@pytest.fixture
def lock(tmp_path: Path) -> Lock:
    pinned = tuple(sorted(Pin(name, "1.0-1", "amd64", "a" * 64) for name in RECIPE.all_packages()))
    (tmp_path / "pins").write_text(Pins(pinned, (Pin("nginx", "1.22", "all", "b" * 64),)).text(), encoding="utf-8")
    return lock_file.make(RECIPE, tmp_path, 1.8e9)


def written(folder: Path, text: str) -> Path:
    path = folder / "debian-12.lock"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        lock_file.read(written(folder, text), RECIPE)
    assert caught.value.exit_code == 2
    return caught.value


def test_a_lock_is_read_as_it_was_written(lock: Lock, tmp_path: Path) -> None:
    assert lock_file.read(written(tmp_path, lock.text()), RECIPE) == lock


def test_the_packages_of_a_lock_stand_one_a_line_in_order(lock: Lock) -> None:
    lines = lock.text().splitlines()
    assert lines[1] == "recipe: debian-12"
    rows = lines[FIRST : lines.index("[roles]")]
    assert rows == sorted(rows)
    assert len(rows) == len(RECIPE.all_packages())


def test_the_time_of_a_lock_is_no_part_of_its_digest_and_a_version_is(lock: Lock, tmp_path: Path) -> None:
    later = lock_file.read(written(tmp_path, lock.text().replace(lock.built, "2030-01-01T00:00:00Z")), RECIPE)
    newer = lock_file.read(written(tmp_path, lock.text().replace("nginx 1.22", "nginx 1.23")), RECIPE)
    assert later.sha256() == lock.sha256()
    assert newer.sha256() != lock.sha256()


def test_a_locked_box_has_another_digest_than_the_box_without_a_lock(lock: Lock) -> None:
    assert cache.digest(RECIPE, lock) != cache.digest(RECIPE)


def test_only_a_locked_build_compares_the_archive_with_the_lock() -> None:
    places = {"keys": Path("/k"), "guest": Path("/g"), "work": Path("/w d")}
    added = set(rootfs.command(RECIPE, **places, locked=True)) - set(rootfs.command(RECIPE, **places))
    assert added == {"--setup-hook=sh /g/lock.sh \"$1\" '/w d'"}


def test_a_lock_beside_a_recipe_is_used_by_every_build(
    lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(recipes.folder(), tmp_path / "recipes")
    monkeypatch.setattr(recipes, "folder", lambda: copy)
    assert lock_file.beside(RECIPE) is None
    assert cache.current_digest(RECIPE) == cache.digest(RECIPE)
    lock_file.path_of(RECIPE).write_text(lock.text(), encoding="utf-8")
    assert lock_file.beside(RECIPE) == lock
    assert cache.current_digest(RECIPE) == cache.digest(RECIPE, lock)


def test_the_lock_of_another_recipe_is_refused_with_its_line(lock: Lock, tmp_path: Path) -> None:
    error = refusal(tmp_path, lock.text().replace("recipe: debian-12", "recipe: debian-13"))
    assert error.where == f"{tmp_path / 'debian-12.lock'}:2"
    assert error.what == "this is the lock of another recipe"
    assert error.expected == "recipe: debian-12"


def test_a_recipe_that_changed_since_the_lock_is_refused_with_the_command_for_a_new_one(
    lock: Lock, tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        lock_file.read(written(tmp_path, lock.text()), RECIPE.model_copy(update={"packages": ("gdb",)}))
    assert caught.value.where == f"{tmp_path / 'debian-12.lock'}:3"
    assert "has changed since this lock was made" in caught.value.what
    assert "harness box lock debian-12" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("suite: bookworm", "suite: trixie", 4, "another suite"),
        ("suite: bookworm\n", "", 4, "no header line of a lock"),
        ("[box]", "[boxes]", 6, "'[boxes]' does not belong here"),
        ("dbus 1.0-1 amd64", "dbus 1.0-1", FIRST + 2, "this line is no pin: 3 words instead of 4"),
        ("dbus 1.0-1", "dbus 1.0*", FIRST + 2, "this line is no pin: '1.0*' is no version"),
        ("dbus 1.0-1", "ca-certificates 1.0-1", FIRST + 2, "pinned twice"),
    ],
)
def test_a_malformed_line_is_refused_with_its_number(
    lock: Lock, tmp_path: Path, old: str, new: str, line: int, what: str
) -> None:
    assert old in lock.text()
    error = refusal(tmp_path, lock.text().replace(old, new, 1))
    assert what in error.what
    assert error.where == f"{tmp_path / 'debian-12.lock'}:{line}"


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.9])
def test_a_lock_that_was_cut_off_is_refused(lock: Lock, tmp_path: Path, share: float) -> None:
    text = lock.text()
    refusal(tmp_path, text[: int(len(text) * share)])


def test_a_lock_without_a_package_that_the_recipe_asks_for_is_refused(lock: Lock, tmp_path: Path) -> None:
    row = next(line for line in lock.text().splitlines() if line.startswith("openssh-server "))
    assert "lacks openssh-server" in refusal(tmp_path, lock.text().replace(row + "\n", "")).what


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "debian-12.lock"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="no lock"):
        lock_file.read(path, RECIPE)


def test_a_missing_lock_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        lock_file.read(tmp_path / "none.lock", RECIPE)
    assert caught.value.where == str(tmp_path / "none.lock")
