"""The decoder walks over the records of any bytes as a plain loop does."""

from __future__ import annotations

import struct

import pytest
from forge import Forge
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.perf_data.constants import SIMPLEPERF_TYPE_START
from harness.trace.perf_data.header import Header
from harness.trace.perf_data.recording import open_recording
from harness.trace.perf_data.records import PADDING, TRAILING_PAYLOAD

SAMPLE = 9


@pytest.fixture(scope="module")
def headers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Header]:
    """The header of a recording in each byte order."""
    path = tmp_path_factory.mktemp("forged") / "perf.data"
    headers = {}
    for order in "<>":
        path.write_bytes(Forge(order=order).write([]))
        headers[order] = open_recording(path).header
    return headers


def record(kind: int, payload: bytes, order: str = "<") -> bytes:
    payload += bytes(-len(payload) % 8)
    return struct.pack(order + "IHH", kind, 0, 8 + len(payload)) + payload


def plain_walk(data: bytes, order: str) -> tuple[int, int, str]:
    """Return the number of samples, where the walk ends, and why: the definition."""
    samples = offset = 0
    while offset + 8 <= len(data):
        kind, misc, size = struct.unpack_from(order + "IHH", data, offset)
        size += misc << 16 if kind >= SIMPLEPERF_TYPE_START else 0
        if size < 8:
            return samples, offset, "broken"
        if kind in TRAILING_PAYLOAD or size % 8 or size > 0xFFFF:
            return samples, offset, "skip"
        if offset + size > len(data):
            return samples, offset, "cut"
        samples += kind == SAMPLE
        offset += size
    return samples, offset, "cut" if offset < len(data) else ""


def decoder_walk(data: bytes, header: Header) -> tuple[int, int, str]:
    decoder = NativeDecoder(header, counts_only=True)
    taken, reason = decoder.take(bytearray(data + bytes(PADDING)), len(data))
    return decoder.stats().samples, taken, reason


# words that look like headers of samples, so that the walk often meets one where there is none
header_like = st.sampled_from([8, 16, 24, 40]).map(lambda size: struct.pack("<IHH", SAMPLE, 0, size))
word = st.one_of(header_like, st.binary(min_size=8, max_size=8), st.just(bytes(8)))
whole_record = st.builds(
    lambda kind, words: record(kind, b"".join(words)),
    st.sampled_from([SAMPLE, SAMPLE, SAMPLE, 1, 2, 68, 66]),
    st.lists(word, max_size=6),
)


@settings(max_examples=200)
@given(st.lists(whole_record, max_size=30), st.binary(max_size=40))
def test_whole_records_are_walked_as_plainly(headers: dict[str, Header], records: list[bytes], tail: bytes) -> None:
    data = b"".join(records) + tail
    assert decoder_walk(data, headers["<"]) == plain_walk(data, "<")


@settings(max_examples=200)
@given(st.lists(word, max_size=60).map(b"".join))
def test_any_bytes_are_walked_as_plainly_in_both_byte_orders(headers: dict[str, Header], data: bytes) -> None:
    for order, header in headers.items():
        assert decoder_walk(data, header) == plain_walk(data, order)


def test_big_endian_records_are_walked(headers: dict[str, Header]) -> None:
    data = b"".join(record(kind, bytes(24), ">") for kind in (SAMPLE, 1, SAMPLE, SAMPLE))
    assert decoder_walk(data, headers[">"]) == (3, 128, "")
