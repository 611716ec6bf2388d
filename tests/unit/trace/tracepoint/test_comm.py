"""Task names survive as text: nothing is lost, nothing is confused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.trace.tracepoint.comm import to_bytes, to_text

names = st.binary(max_size=15).map(lambda raw: raw.split(b"\0", 1)[0])


@given(names)
def test_a_name_becomes_printable_text_and_the_same_name_again(raw: bytes) -> None:
    text = to_text(raw)
    assert to_bytes(text) == raw
    assert text.isprintable()
    text.encode("utf-8")


@given(names, names)
def test_different_names_have_different_texts(first: bytes, second: bytes) -> None:
    assert (to_text(first) == to_text(second)) == (first == second)


def test_ordinary_names_do_not_change() -> None:
    assert [to_text(name) for name in (b"kworker/0:1", b"a b", "猫".encode())] == ["kworker/0:1", "a b", "猫"]
    assert to_text(b"a\nb\\\xff") == r"a\x0ab\\\xff"
