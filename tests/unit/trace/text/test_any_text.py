"""Any text is read or refused with a TraceError; a longer search is made with HARNESS_EXPLORE=1 (tests/conftest.py)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imported import TEXTS

from harness.errors import TraceError
from harness.trace.text.importer import import_text

EXAMPLES = int(os.environ.get("TRACE_FUZZ_EXAMPLES", "60"))
WHOLE = sorted(TEXTS.glob("*.txt"))
WORDS = [
    b"\n", b"\r\n", b"\x1b[34m", b"\x1b[m", b" ", b"\t", b"\b", b"\xff", b"-1", b"99999999999999999999",
    b" => ", b"*A0 ", b" secs ", b"x:1", b" (CPU 1)", b"[001]", b"10.000001: ", b"comm=", b" pid=", b" prio=",
    b"sched:sched_switch: ", b"sched:sched_waking: ", b"PERF_RECORD_LOST lost 7", b"# a : b", b"Warning:",
    b"a-1 [000] 10.000001: ", b"a-1 0d..2. 10.000001: ", b"sched_switch: ", b"CPU:1 [LOST 3 EVENTS]", b"cpus=2\n",
    b"INFO: 1% lost events (3 out of 9, in 2 chunks)", b"LOST 3 events", b"Processed 5 samples and lost 99.99%!",
]  # fmt: skip


def assert_read_or_refused(content: bytes, folder: Path) -> None:
    (folder / "text").write_bytes(content)
    try:
        result = import_text(folder / "text", folder / "tables")
    except TraceError as error:
        place = str(error.where)
    else:
        place = str(result.paths["switches"])
        assert result.rows["switches"] > 0
        assert sum(result.quality.counts.values()) == result.quality.samples
    assert place.startswith(str(folder))


@settings(max_examples=EXAMPLES)
@given(words=st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=8)), max_size=40), start=st.booleans())
def test_any_words_after_a_line_are_read_or_refused(
    words: list[bytes], start: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    line = b"  *A0   0.000012 secs A0 => x:1\n" if start else (TEXTS / "hostile_names.script.txt").read_bytes()[:1200]
    assert_read_or_refused(line + b"".join(words), tmp_path_factory.mktemp("any"))


@settings(max_examples=EXAMPLES)
@given(data=st.data(), text=st.sampled_from(WHOLE))
def test_a_real_text_with_parts_changed_is_read_or_refused(
    data: st.DataObject, text: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    content = bytearray(text.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 30))
        content[place : place + length] = data.draw(st.one_of(st.sampled_from(WORDS), st.binary(max_size=6)))
    assert_read_or_refused(bytes(content), tmp_path_factory.mktemp("changed"))


@settings(max_examples=EXAMPLES)
@given(data=st.data(), text=st.sampled_from(WHOLE))
def test_a_real_text_with_lines_moved_is_read_or_refused(
    data: st.DataObject, text: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = text.read_bytes().splitlines(keepends=True)
    moved = [data.draw(st.sampled_from(lines)) for _ in range(data.draw(st.integers(0, 30)))]
    assert_read_or_refused(b"".join(moved), tmp_path_factory.mktemp("moved"))
