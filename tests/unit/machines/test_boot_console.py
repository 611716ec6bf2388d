"""Consoles of guests that did not come up, and of one that did: where each stopped, and what the error says of it."""

from __future__ import annotations

import lzma

import pytest
from locations import DATA

from harness.machines import boot_console


def console(name: str) -> str:
    return lzma.decompress((DATA / "consoles" / f"debian_12_{name}.log.xz").read_bytes()).decode(errors="replace")


@pytest.mark.parametrize(
    ("name", "what", "hint", "stage", "last"),
    [
        ("initramfs", "the shell of its initramfs", "CONFIG_VIRTIO_BLK", "its initramfs", "Dropping to a shell!"),
        ("emergency", "emergency mode, without SSH", "FAILED or DEPEND", "systemd", "the root account is locked"),
    ],
)
def test_a_guest_that_waits_for_a_person_is_a_dead_end_with_its_stage_and_its_last_lines(
    name: str, what: str, hint: str, stage: str, last: str
) -> None:
    text = console(name)
    dead_end = boot_console.dead_end(text)
    assert dead_end is not None
    assert what in dead_end.what
    assert hint in dead_end.hint
    assert boot_console.stage(text) == stage
    account = boot_console.account(text)
    assert account.startswith(f"it got as far as {stage}; its serial console ends with:\n")
    assert last in account
    assert len(account.splitlines()) == 1 + boot_console.LAST_LINES


def test_no_moment_of_a_boot_that_succeeds_is_a_dead_end() -> None:
    lines = console("up").splitlines(keepends=True)
    assert len(lines) > 400
    assert all(boot_console.dead_end("".join(lines[:end])) is None for end in range(0, len(lines), 7))
    assert boot_console.dead_end("".join(lines)) is None


def test_the_stages_of_a_boot_follow_each_other() -> None:
    lines = console("up").splitlines(keepends=True)
    stages = [boot_console.stage("".join(lines[:end])) for end in range(0, len(lines), 7)]
    assert list(dict.fromkeys(stages)) == [
        "",
        "its kernel",
        "its initramfs",
        "systemd",
        "the making of its SSH host key",
        "its SSH server",
    ]


PANIC = "[    9.123456] Kernel panic - not syncing: "


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        (
            PANIC + "VFS: Unable to mount root fs on unknown-block(0,0)\r\n",
            "VFS: Unable to mount root fs on",
            "CONFIG_EXT4",
        ),
        (
            PANIC + "No working init found.  Try passing init= option to kernel.\n",
            "No working init found.",
            "init printed",
        ),
        (
            PANIC + "Attempted to kill init! exitcode=0x00000100\n",
            "Attempted to kill init! exitcode=0x0",
            "init printed",
        ),
        (PANIC + "Fatal exception in interrupt\n", "panicked: Fatal exception in interrupt", "lines before the panic"),
        ("[!!!!!!] Failed to mount API filesystems.\n", "the guest's systemd gave up", "CONFIG_CGROUPS"),
        (
            "[\x1b[0;1;31mFAILED\x1b[0m] Failed to start \x1b[0;1;39mssh.service\x1b[0m - OpenBSD.\n",
            "ssh.service",
            "journal",
        ),
        ("Welcome\r\n\r\n(initramfs) ", "initramfs", "CONFIG_VIRTIO_BLK"),
    ],
)
def test_each_end_of_a_boot_has_its_reason_and_what_to_do(text: str, what: str, hint: str) -> None:
    dead_end = boot_console.dead_end("[    0.000000] Linux version 6.1.0\n" + text)
    assert dead_end is not None
    assert what in dead_end.what
    assert hint in dead_end.hint


def test_the_first_trouble_of_the_kernel_stands_in_the_account() -> None:
    oops = "[    3.0] BUG: kernel NULL pointer dereference, address: 0000000000000008\n[    3.1] #PF: supervisor\n"
    account = boot_console.account("[    0.000000] Linux version 6.1.0\n" + oops * 2)
    assert "its kernel reported `BUG: kernel NULL pointer dereference, address: 0000000000000008`" in account


def test_a_console_without_a_word_says_so() -> None:
    assert boot_console.account("\r\n\x1b[0m") == "it printed nothing on its serial console"


def test_what_systemd_of_sid_tells_a_terminal_is_left_out() -> None:
    console = (
        "\x1b]3008;start=3fd1d971;user=root;hostname=harness;comm=(agetty);type=service\x1b\\\x1bP+q6E616D65\x1b\\\r\r\n"
        "Debian GNU/Linux forky/sid harness ttyS0\r\n\r\nharness login: "
    )
    assert boot_console.plain(console) == "\nDebian GNU/Linux forky/sid harness ttyS0\n\nharness login: "
