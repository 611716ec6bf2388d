"""Jobs in worker processes: answers, failures, killed processes, and no process left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import traceback
from pathlib import Path

import pytest
import waiting
import workloads
from locations import HELPERS

from harness.errors import ModelError
from harness.workers import run_in_processes

PARENT = """
import pathlib, signal, sys, threading
sys.path.insert(0, {helpers!r})
import workloads
from harness.workers import run_in_processes
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        threading.Timer(0.1, pathlib.Path({path!r} + ".started").touch).start()
        for _ in run_in_processes([(n, {path!r} + n) for n in {names!r}], workloads.write_pid_and_sleep): pass
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
"""


def test_every_job_gives_its_answer_and_its_progress() -> None:
    progress: list[tuple[str, float, float | None, str]] = []
    jobs = [(str(number), number) for number in range(4)]
    answers = run_in_processes(jobs, workloads.double, processes=2, on_progress=lambda *report: progress.append(report))
    assert dict(answers) == {"0": 0, "1": 2, "2": 4, "3": 6}
    assert sorted(progress) == [(str(number), 1, 2, f"doubling {number}") for number in range(4)]


def test_progress_that_cannot_be_shown_blocks_no_worker_and_is_an_error_at_the_end() -> None:
    def fail(*_: object) -> None:
        raise OSError("the terminal is gone")

    jobs, answers = [("a", 3_000), ("b", 2)], []
    with pytest.raises(OSError, match="the terminal is gone"):
        answers.extend(run_in_processes(jobs, workloads.report_often, processes=1, on_progress=fail))
    assert sorted(answers) == jobs


def test_a_signal_while_the_last_progress_is_awaited_leaves_no_thread_that_reads_a_closed_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    errors: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", errors.append)
    answered, stopped, main = threading.Event(), threading.Event(), threading.main_thread().ident
    assert main is not None

    def is_joining() -> bool:
        frames = [frame.f_code for frame, _ in traceback.walk_stack(sys._current_frames()[main])]
        return any((code.co_name, Path(code.co_filename).name) == ("join", "threading.py") for code in frames)

    def stop_the_wait(*_: object) -> None:
        answered.wait(waiting.LIMIT_S)
        waiting.until(is_joining)
        signal.pthread_kill(main, signal.SIGINT)
        stopped.wait(waiting.LIMIT_S)

    answers = run_in_processes([("a", 1)], workloads.double, processes=1, on_progress=stop_the_wait)
    with pytest.raises(KeyboardInterrupt):
        list(map(lambda _: answered.set(), answers))
    readers = [thread for thread in threading.enumerate() if thread.name == "progress"]
    stopped.set()
    for reader in readers:  # a thread whose join was interrupted counts as ended
        waiting.until(lambda ident=reader.ident: ident not in sys._current_frames())
    assert (len(readers), errors) == (1, [])


def test_one_job_that_fails_does_not_end_the_others() -> None:
    answers = dict(run_in_processes([(str(n), n) for n in (2, 3, 4)], workloads.fail_on_three, processes=1))
    assert (answers["2"], answers["4"]) == (4, 8)
    assert isinstance(answers["3"], ValueError)


def test_a_worker_that_is_killed_is_an_error_and_not_a_hang() -> None:
    with pytest.raises(ModelError, match="a worker process died"):
        list(run_in_processes([("a", 1)], workloads.die, processes=1))


def test_workers_use_one_thread_each_and_the_environment_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert dict(run_in_processes([("a", 1)], workloads.threads, processes=1)) == {"a": "1"}
    assert "OMP_NUM_THREADS" not in os.environ


def test_leaving_the_iterator_early_ends_the_workers(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    jobs = [("slow", str(pid)), ("fast", str(tmp_path / "x" / "y"))]
    answers = run_in_processes(jobs, workloads.write_pid_and_sleep, processes=2)
    name, answer = next(iter(answers))
    assert (name, type(answer)) == ("fast", FileNotFoundError)
    worker = waiting.until(lambda: waiting.number_in(pid))
    answers.close()
    assert waiting.ends(worker)


def parent_process(tmp_path: Path, names: str) -> subprocess.Popen[str]:
    """Start a process that runs one job, which writes its pid to `job` + name and sleeps, for each of `names`."""
    program = tmp_path / "parent.py"
    program.write_text(PARENT.format(helpers=str(HELPERS), path=str(tmp_path / "job"), names=names))
    env = {**os.environ, "PYTHONPATH": str(HELPERS)}
    return subprocess.Popen(
        [sys.executable, str(program)], env=env, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_the_workers_of_a_killed_parent_end_with_it(tmp_path: Path) -> None:
    parent = parent_process(tmp_path, "a")
    worker = waiting.until(lambda: waiting.number_in(tmp_path / "joba"))
    parent.send_signal(signal.SIGKILL)
    parent.communicate(timeout=waiting.LIMIT_S)
    assert waiting.ends(worker)


def test_ctrl_c_while_workers_start_prints_no_traceback_of_a_worker(tmp_path: Path) -> None:
    parent = parent_process(tmp_path, "ab")
    waiting.until((tmp_path / "job.started").exists)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=waiting.LIMIT_S)[1] == "stopped\n"
