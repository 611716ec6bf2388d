"""The vectorised walk against the plain one, on any bytes."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.trace.decode.gather import padded
from harness.trace.decode.ids import Ids
from harness.trace.decode.walk import APART, SAMPLE, walk


def record(kind: int, payload: bytes, order: str = "<") -> bytes:
    payload += bytes(-len(payload) % 8)
    return struct.pack(order + "IHH", kind, 0, 8 + len(payload)) + payload


def plainly(data: bytes, order: str = "<") -> tuple[list[int], list[int], int, str]:
    """Samples, other records, where the walk ended and why: the definition."""
    samples: list[int] = []
    others: list[int] = []
    at = 0
    while at + 8 <= len(data):
        kind, _, size = struct.unpack_from(order + "IHH", data, at)
        if size < 8:
            return samples, others, at, "broken"
        if kind in APART or size % 8:
            return samples, others, at, "apart"
        if at + size > len(data):
            return samples, others, at, "cut"
        (samples if kind == SAMPLE else others).append(at)
        at += size
    return samples, others, at, "cut" if at < len(data) else ""


def vectorised(data: bytes, order: str = "<", ids: list[int] | None = None) -> tuple[list[int], list[int], int, str]:
    known = None if ids is None else Ids(dict.fromkeys(ids, 0))
    found = walk(padded(data), len(data), order, known, 8)
    return found.samples.tolist(), [other.at for other in found.others], found.end, found.stopped


# words that look like headers of samples, so that false candidates are common
header_like = st.builds(
    lambda size, order: struct.pack(order + "IHH", SAMPLE, 0, size), st.sampled_from([8, 16, 24, 40]), st.just("<")
)
word = st.one_of(header_like, st.binary(min_size=8, max_size=8), st.just(bytes(8)))
whole_record = st.builds(
    lambda kind, words: record(kind, b"".join(words)),
    st.sampled_from([SAMPLE, SAMPLE, SAMPLE, 1, 2, 68]),
    st.lists(word, max_size=6),
)


@settings(max_examples=300)
@given(st.lists(whole_record, max_size=30), st.binary(max_size=40), st.lists(st.integers(0, 3), max_size=2))
def test_the_records_found_are_those_of_a_plain_walk(records: list[bytes], tail: bytes, ids: list[int]) -> None:
    data = b"".join(records) + tail
    assert vectorised(data) == plainly(data)
    assert vectorised(data, ids=ids) == plainly(data)


@settings(max_examples=300)
@given(st.lists(word, max_size=60).map(b"".join))
def test_any_bytes_are_walked_as_plainly(data: bytes) -> None:
    assert vectorised(data) == plainly(data)
    assert vectorised(data, order=">") == plainly(data, order=">")


@pytest.mark.parametrize("kind", sorted(APART))
def test_records_that_must_be_read_apart_stop_the_walk(kind: int) -> None:
    data = record(SAMPLE, bytes(16)) + record(kind, bytes(8)) + record(SAMPLE, bytes(16))
    assert vectorised(data) == ([0], [], 24, "apart")


def test_big_endian_records_are_found() -> None:
    data = b"".join(record(kind, bytes(24), ">") for kind in (SAMPLE, 1, SAMPLE, SAMPLE))
    assert vectorised(data, order=">") == ([0, 64, 96], [32], 128, "")
