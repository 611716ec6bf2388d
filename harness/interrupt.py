"""Stop signals: Ctrl-C, SIGTERM and a closed terminal all become one exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Raise Interrupted at the first SIGINT, SIGTERM or SIGHUP; ignore later ones.

    After the first signal the clean-up is under way, and it has a time limit. Ending it early would leave a machine up.
    """
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if received:
            return
        received.append(number)
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}",
            hint="go on from here with `harness run --resume`; what was recorded stays",
        )

    numbers = [number for number in STOP_SIGNALS if not _ignored_by_nohup(number)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
