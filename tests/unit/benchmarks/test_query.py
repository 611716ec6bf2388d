"""benchmarks/query.py: every way gives the same answer; a real measurement takes a minute."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import query


@pytest.mark.slow
def test_every_way_gives_the_same_answer_and_is_timed(tmp_path: Path) -> None:
    query.make_runs(tmp_path, runs=2, trials=3, switches=100)
    times = query.measure(tmp_path, rounds=1)
    assert list(times) == ["query", "unchecked", "command", "pandas"]
    answer = query.ask(tmp_path, checked=True)
    assert {arm: rows for arm, (rows, _) in answer.items()} == {query.ARMS[0]: 400, query.ARMS[1]: 200}
