"""The host key is read from the serial console, where kernel messages may interrupt any line."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MachineError
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


def test_a_guest_that_prints_no_key_is_an_error_that_names_the_console_log(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        hostkey.wait_for(tmp_path / "console.log", 0.0, lambda: None)
    assert caught.value.log == str(tmp_path / "console.log")


def test_the_log_is_fetched_until_the_key_is_in_it(tmp_path: Path) -> None:
    console = tmp_path / "console.log"
    parts = iter([b"[    0.0] Linux version", b"\n" + line(b"a" * 32)[:40], line(b"a" * 32)[40:] + b"\n"])

    def fetch() -> None:
        with console.open("ab") as sink:
            sink.write(next(parts))

    assert hostkey.wait_for(console, 300.0, fetch) == key(b"a" * 32)


def test_the_pinned_key_is_the_only_one_and_only_the_user_can_read_it(tmp_path: Path) -> None:
    known_hosts = tmp_path / "known_hosts"
    hostkey.pin(known_hosts, "192.0.2.1", 22, key(b"a" * 32))
    hostkey.pin(known_hosts, "192.0.2.2", 2222, key(b"b" * 32))
    assert known_hosts.read_text() == f"[192.0.2.2]:2222 ssh-ed25519 {key(b'b' * 32)}\n"
    assert known_hosts.stat().st_mode & 0o777 == 0o600
