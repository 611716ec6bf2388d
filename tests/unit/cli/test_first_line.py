"""What a person sees first at a terminal. No clock is read: the line has to come before what takes long, or waits."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import hostile
import pytest
from locations import DATA, ROOT
from terminal import on_a_terminal

from harness.cli import app, first_line
from harness.cli.first_line import LIBRARIES, LINE
from harness.cli.output import Output

pytestmark = pytest.mark.slow

RECORDING, STORED = DATA / "one_command.perf.data.xz", DATA / "cfs_6_1"
FIRST = LINE.strip()
# Ends the command at the first import that takes long, so that nothing is trained. However busy the host is, no line
# comes because time has passed.
SCRIPT = f"""
import os, sys
from harness.cli import first_line
first_line.DELAY_S = 1e6
class Ends:
    def find_spec(self, name, path, target=None):
        if name in {sorted(LIBRARIES)!r}:
            os.write(2, b"IMPORTED " + name.encode())
            os._exit(0)
sys.meta_path.insert(0, Ends())
from harness.cli import main
main()
"""


class Terminal(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


class SlowTerminal(Terminal):
    """A terminal on which the time for the first line has passed whenever something is written."""

    def write(self, text: str) -> int:
        first_line._line.print()
        return super().write(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("first") / "run"
    folder.mkdir()
    return hostile.run(folder, "plain")


def arguments(command: str, run: Path) -> list[str]:
    places = {"RUN": run, "RECORDING": RECORDING, "TABLES": STORED, "OUT": run.parent / "out", "RUNS": run.parent}
    return [str(places.get(word, word)) for word in command.split()]


@pytest.mark.parametrize(
    "command",
    [
        "evaluate RECORDING",
        "train TABLES -o OUT",
        "predict TABLES --model RUN",
        "report RUN",
    ],
)
def test_a_slow_command_says_so_before_it_imports_what_takes_long(command: str, run: Path) -> None:
    written = on_a_terminal(["-c", SCRIPT, *arguments(command, run)])
    first, found, _ = written.partition("IMPORTED")
    assert found, written
    assert first.strip() == FIRST


def test_a_quiet_command_says_nothing_first(run: Path) -> None:
    written = on_a_terminal(["-c", SCRIPT, *arguments("evaluate RECORDING --quiet", run)])
    assert written.startswith("IMPORTED")


def test_nothing_is_said_first_where_no_terminal_is(run: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", SCRIPT, "evaluate", RECORDING], capture_output=True, cwd=ROOT)
    assert ended.stderr.startswith(b"IMPORTED")
    assert not ended.stdout


def test_a_quick_command_needs_no_such_line() -> None:
    assert FIRST not in on_a_terminal(["-c", SCRIPT, "loads"])


def test_a_command_that_waits_says_so_and_no_line_comes_after_its_own(tmp_path: Path) -> None:
    experiment = (ROOT / "experiments" / "smoke.yaml").read_text()
    command = ["-m", "harness", "run", "-", "--dry-run"]
    written = on_a_terminal(command, stdin_after=(FIRST, experiment))  # it waits for stdin, which waits for the line
    assert written.startswith(FIRST)
    assert written.count(FIRST) == 1
    assert "trial" in written


def test_a_line_of_the_command_comes_instead_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal()
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(first_line, "DELAY_S", 1e6)
    with first_line.first_line(quiet=False):
        Output().view().show("warn", "something")
        first_line._line.print()  # as when the time has passed
    assert "something" in stderr.getvalue()
    assert FIRST not in stderr.getvalue()


@pytest.mark.parametrize("command", ["help trace convert", "schema", "loads", "predictors --json", "ls"])
def test_no_line_comes_into_the_answer_of_a_command(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdout, stderr = SlowTerminal(), Terminal()
    monkeypatch.setattr("sys.stdout", stdout)
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(first_line, "DELAY_S", 1e6)
    monkeypatch.chdir(tmp_path)
    with suppress(SystemExit):  # of help
        app(command.split(), standalone_mode=False)
    assert stdout.getvalue()
    assert not stderr.getvalue()


def test_a_host_that_starts_no_thread_runs_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with first_line.first_line(quiet=False):
        Output().show("its answer")
