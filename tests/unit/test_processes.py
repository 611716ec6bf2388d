"""Programs run within a limit, and none of their children outlives them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import waiting

from harness import guardian, processes
from harness.errors import HostError


def test_a_program_that_ends_in_time_gives_its_exit_code_and_its_output(tmp_path: Path) -> None:
    lines: list[str] = []
    argv = ["sh", "-c", "echo one; echo two >&2; exit 7"]
    ended = processes.run(argv, timeout_s=60, log=tmp_path / "log", on_line=lines.append)
    assert (ended.exit_code, ended.timed_out, ended.ok) == (7, False, False)
    assert sorted(lines) == ["one", "two"]
    assert (tmp_path / "log").read_text() == ended.output


def test_a_program_past_its_limit_is_stopped_with_all_its_children(tmp_path: Path) -> None:
    argv = ["sh", "-c", f"sleep 300 & echo $! >'{tmp_path}/child'; wait"]
    for limit_s in waiting.GROWING_S:
        assert processes.run(argv, timeout_s=limit_s).timed_out
        if child := waiting.number_in(tmp_path / "child"):
            break
    assert child
    assert waiting.ends(child)


def test_a_program_without_output_is_stopped_before_its_limit() -> None:
    for quiet_s in waiting.GROWING_S:
        ended = processes.run(["sh", "-c", "echo hello; sleep 300"], timeout_s=200, quiet_s=quiet_s)
        assert ended.timed_out
        assert ended.seconds < 200
        if ended.output:
            break
    assert ended.output == "hello\n"


def test_a_limit_is_read_from_the_clock_that_is_given() -> None:
    readings = iter([0.0, 0.0, 0.0, *[100.0] * 100])
    ended = processes.run(["sleep", "300"], timeout_s=0.01, clock=lambda: next(readings))
    assert ended.timed_out
    stands_still = processes.run(["sh", "-c", "sleep 0.2; echo done"], timeout_s=0.01, clock=lambda: 7.0)
    assert (stands_still.output, stands_still.timed_out) == ("done\n", False)


def test_the_id_of_a_program_is_given_when_it_starts() -> None:
    started: list[int] = []
    ended = processes.run(["sh", "-c", "echo $$"], timeout_s=60, on_start=started.append)
    assert [int(ended.output)] == started


def test_children_that_outlive_a_stopped_program_are_stopped_too(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM; echo $$ >'{tmp_path}/child'; exec sleep 300"
    with pytest.raises(ZeroDivisionError):
        processes.run(
            ["sh", "-c", f'sh -c "$0" & while [ ! -s "{tmp_path}/child" ]; do :; done; echo ready; wait', stubborn],
            timeout_s=200,
            on_line=lambda _: 1 // 0 > 0,
        )
    assert waiting.ends(int((tmp_path / "child").read_text()))


def test_a_background_process_of_a_program_that_ended_by_itself_is_stopped(tmp_path: Path) -> None:
    stubborn = f"trap '' TERM; echo $$ >'{tmp_path}/child'; exec sleep 300"
    script = f'sh -c "$0" >&- 2>&- & while [ ! -s "{tmp_path}/child" ]; do :; done; echo done; exit 7'
    ended = processes.run(["sh", "-c", script, stubborn], timeout_s=200)
    assert (ended.exit_code, ended.timed_out, ended.output) == (7, False, "done\n")
    assert waiting.ends(int((tmp_path / "child").read_text()))


def test_an_exception_in_on_line_stops_the_program(tmp_path: Path) -> None:
    def listen(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        processes.run(["sh", "-c", f"echo $$ >'{tmp_path}/pid'; echo x; sleep 300"], timeout_s=200, on_line=listen)
    assert waiting.ends(int((tmp_path / "pid").read_text()))


def test_a_program_is_stopped_when_its_guardian_cannot_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or when a stop signal comes while that starts."""
    monkeypatch.setattr(guardian, "_process", None)
    monkeypatch.setattr("sys.executable", str(tmp_path / "no python"))
    children = set(processes_of_this())
    with pytest.raises(FileNotFoundError):
        processes.run(["sleep", "300"], timeout_s=600)
    assert set(processes_of_this()) <= children


def processes_of_this() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def test_a_missing_program_is_an_error_that_names_it() -> None:
    with pytest.raises(HostError, match="'no-such-program' is not installed"):
        processes.run(["no-such-program"], timeout_s=5)


def test_output_that_is_not_text_is_read_too() -> None:
    assert processes.run(["printf", "\\377\\n"], timeout_s=60).output == "�\n"
