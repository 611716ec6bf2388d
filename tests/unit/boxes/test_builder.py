"""A build from a lock: what it hands to mmdebstrap, and what it makes of the archive's answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import Lock, builder, cache, lock_file
from harness.boxes.pins import Pin, Pins
from harness.errors import BoxError
from harness.progress import SilentWatcher

RECIPE = boxes.recipe("debian-12")
OPENSSL = Pin("openssl", "3.0.15-1~deb12u1", "amd64", "a" * 64)
STRESS = Pin("stress-ng", "0.15.06-2", "amd64", "b" * 64)
LOCK = Lock("debian-12", RECIPE.fingerprint(), "bookworm", "2026-11-29T12:00:00Z", Pins((OPENSSL,), (STRESS,)))

# Stands in for mmdebstrap: the hook of lock.sh names the work folder.
FAKE = """#!/bin/sh
for argument; do
    case $argument in --setup-hook=*) work=${argument##* } ;; esac
done
cp "$work/lock" "$work/preferences" "$FAKE_KEPT"
"""


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the stand-in for mmdebstrap keeps what it was given."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("FAKE_KEPT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    for needed in ("WORK_MB", "CACHE_MB"):
        monkeypatch.setattr(builder, needed, 1)  # nothing is built
    return tmp_path


def build(folder: Path, script: str) -> BoxError:
    """Build from the lock with a stand-in for mmdebstrap that ends with `script`; return the error."""
    program = folder / "bin" / "mmdebstrap"
    program.parent.mkdir(exist_ok=True)
    program.write_text(FAKE + script, encoding="utf-8")
    program.chmod(0o755)
    with pytest.raises(BoxError) as caught:
        boxes.build_from(RECIPE, LOCK, SilentWatcher())
    assert cache.find(cache.digest(RECIPE, LOCK)) is None
    assert list(folder.glob("harness-box-*")) == []
    return caught.value


def test_a_build_gets_every_pin_of_the_lock_and_lets_apt_choose_nothing_else(kept: Path) -> None:
    build(kept, "exit 1")
    assert (kept / "lock").read_text() == f"{OPENSSL}\n{STRESS}\n"
    assert "Package: openssl\nPin: version 3.0.15-1~deb12u1\nPin-Priority: 1001" in (kept / "preferences").read_text()


def test_packages_that_the_archive_no_longer_has_are_named_with_the_version_that_it_has(kept: Path) -> None:
    moved = f'printf "{OPENSSL} - 3.0.17-1~deb12u2\\n{STRESS} -\\n" >"$work/out/moved"; exit 25'
    error = build(kept, moved)
    assert "nothing was downloaded" in error.what
    assert "openssl 3.0.15-1~deb12u1 (amd64): the archive now has 3.0.17-1~deb12u2" in error.what
    assert "stress-ng 0.15.06-2 (amd64): the archive has no version of it" in error.what
    assert "harness box import" in str(error.hint)
    assert "harness box lock debian-12" in str(error.hint)


def test_a_package_with_another_digest_in_the_archive_is_refused(kept: Path) -> None:
    other = "c" * 64
    error = build(kept, f'echo "{OPENSSL} {other} 3.0.15-1~deb12u1" >"$work/out/moved"; exit 25')
    assert f"its SHA-256 there is {other}, not {OPENSSL.sha256}" in error.what


def test_a_box_with_other_packages_than_its_lock_is_refused(kept: Path) -> None:
    extra = Pin("telnet", "0.17", "amd64", "d" * 64)
    script = f"""
echo 6.1.0-57-cloud-amd64 >"$work/out/kernel"
echo "{extra.name} {extra.version} {extra.architecture}" >"$work/out/installed"
echo "{extra}" >"$work/out/archive"
: >"$work/out/roles"
"""
    error = build(kept, script)
    assert f"- {OPENSSL}" in error.what
    assert f"+ {extra}" in error.what


def test_the_reason_of_a_failed_build_is_the_first_error_and_short(kept: Path) -> None:
    script = (
        f"echo 'dpkg: error processing archive dash.deb (--install):'; echo 'E: setup failed: {'x' * 5000}'; exit 25"
    )
    error = build(kept, script)
    assert "mmdebstrap ended with 25: dpkg: error processing archive dash.deb" in error.what
    assert len(error.what) < 500


def test_a_build_that_prints_nothing_more_is_ended_and_says_how_far_it_was(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "QUIET_LIMIT_S", 0.2)
    error = build(kept, "echo 'I: installing'; exec sleep 3000")
    assert re.search(r"not done after \d+ s, and its last line was: (I: installing|no output)$", error.what)


def test_a_lock_has_what_the_build_of_its_box_left(tmp_path: Path) -> None:
    (tmp_path / "pins").write_text(LOCK.pins.text(), encoding="utf-8")
    assert lock_file.make(RECIPE, tmp_path, 0.0).pins == LOCK.pins
