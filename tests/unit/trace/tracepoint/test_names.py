"""Task names and states: nothing is lost, nothing is guessed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TraceError
from harness.trace.tracepoint.comm import to_bytes, to_text
from harness.trace.tracepoint.format import parse_format
from harness.trace.tracepoint.print_fmt import Unprintable, arguments
from harness.trace.tracepoint.task_state import StateNames, may_be_shifted, true_state

names = st.binary(max_size=15).map(lambda raw: raw.split(b"\0", 1)[0])
FLAGS = '{ 0x01, "S" }, { 0x02, "D" }, { 0x04, "T" }, { 0x08, "t" }, { 0x10, "X" }, { 0x20, "Z" }, { 0x80, "I" }'
SWITCH = (
    '"prev_comm=%s prev_pid=%d prev_prio=%d prev_state=%s%s ==> next_comm=%s", REC->prev_comm, REC->prev_pid, '
    "REC->prev_prio, (REC->prev_state & ((((0x7f) + 1) << 1) - 1)) ? "
    f'__print_flags(REC->prev_state & ((((0x7f) + 1) << 1) - 1), "|", {FLAGS}) : "R", '
    'REC->prev_state & (((0x7f) + 1) << 1) ? "+" : "", REC->next_comm'
)


def switch_format(print_fmt: str) -> str:
    return (
        "name: sched_switch\nID: 314\nformat:\n"
        "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
        "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:1;\n"
        "\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
        "\tfield:__data_loc char[] name;\toffset:40;\tsize:4;\tsigned:0;\n"
        f"\nprint fmt: {print_fmt}\n"
    )


@given(names)
def test_a_name_survives_the_way_to_text_and_back(raw: bytes) -> None:
    text = to_text(raw)
    assert to_bytes(text) == raw
    assert text.isprintable()
    text.encode("utf-8")


@given(names, names)
def test_different_names_have_different_texts(one: bytes, other: bytes) -> None:
    assert (to_text(one) == to_text(other)) == (one == other)


def test_ordinary_names_stay_as_they_are() -> None:
    assert [to_text(name) for name in (b"kworker/0:1", b"a b", "猫".encode())] == ["kworker/0:1", "a b", "猫"]
    assert to_text(b"a\nb\\\xff") == r"a\x0ab\\\xff"


def test_a_format_text_gives_offsets_and_kinds() -> None:
    form = parse_format(switch_format(SWITCH), "sched")
    assert (form.name, form.id, form.end) == ("sched_switch", 314, 44)
    assert [(field.name, field.offset, field.kind) for field in form.fields.values()] == [
        ("common_type", 0, "int"),
        ("prev_comm", 8, "chars"),
        ("prev_state", 32, "int"),
        ("name", 40, "loc"),
    ]


@pytest.mark.parametrize(
    "text", ["", "name: x\n", "ID: 3\n", "name: x\nID: 3\n\tfield:int a;\toffset:70000;\tsize:4;\n"]
)
def test_a_format_text_that_lacks_something_is_a_trace_error(text: str) -> None:
    with pytest.raises(TraceError):
        parse_format(text)


@pytest.mark.parametrize(
    ("state", "letters"),
    [(0, "R"), (1, "S"), (2, "D"), (0x100, "R+"), (0x82, "D|I"), (0x101, "S+"), (0x40, "0x40"), (0x80, "I")],
)
def test_states_are_printed_as_the_print_format_says(state: int, letters: str) -> None:
    assert StateNames(parse_format(switch_format(SWITCH), "sched")).letters(state) == letters


def test_a_print_format_that_cannot_be_followed_gives_hexadecimal_and_says_so() -> None:
    states = StateNames(parse_format(switch_format('"prev_state=%s", __print_symbolic(REC->prev_state)'), "sched"))
    assert states.letters(2) == "0x2"
    assert "__print_symbolic" in states.failure


@pytest.mark.parametrize("word", ["\u00b9", "0x", "0xg", "1a"])
def test_what_only_looks_like_a_number_is_refused(word: str) -> None:
    with pytest.raises(Unprintable):
        arguments(f'"%s", {word}')


@given(st.text(max_size=80))
def test_any_print_format_is_followed_or_refused(text: str) -> None:
    for fmt in (text, f'"%s", {text}', f'"%s", REC->prev_state {text}'):
        try:
            parts = arguments(fmt)
        except Unprintable:
            continue
        assert isinstance(parts, list)


@pytest.mark.parametrize("opening", ["(", "!", "-", "1 ? ", "__print_flags("])
def test_a_deeply_nested_print_format_is_refused(opening: str) -> None:
    with pytest.raises(Unprintable):
        arguments('"%s", ' + opening * 3000 + "1")


@pytest.mark.parametrize(
    ("release", "shifted"),
    [("4.15.0-58-generic", True), ("4.13.0", False), ("4.20.1", False), ("6.1.0-18-amd64", False), (None, False)],
)
def test_kernels_that_shift_states_are_known_by_their_release(release: str | None, shifted: bool) -> None:
    assert may_be_shifted(release) == shifted


def test_a_shifted_state_is_set_right() -> None:
    assert [true_state(letters, True) for letters in ("S", "D", "R+", "t")] == ["R", "S", "R+", "T"]
    assert true_state("D", False) == "D"
