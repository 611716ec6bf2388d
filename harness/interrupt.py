"""Stop signals: Ctrl-C, SIGTERM and a closed terminal all become one exception."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import HarnessError, Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_SECONDS = 0.01  # enough to leave a finalizer; in one that takes longer, the signal is dropped and sent again


class _Stop:
    """Raises Interrupted at the first signal. A block inside another one shares its `received`."""

    def __init__(self, hint: str | None, exit_code: int | None, received: list[int]) -> None:
        self.hint, self.exit_code, self.received = hint, exit_code, received

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.received:
            return
        self.received.append(number)
        raise self.interrupted()

    def interrupted(self) -> Interrupted:
        """Return the exception of the signal that was received."""
        (number,) = self.received
        stopped = Interrupted(f"stopped by {signal.Signals(number).name}", hint=self.hint)
        stopped.exit_code = self.exit_code or 128 + number
        return stopped

    def explains(self, error: Exception) -> bool:
        """Whether the signal came first, and C code made this error of it, or dropped it and then failed.

        An error of our own says more than the signal, and so does one of the clean-up, raised while it was handled.
        """
        if not self.received or isinstance(error, HarnessError):
            return False
        return isinstance(error.__cause__, Interrupted) or not _came_of_handling_it(error)


@contextmanager
def stop_signals_raise(hint: str | None = None, exit_code: int | None = None) -> Iterator[None]:
    """Raise Interrupted at the first SIGINT, SIGTERM or SIGHUP; ignore later ones.

    After the first signal the clean-up is under way, and it has a time limit. Ending it early would leave a machine up.
    The exit code is 128 and the signal's number by default, as in a shell. In a thread of its own this does nothing.

    C code may lose the exception, as the start of pandas does, and fail a moment later: that raises Interrupted, too.
    Where nothing can be raised, as in a finalizer, Python drops it: then it is raised a moment later.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    outer = signal.getsignal(signal.SIGTERM)
    stop = _Stop(hint, exit_code, outer.received if isinstance(outer, _Stop) else [])
    numbers = [number for number in STOP_SIGNALS if not _ignored_by_nohup(number)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        with _dropped_signals_come_again(stop):
            yield
    except Exception as error:
        if stop.explains(error):
            raise stop.interrupted() from error
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _dropped_signals_come_again(stop: _Stop) -> Iterator[None]:
    """Send the signal again whose exception Python dropped, until it is raised, at the latest where the block ends."""
    hook, main = sys.unraisablehook, threading.get_ident()
    again: list[threading.Timer] = []

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            hook(unraisable)
        else:
            again.append(threading.Timer(_AGAIN_SECONDS, signal.pthread_kill, [main, stop.received.pop()]))
            again[-1].start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for timer in again:  # what it sends after this would meet another handler, or a block around this one
            timer.join()


def _came_of_handling_it(error: BaseException | None) -> bool:
    """Whether Interrupted was being handled when the error was raised."""
    while error is not None and not isinstance(error, Interrupted):
        error = error.__context__
    return error is not None


def _ignored_by_nohup(number: int) -> bool:
    """Whether `nohup` has made this process ignore the signal, so that it may outlive its terminal."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def defer_stop_signals() -> Iterator[None]:
    """Handle a stop signal only after the block, which is a clean-up with a time limit.

    The signals are caught, not ignored: programs that the block starts would inherit ignored signals, and SIGTERM could
    then not stop one that takes too long.
    """
    received: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: received.append(number)) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
