"""Work spread over processes: answers, failures, deaths, and nobody left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import waiting
import workloads
from locations import HELPERS

from harness import workers
from harness.errors import ModelError

HERE = HELPERS
PARENT = """
import sys
sys.path.insert(0, {here!r})
import workloads
from harness import workers
if __name__ == "__main__":
    for _ in workers.spread([("a", {path!r})], workloads.tell_pid_and_sleep, workers=1): pass
"""


def test_every_job_gives_its_answer_and_its_progress_is_heard() -> None:
    heard: list[tuple[str, float, float | None, str]] = []
    jobs = [(str(number), number) for number in range(4)]
    answers = dict(workers.spread(jobs, workloads.double, workers=2, heard=lambda *told: heard.append(told)))
    assert answers == {"0": 0, "1": 2, "2": 4, "3": 6}
    assert sorted(heard) == [(str(number), 1, 2, f"doubling {number}") for number in range(4)]


def test_who_cannot_hear_does_not_hold_up_those_who_tell_and_is_an_error_at_the_end() -> None:
    def deaf(*_: object) -> None:
        raise OSError("the terminal is gone")

    answers = []
    with pytest.raises(OSError, match="the terminal is gone"):
        answers.extend(workers.spread([("a", 3_000), ("b", 2)], workloads.tell_often, workers=1, heard=deaf))
    assert sorted(answers) == [("a", 3_000), ("b", 2)]


def test_one_job_that_fails_does_not_end_the_others() -> None:
    answers = dict(workers.spread([(str(n), n) for n in (2, 3, 4)], workloads.fail_on_three, workers=1))
    assert (answers["2"], answers["4"]) == (4, 8)
    assert isinstance(answers["3"], ValueError)


def test_a_worker_that_is_killed_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(ModelError, match="a worker process died"):
        list(workers.spread([("a", 1)], workloads.die, workers=1))


def test_workers_use_one_thread_each_and_the_environment_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert dict(workers.spread([("a", 1)], workloads.threads, workers=1)) == {"a": "1"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_leaving_early_ends_the_workers(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    jobs = [("slow", str(told)), ("fast", str(tmp_path / "x" / "y"))]
    spread = workers.spread(jobs, workloads.tell_pid_and_sleep, workers=2)
    name, answer = next(iter(spread))
    assert (name, type(answer)) == ("fast", FileNotFoundError)
    worker = waiting.until(lambda: waiting.number_in(told))
    spread.close()
    assert waiting.ends(worker)


def test_a_parent_that_is_killed_takes_its_workers_along(tmp_path: Path) -> None:
    told, program = tmp_path / "pid", tmp_path / "parent.py"
    program.write_text(PARENT.format(here=str(HERE), path=str(told)))
    parent = subprocess.Popen([sys.executable, str(program)], env={**os.environ, "PYTHONPATH": str(HERE)})
    worker = waiting.until(lambda: waiting.number_in(told))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert waiting.ends(worker)


def test_ctrl_c_while_workers_start_prints_no_traceback_of_theirs(tmp_path: Path) -> None:
    told, program = tmp_path / "pid", tmp_path / "parent.py"
    program.write_text(STOPPED.format(here=str(HERE), path=str(told)))
    parent = subprocess.Popen([sys.executable, str(program)], stderr=subprocess.PIPE, text=True, start_new_session=True)
    waiting.until(told.exists)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=waiting.LIMIT_S)[1] == "stopped\n"


STOPPED = """
import sys, pathlib, threading, signal
sys.path.insert(0, {here!r})
import workloads
from harness import workers
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, pathlib.Path({path!r}).touch).start()
        for _ in workers.spread([("a", {path!r} + "a"), ("b", {path!r} + "b")], workloads.tell_pid_and_sleep): pass
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
"""
