"""`harness trace` on a real recording."""

from __future__ import annotations

import json
from pathlib import Path

from command_line import harness


def test_convert_writes_every_table_and_says_where(raw: Path, tmp_path: Path) -> None:
    told = json.loads(harness("trace", "convert", raw, "-o", tmp_path / "t", "--json").stdout)
    assert {"switches", "wakeups", "slices", "runtimes"} <= set(told["paths"])
    assert all(Path(path).is_file() for path in told["paths"].values())
    assert told["quality"]["lost_events"] == 0


def test_a_truncated_recording_is_saved_as_far_as_it_goes_and_never_passes_for_whole(raw: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.data"
    short.write_bytes(raw.read_bytes()[: raw.stat().st_size // 2])
    ended = harness("trace", "convert", short, "-o", tmp_path / "t", code=1)
    assert "this recording is not whole: " in ended.stderr
    harness("trace", "convert", short, "-o", tmp_path / "strict", "--strict", code=1)
    assert not (tmp_path / "strict" / "slices.parquet").exists()


def test_what_is_no_recording_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"hello")
    ended = harness("trace", "summary", tmp_path / "x", code=1)
    assert "error:" in ended.stderr


def test_summary_is_for_people_and_for_programs(raw: Path) -> None:
    assert "nginx" in harness("trace", "summary", raw).stdout
    told = json.loads(harness("trace", "summary", raw, "--json").stdout)
    assert told["quality"]["whole"] is True
    assert {"nginx", "ab"} <= {task["comm"] for task in told["tasks"]}


def test_the_text_of_perf_sched_map_goes_out_and_comes_back(raw: Path, tmp_path: Path) -> None:
    harness("trace", "export", raw, "--to", "perf-sched-map", "-o", tmp_path / "map.txt")
    assert "switches" in harness("trace", "import", tmp_path / "map.txt", "-o", tmp_path / "t").stdout
    assert (tmp_path / "t" / "switches.parquet").is_file()
    harness("trace", "export", raw, "--to", "perfeto", "-o", tmp_path / "x", code=2)
