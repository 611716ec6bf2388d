"""Recordings of layouts and byte orders that the machines at hand do not make."""

from __future__ import annotations

from pathlib import Path

import pytest
import read_and_convert
from forge import (
    ADDR,
    CALLCHAIN,
    CPU,
    ID,
    IDENTIFIER,
    IP,
    PERIOD,
    RAW,
    READ,
    STREAM_ID,
    SWITCH_FORMAT,
    TID,
    TIME,
    USUAL,
    Forge,
    Switch,
)

import harness.trace
from harness.errors import TraceError
from harness.trace import Trace

SWITCHES: list[Switch] = [
    (1000, 0, b"swapper/0", 0, 0, b"nginx", 9),
    (2000, 0, b"nginx", 9, 1, b"ab", 70000),
    (2000, 1, b"swapper/1", 0, 0, b"fifteen_bytes_x", 11),
    (3000, 0, b"ab", 70000, 0x100, b"swapper/0", 0),
]


def read(tmp_path: Path, data: bytes) -> Trace:
    """Read a recording, of which `read` and `convert` must make the same."""
    path = tmp_path / "perf.data"
    path.write_bytes(data)
    read_and_convert.assert_same(path)
    return harness.trace.read(path)


def rows(trace: Trace) -> list[tuple[object, ...]]:
    names = ("time_ns", "cpu", "prev_comm", "prev_tid", "prev_state", "next_comm", "next_tid")
    return [tuple(row[name] for name in names) for row in trace.switches.to_pylist()]


def expected(switches: list[Switch]) -> list[tuple[object, ...]]:
    letters = {0: "R", 1: "S", 2: "D", 0x100: "R+"}
    return [
        (time, cpu, prev.decode(), tid, letters[state], following.decode(), next_tid)
        for time, cpu, prev, tid, state, following, next_tid in switches
    ]


LAYOUTS = {
    "usual": Forge(),
    "one id, in the sample": Forge(sample_type=TID | TIME | ID | CPU | RAW, ids=(7,)),
    "no id at all": Forge(sample_type=IP | TID | TIME | CPU | PERIOD | RAW, ids=()),
    "everything": Forge(
        sample_type=USUAL | ADDR | STREAM_ID | ID | READ | CALLCHAIN, read_format=1 | 2 | 4, callchain=(9, 9, 9)
    ),
    "a group read": Forge(sample_type=USUAL | READ, read_format=8 | 4 | 16),
    "a read with lost": Forge(sample_type=USUAL | READ, read_format=4 | 16),
    "an empty callchain": Forge(sample_type=USUAL | CALLCHAIN),
    "a callchain full of headers": Forge(sample_type=USUAL | CALLCHAIN, callchain=(9 | 64 << 48,) * 8),
    "raw data with a tail": Forge(raw_tail=b"\xff" * 13),
}


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_samples_of_every_layout_and_byte_order_are_read(layout: Forge, order: str, tmp_path: Path) -> None:
    forge = Forge(**{**vars(layout), "order": order})
    trace = read(tmp_path, forge.write(SWITCHES))
    assert rows(trace) == expected(SWITCHES)
    assert trace.header.os_release == "6.1.0"
    assert (trace.quality.decode_errors, trace.quality.whole) == (0, True)
    assert [warning[:24] for warning in trace.quality.warnings] == ["no wakeups were recorded"]


def test_samples_out_of_order_are_sorted_and_those_of_one_time_keep_their_order(tmp_path: Path) -> None:
    shuffled = [SWITCHES[place] for place in (3, 1, 0, 2)]
    trace = read(tmp_path, Forge().write(shuffled))
    assert rows(trace) == expected(SWITCHES)
    assert trace.quality.inversions == 2


def test_a_task_name_ends_at_its_first_nul(tmp_path: Path) -> None:
    trace = read(tmp_path, Forge().write([(1000, 0, b"ab\0 and more", 9, 0, b"all 16 are used", 8)]))
    assert [trace.switches[name].to_pylist() for name in ("prev_comm", "next_comm")] == [["ab"], ["all 16 are used"]]


def test_lost_events_counted_by_two_kinds_of_records_are_counted_once(tmp_path: Path) -> None:
    forge = Forge()
    lost = [forge.record(2, forge._pack("QQ", 7, count)) for count in (3, 4)]
    lost_samples = [forge.record(13, forge._pack("Q", 5))]
    assert read(tmp_path, Forge(others=lost + lost_samples).write(SWITCHES)).quality.lost_events == 7
    assert read(tmp_path, Forge(others=lost_samples).write(SWITCHES)).quality.lost_events == 5


def test_samples_with_an_unknown_id_are_counted_and_not_read(tmp_path: Path) -> None:
    unknown = Forge(ids=(99,)).sample(SWITCHES[0])
    quality = read(tmp_path, Forge(others=[unknown]).write(SWITCHES)).quality
    assert (quality.samples, quality.decode_errors) == (5, 1)
    assert "1 sample cannot be decoded" in quality.warnings


@pytest.mark.parametrize("missing", [1, 8, 60, 61])
def test_a_sample_too_short_for_its_fields_is_counted_and_not_read(missing: int, tmp_path: Path) -> None:
    forge = Forge()
    whole = forge.sample(SWITCHES[0])
    short = forge.record(9, whole[8 : len(whole) - (missing + 7) // 8 * 8])
    trace = read(tmp_path, Forge(others=[short]).write(SWITCHES))
    assert trace.quality.decode_errors == 1
    assert rows(trace) == expected(SWITCHES)


def test_records_with_a_trailing_payload_are_skipped(tmp_path: Path) -> None:
    forge = Forge()
    aux = forge.record(71, forge._pack("QQ", 24, 0)) + b"\x09\0\0\0\0\0\x18\0" * 3
    formats = forge.record(66, forge._pack("II", 20, 0)) + bytes(24)
    odd = forge.record(80, forge._pack("Q", 40) + b"xyz")
    last = forge.sample((4000, 1, b"x", 11, 2, b"swapper/1", 0))
    trace = read(tmp_path, Forge(others=[aux, formats, odd, last]).write(SWITCHES))
    assert rows(trace)[-1][0] == 4000
    assert not trace.quality.truncated


def test_a_recording_without_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="no timestamps"):
        read(tmp_path, Forge(sample_type=IDENTIFIER | TID | RAW).write(SWITCHES))


def test_a_recording_without_cpus_is_read_with_cpu_minus_one(tmp_path: Path) -> None:
    trace = read(tmp_path, Forge(sample_type=USUAL & ~CPU).write(SWITCHES))
    assert set(trace.switches["cpu"].to_pylist()) == {-1}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("field:pid_t next_pid;", "field:pid_t other_pid;"),
        ("field:pid_t prev_pid;\toffset:24;\tsize:4;", "field:pid_t prev_pid;\toffset:24;\tsize:3;"),
        ("field:char next_comm[16];", "field:int next_comm;"),
        ("field:char prev_comm[16];\toffset:8;\tsize:16;", "field:__data_loc char[] prev_comm;\toffset:8;\tsize:2;"),
    ],
)
def test_a_format_without_a_field_that_is_needed_is_a_trace_error(before: str, after: str, tmp_path: Path) -> None:
    assert before in SWITCH_FORMAT
    forge = Forge(switch_format=SWITCH_FORMAT.replace(before, after))
    with pytest.raises(TraceError, match="sched:sched_switch has"):
        read(tmp_path, forge.write(SWITCHES))
