"""The text of `perf sched map` becomes a table, any other text a TraceError."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TraceError
from harness.trace.export import export
from harness.trace.export.sched_map_import import import_sched_map, read_sched_map


def test_an_imported_text_becomes_a_table(nginx_recording: Path, tmp_path: Path) -> None:
    (text,) = export(nginx_recording, "perf-sched-map", tmp_path / "map.txt").paths
    path, sched_map = import_sched_map(text, tmp_path / "out")
    assert sched_map.switches.num_rows == pq.read_metadata(path).num_rows == 5_756
    assert any("no states" in warning for warning in sched_map.warnings)


def test_a_text_with_colons_in_names_is_read(tmp_path: Path) -> None:
    text = tmp_path / "map.txt"
    text.write_text(
        "  *A0           0.000012 secs A0 => kworker/0:1:17\n"
        "  *B0           0.000020 secs B0 => nginx:900\n"
        "  *.            0.000031 secs .  => swapper:0\n"
        "  *A0          12.500000 secs \n"
    )
    rows = read_sched_map(text).switches.to_pylist()
    assert [(row["time_ns"], row["next_comm"], row["next_tid"]) for row in rows] == [
        (12_000, "kworker/0:1", 17),
        (20_000, "nginx", 900),
        (31_000, "swapper", 0),
        (12_500_000_000, "kworker/0:1", 17),
    ]
    assert [row["prev_tid"] for row in rows] == [None, 17, 900, 0]
    assert [row["prev_comm"] for row in rows] == [None, "kworker/0:1", "nginx", "swapper"]
    assert {row["prev_state"] for row in rows} == {None}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no switches"),
        ("hello\n", "no line of `perf sched map`"),
        ("  *A0   0.000012 secs \n", "not introduced"),
        ("   A0   0.000012 secs A0 => x:1\n", "no line of"),
        ("  *A0   0.000012 secs A0 => x:99999999999\n", "not introduced"),
        ("  *A0   0.000012 secs A0 => x:4294967295\n", "too large"),
    ],
)
def test_any_other_text_is_a_trace_error_with_its_line(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "map.txt"
    path.write_text(text)
    with pytest.raises(TraceError, match=why) as caught:
        read_sched_map(path)
    assert str(path) in str(caught.value)


@given(text=st.binary(max_size=200))
def test_any_text_is_read_or_refused(text: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "map.txt"
    path.write_bytes(b"  *A0   0.000012 secs A0 => x:1\n" + text)
    message = path.name
    try:
        rows = read_sched_map(path).switches.num_rows
    except TraceError as error:
        rows, message = 1, str(error)
    assert rows >= 1
    assert "map.txt" in message
