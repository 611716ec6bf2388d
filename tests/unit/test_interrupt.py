"""Stop signals: what they interrupt, and what they wait for."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
import waiting

from harness.errors import Interrupted
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
