"""The project's own recipes are right, and a wrong recipe is refused with its place."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from harness import boxes
from harness.boxes import recipes, rootfs
from harness.errors import BoxError, SpecError, UsageError

GOOD = """\
name: tiny
distribution: debian
suite: bookworm
components: [main]
keyring: debian-archive-keyring.gpg
kernel:
  package: linux-image-cloud-amd64
  release: '6\\.1\\.0-\\d+-cloud-amd64'
disk_gb: 4
booted_in_tests: false
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(path: Path) -> SpecError:
    with pytest.raises(SpecError) as caught:
        recipes.read(path)
    return caught.value


@pytest.mark.parametrize("name", boxes.names())
def test_every_recipe_of_the_project_is_read_and_carries_the_name_of_its_file(name: str) -> None:
    assert boxes.recipe(name).name == name


def test_the_four_boxes_that_the_project_promises_are_there() -> None:
    assert {"debian-11", "debian-12", "debian-13", "ubuntu-18.04"} <= set(boxes.names())


def test_the_box_of_the_paper_pins_the_kernel_of_the_paper_and_its_perf() -> None:
    paper = boxes.recipe("ubuntu-18.04")
    assert paper.kernel.package == "linux-image-4.15.0-58-generic"
    assert paper.matches_kernel("4.15.0-58-generic")
    assert not paper.matches_kernel("4.15.0-58-generic-hwe")


def test_a_kernel_pattern_has_to_match_the_whole_release(tmp_path: Path) -> None:
    tiny = recipes.read(write(tmp_path, GOOD))
    assert tiny.matches_kernel("6.1.0-56-cloud-amd64")
    assert not tiny.matches_kernel("6.1.0-56-cloud-amd64-unsigned")
    assert not tiny.matches_kernel("16.1.0-56-cloud-amd64")


def test_an_unknown_key_is_named_with_its_line_and_the_nearest_known_one(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("disk_gb: 4", "disk_gb: 4\ndisk_bg: 5"))
    error = refusal(path)
    assert error.where == f"{path}:10:1"
    assert "disk_bg" in error.what
    assert error.hint == "did you mean 'disk_gb'?"


def test_an_unknown_key_of_the_kernel_is_compared_with_the_keys_of_the_kernel(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("  release:", "  relaese: x\n  release:"))
    error = refusal(path)
    assert error.where == f"{path}:8:3"
    assert "relaese" in error.what
    assert error.hint == "did you mean 'release'?"


def test_a_value_of_the_wrong_type_is_named_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("disk_gb: 4", "disk_gb: much"))
    assert refusal(path).where == f"{path}:9:10"


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD.replace("suite: bookworm\n", "")))
    assert error.what == "suite is missing"


def test_a_kernel_release_that_is_not_a_regular_expression_is_refused(tmp_path: Path) -> None:
    error = refusal(write(tmp_path, GOOD.replace("\\d+", "[")))
    assert error.expected == "a valid regular expression"


def test_broken_yaml_is_refused_with_its_place(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("[main]", "[main"))
    assert str(refusal(path).where).startswith(f"{path}:")


def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, "- a\n- b\n")).expected == "a mapping with name, distribution, suite, ..."


def test_a_recipe_must_carry_the_name_of_its_file(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("name: tiny", "name: other"))
    assert refusal(path).where == f"{path}:1:7"


def test_an_unknown_recipe_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UsageError) as caught:
        boxes.recipe("debian12")
    assert caught.value.hint == "did you mean 'debian-12'?"


def test_the_command_for_the_paper_box_asks_for_its_suite_kernel_and_keys_and_names_no_mirror(tmp_path: Path) -> None:
    (tmp_path / "ubuntu-archive-keyring.gpg").write_bytes(b"keys")
    paper = boxes.recipe("ubuntu-18.04")
    keys = rootfs.keyring(paper, tmp_path)
    command = rootfs.command(paper, keys=keys, guest=Path("/guest"), work=Path("/work"))
    included = next(part for part in command if part.startswith("--include=")).removeprefix("--include=").split(",")
    assert command[-2:] == ["bionic", "/dev/null"]
    assert f"--keyring={keys}" in command
    assert "--components=main,universe" in command
    assert {"linux-image-4.15.0-58-generic", "linux-modules-4.15.0-58-generic", "openssh-server"} <= set(included)
    assert not any("://" in part for part in command)


def test_paths_with_spaces_reach_the_shell_of_a_hook_in_one_piece(tmp_path: Path) -> None:
    command = rootfs.command(boxes.recipe("debian-12"), keys=Path("/k"), guest=Path("/my guest"), work=Path("/w d"))
    image = next(part for part in command if "image.sh" in part)
    assert image == "--customize-hook=sh '/my guest/image.sh' \"$1\" '/w d' 6G"


def test_keys_that_setup_fetched_are_used_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    fetched = tmp_path / "cache" / "keyrings" / "ubuntu-archive-keyring.gpg"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"keys")
    paper = boxes.recipe("ubuntu-18.04")
    assert rootfs.keyring(paper, tmp_path) == fetched
    (tmp_path / "ubuntu-archive-keyring.gpg").write_bytes(b"the system's keys")
    assert rootfs.keyring(paper, tmp_path) == tmp_path / "ubuntu-archive-keyring.gpg"


def test_missing_keys_are_an_error_that_names_their_package_what_to_copy_whereto_and_another_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    with pytest.raises(BoxError) as caught:
        rootfs.keyring(boxes.recipe("ubuntu-18.04"), tmp_path)
    message = str(caught.value)
    assert str(tmp_path / "ubuntu-archive-keyring.gpg") in message
    assert "ubuntu-keyring" in message
    assert "bookworm-backports" in message
    keys = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"  # as setup.sh says it
    assert f"copy {keys} of an Ubuntu or Debian 13 machine to {tmp_path}/cache/keyrings/" in message
    assert "debian-12" in message
    assert caught.value.exit_code == 3


def test_ubuntu_keeps_the_man_page_without_which_its_shell_cannot_be_installed() -> None:
    assert "/usr/share/man/*" in rootfs.left_out(boxes.recipe("debian-12"))
    assert "/usr/share/man/*" not in rootfs.left_out(boxes.recipe("ubuntu-18.04"))
    assert "apt" in boxes.recipe("ubuntu-18.04").all_packages()


def test_the_files_of_a_guest_belong_to_root_and_have_fixed_modes() -> None:
    with tarfile.open(fileobj=io.BytesIO(rootfs.overlay())) as archive:
        entries = {entry.name: entry for entry in archive.getmembers()}
    assert {entry.uid for entry in entries.values()} == {0}
    assert entries["./usr/local/sbin/harness-keys"].mode == 0o755
    assert entries["./etc/sudoers.d/vagrant"].mode == 0o440
    assert entries["./etc/ssh/sshd_config"].mode == 0o644
