"""The host key is read from the serial console, where kernel messages may interrupt any line."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from fakes import FakeMonitor
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MachineError
from harness.guest import monitor
from harness.machines import hostkey


def line(secret: bytes) -> bytes:
    return b"harness-host-key ssh-ed25519 " + base64.b64encode(hostkey.HEADER + secret)


def key(secret: bytes) -> str:
    return base64.b64encode(hostkey.HEADER + secret).decode()


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.binary(max_size=200))
def test_the_key_is_found_among_other_output_of_the_console(secret: bytes, before: bytes, after: bytes) -> None:
    assert hostkey.from_console(before + b"\r\n" + line(secret) + b"\r\n" + after) == key(secret)


@given(st.binary(max_size=400))
def test_output_without_a_key_gives_none(text: bytes) -> None:
    assert hostkey.from_console(text) is None


@given(st.binary(min_size=32, max_size=32), st.integers(min_value=1, max_value=90))
def test_an_interrupted_line_is_skipped_and_the_next_one_is_used(secret: bytes, cut: int) -> None:
    whole = line(secret)
    broken = whole[:cut] + b"[   12.345] eth0: renamed\n" + whole[cut:]
    assert hostkey.from_console(broken) is None
    assert hostkey.from_console(broken + b"\n" + whole + b"\n") == key(secret)


def test_a_key_of_another_type_is_skipped() -> None:
    wrong = base64.b64encode(b"\0" * hostkey.KEY_BYTES)
    assert hostkey.from_console(b"harness-host-key ssh-ed25519 " + wrong + b"\n") is None


class Console(FakeMonitor):
    """A console that grows by one part each time its length is asked for."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.text, self.copies = list(parts), "", 0

    def console_size(self) -> int:
        self.text += self.parts.pop(0).decode() if self.parts else ""
        return len(self.text)

    def console(self) -> str:
        self.copies += 1
        return self.text


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hostkey, "LOOK_S", 0.0)


READY = b"\nharness-ready\n"


@pytest.mark.parametrize(
    ("parts", "missing"),
    [([b"Linux"], "its SSH host key"), ([line(b"a" * 32)], "that SSH is up"), ([READY], "its SSH")],
)
def test_a_guest_that_does_not_come_up_is_an_error_that_says_what_it_did_not_print(
    parts: list[bytes], missing: str
) -> None:
    readings = iter([0.0, 10.0, 419.0, 420.0])
    with pytest.raises(MachineError, match=f"did not print {missing}.* within 420 s"):
        hostkey.wait_for(Console(*parts), 420.0, lambda: next(readings))


@pytest.mark.parametrize("ready", [READY, b"\nDebian GNU/Linux 12 debian ttyS0\n\ndebian login: "])
def test_the_console_is_watched_until_the_key_and_the_word_that_ssh_is_up_are_in_it(ready: bytes) -> None:
    whole = line(b"a" * 32)
    console = Console(b"[    0.0] Linux version", b"", b"\n" + whole[:40], whole[40:] + b"\n", b"", ready)
    assert hostkey.wait_for(console, 300.0, lambda: 0.0) == key(b"a" * 32)
    assert console.copies == 4  # it is copied only when it grew


def test_a_kernel_that_panics_is_not_waited_for() -> None:
    console = Console(b"[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs\r\n[    2.2] CPU: 0\r\n")
    with pytest.raises(
        MachineError, match=r"kernel panicked: VFS: Unable to mount root fs\n  try: .*CONFIG_VIRTIO_BLK"
    ):
        hostkey.wait_for(console, 420.0, lambda: 0.0)


def test_a_guest_that_prints_nothing_is_not_waited_for_until_the_limit() -> None:
    readings = iter([0.0, 10.0, 119.0, 120.0])
    with pytest.raises(
        MachineError, match=r"printed nothing on its serial console within 120 s.*\n  try: .*CONFIG_SERIAL"
    ):
        hostkey.wait_for(Console(b"", b"", b"\r\n"), 420.0, lambda: next(readings))


@pytest.mark.parametrize(
    "text", [b"ALERT!  /dev/vda does not exist.  Dropping to a shell!\r\n", b"You are in emergency mode."]
)
def test_a_guest_that_waits_for_a_person_is_not_waited_for(text: bytes) -> None:
    with pytest.raises(MachineError, match="stopped in"):
        hostkey.wait_for(Console(b"[    0.000000] Linux version 6.1\r\n" + text), 420.0, lambda: 0.0)


def test_a_guest_that_is_up_in_the_last_moment_is_up() -> None:
    readings = iter([0.0, 999.0])
    console = Console(line(b"a" * 32) + READY)
    assert hostkey.wait_for(console, 1.0, lambda: next(readings)) == key(b"a" * 32)


def test_the_pinned_key_is_the_only_one_and_only_the_user_can_read_it(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    hostkey.pin(known_hosts, "192.0.2.1", 22, key(b"a" * 32))
    hostkey.pin(known_hosts, "192.0.2.2", 2222, key(b"b" * 32))
    assert known_hosts.read_text() == f"[192.0.2.2]:2222 ssh-ed25519 {key(b'b' * 32)}\n"
    assert known_hosts.stat().st_mode & 0o777 == 0o600


def test_a_console_that_is_flooded_at_boot_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitor, "MOST_CONSOLE_BYTES", 100)
    console = Console(b"x" * 101)
    with pytest.raises(MachineError, match="floods its serial console"):
        hostkey.wait_for(console, 10)
    assert console.copies == 0
