"""A campaign has one key pair, and one that is not whole is made anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import HostError, MachineError
from harness.machines import key_pair


def test_a_key_pair_is_made_once_and_its_public_half_is_one_word(tmp_path: Path) -> None:
    key = key_pair.make(tmp_path)
    before = key.read_bytes()
    assert key_pair.make(tmp_path).read_bytes() == before
    assert key_pair.argument(key).startswith("ssh-ed25519:AAAA")
    assert " " not in key_pair.argument(key)


def remove_private(folder: Path) -> None:
    (folder / "key").unlink()


def cut_off_public(folder: Path) -> None:
    (folder / "key.pub").write_text("ssh-ed25519 AAAA")


def make_public_a_pipe(folder: Path) -> None:
    (folder / "key.pub").unlink()
    os.mkfifo(folder / "key.pub")


@pytest.mark.parametrize("damage", [remove_private, cut_off_public, make_public_a_pipe])
def test_a_pair_that_is_not_whole_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    before = key_pair.argument(key_pair.make(tmp_path))
    damage(tmp_path)
    assert key_pair.argument(key_pair.make(tmp_path)) != before


def test_a_folder_in_place_of_a_key_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "key").mkdir()
    with pytest.raises(HostError) as caught:
        key_pair.make(tmp_path)
    assert caught.value.where == str(tmp_path / "key")


def test_what_is_no_public_key_does_not_get_onto_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA init=/bin/sh")
    with pytest.raises(MachineError, match="no public key"):
        key_pair.argument(tmp_path / "key")
