"""Tracepoint format texts: offsets and kinds of fields are those of the text."""

from __future__ import annotations

import pytest

from harness.errors import TraceError
from harness.trace.tracepoint.format import parse_format

SWITCH = (
    "name: sched_switch\nID: 314\nformat:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:char prev_comm[16];\toffset:8;\tsize:16;\tsigned:1;\n"
    "\tfield:long prev_state;\toffset:32;\tsize:8;\tsigned:1;\n"
    "\tfield:__data_loc char[] name;\toffset:40;\tsize:4;\tsigned:0;\n"
    '\nprint fmt: "prev_comm=%s", REC->prev_comm\n'
)


def test_a_format_text_gives_offsets_and_kinds() -> None:
    tracepoint = parse_format(SWITCH, "sched")
    assert (tracepoint.name, tracepoint.id, tracepoint.end) == ("sched_switch", 314, 44)
    assert [(field.name, field.offset, field.kind) for field in tracepoint.fields.values()] == [
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
