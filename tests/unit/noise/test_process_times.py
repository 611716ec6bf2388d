"""The CPU times of processes, as /proc/PID/stat gives them."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_proc import FakeProc
from hypothesis import given
from hypothesis import strategies as st

from harness.noise.process_times import parse_stat, read_processes

REST = "S 1 1 1 0 -1 4194560 100 0 0 0 {utime} {stime} 7 8 20 0 1 0 4711 1 1"


@pytest.mark.parametrize("name", ["cc1", "tmux: server", "a) R 1 (b", "(sd-pam)", ""])
def test_a_name_may_hold_spaces_and_parentheses(name: str) -> None:
    times = parse_stat(f"42 ({name}) " + REST.format(utime=30, stime=12))
    assert times is not None
    assert (times.name, times.parent, times.started) == (name, 1, 4711)
    assert (times.own, times.children, times.ticks) == (42, 7 + 8, 42 + 7 + 8)


def test_threads_of_the_kernel_are_named_without_their_number() -> None:
    text = "9 (kworker/0:1-events) " + REST.format(utime=0, stime=5).replace("S 1", "I 2", 1)
    times = parse_stat(text)
    assert times is not None
    assert times.name == "kworker"
    other = parse_stat("9 (php/8) " + REST.format(utime=0, stime=5))
    assert other is not None
    assert other.name == "php/8"


def test_a_name_cannot_hold_control_characters() -> None:
    times = parse_stat("9 (\x1b[2J\n) " + REST.format(utime=0, stime=5))
    assert times is not None
    assert times.name == "?[2J?"


@given(st.text(max_size=200))
def test_any_other_text_is_no_process(text: str) -> None:
    assert parse_stat(text) is None


def test_a_line_without_the_time_of_the_start_is_no_process() -> None:
    words = ("42 (cc1) " + REST.format(utime=30, stime=12)).split()
    assert [count for count in range(len(words)) if parse_stat(" ".join(words[:count])) is not None] == [22, 23]


def test_processes_that_end_and_other_files_are_left_out(proc: FakeProc) -> None:
    proc.process(7, "cc1", 1.0)
    (proc.path / "8").mkdir()
    (proc.path / "9").mkdir()
    (proc.path / "9" / "stat").write_text("9 (half")
    assert {pid: (times.name, times.ticks) for pid, times in read_processes(proc.path).items()} == {7: ("cc1", 100)}


def test_the_processes_of_this_host_can_be_read() -> None:
    processes = read_processes(Path("/proc"))
    assert processes
    assert all(times.ticks >= 0 for times in processes.values())
