"""Stop signals: what they interrupt, and what they wait for."""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import waiting

from harness.errors import Interrupted, MachineError
from harness.interrupt import STOP_SIGNALS, defer_stop_signals, stop_signals_raise


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """These tests start with a SIGHUP that is not ignored, also where `nohup` runs them, and leave it as it was."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


def test_except_exception_does_not_catch_a_stop_signal() -> None:
    def work() -> None:
        try:
            send(signal.SIGTERM)
        except Exception:
            pytest.fail("it was caught as an error")

    with stop_signals_raise(), pytest.raises(Interrupted):
        work()


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_stop_signal_during_a_clean_up_is_handled_afterwards(number: int) -> None:
    def work() -> None:
        with defer_stop_signals():
            send(number)
            send(number)
            done.append("cleaned up")
        done.append("went on")

    done: list[str] = []
    with stop_signals_raise(), pytest.raises(Interrupted):
        work()
    assert done == ["cleaned up"]


def test_a_stop_signal_does_not_hide_an_error_of_the_clean_up() -> None:
    def work() -> None:
        with defer_stop_signals():
            send(signal.SIGINT)
            raise ValueError("still there")

    with stop_signals_raise(), pytest.raises(ValueError, match="still there"):
        work()


def test_an_error_after_a_stop_signal_that_c_code_lost_is_the_stop() -> None:
    def work() -> None:
        with contextlib.suppress(Interrupted):  # as `PyCapsule_Import` does where nobody looks at its error
            send(signal.SIGTERM)
        raise AttributeError("half imported")

    with pytest.raises(Interrupted) as caught, stop_signals_raise():
        work()
    assert caught.value.exit_code == 143


class Named:
    """Of what is raised here, the C code of Python 3.11 and earlier makes a RuntimeError."""

    def __set_name__(self, owner: type, name: str) -> None:
        send(signal.SIGTERM)


def test_an_error_that_c_code_made_of_a_stop_signal_is_the_stop() -> None:
    with pytest.raises(Interrupted), stop_signals_raise():
        type("Owner", (), {"named": Named()})


class Finalized:
    """Python drops what is raised here, and prints it."""

    def __del__(self) -> None:
        send(signal.SIGTERM)


def test_a_stop_signal_in_a_finalizer_is_raised_after_it(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        Finalized()
        time.sleep(waiting.LIMIT_S)

    hook = sys.unraisablehook
    with pytest.raises(Interrupted) as caught, stop_signals_raise():
        work()
    assert sys.unraisablehook is hook
    assert (caught.value.exit_code, capsys.readouterr().err) == (143, "")


def test_a_stop_signal_in_the_last_finalizer_of_a_block_is_raised_where_it_ends() -> None:
    with stop_signals_raise(), pytest.raises(Interrupted), stop_signals_raise():
        Finalized()


@pytest.mark.parametrize("error", [MachineError("still up"), OSError("still there")])
def test_a_stop_signal_does_not_hide_an_error_after_it(error: Exception) -> None:
    def work() -> None:
        try:
            send(signal.SIGTERM)
        finally:
            raise error

    with pytest.raises(type(error)), stop_signals_raise():
        work()


def test_programs_started_in_a_clean_up_can_be_ended_by_a_signal() -> None:
    with defer_stop_signals():
        child = subprocess.Popen(["sleep", "300"])
    child.terminate()
    assert child.wait(timeout=waiting.LIMIT_S) == -signal.SIGTERM


def test_under_nohup_a_closed_terminal_is_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with stop_signals_raise():
        send(signal.SIGHUP)
        with defer_stop_signals():
            send(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_block_inside_another_ignores_later_signals_like_the_outer_one_and_decides_the_exit_code() -> None:
    with stop_signals_raise():
        with pytest.raises(Interrupted) as inner, stop_signals_raise("go on with --resume", 130):
            send(signal.SIGTERM)
        send(signal.SIGTERM)
    assert (inner.value.exit_code, inner.value.hint) == (130, "go on with --resume")
    with pytest.raises(Interrupted) as alone, stop_signals_raise():
        send(signal.SIGTERM)
    assert alone.value.exit_code == 143


def test_ctrl_c_during_the_imports_of_the_command_prints_no_traceback() -> None:
    script = "import os, signal, sys; from harness.early_interrupt import EarlyInterrupt\n\
with EarlyInterrupt():\n    os.kill(os.getpid(), signal.SIGINT)"
    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, preexec_fn=heed)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_what_lets_ctrl_c_end_the_start_of_the_command_imports_nothing() -> None:
    script = "import sys; before = {*sys.modules}; import harness.early_interrupt; print({*sys.modules} - before)"
    loaded = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    assert sorted(ast.literal_eval(loaded)) == ["__future__", "harness", "harness.early_interrupt"]


def heed() -> None:
    """Undo that a shell ignores SIGINT for what it runs in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
