"""Being asked to stop: Ctrl-C, SIGTERM and a closed terminal all become one exception."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from harness.errors import Interrupted

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stop_signals_raise() -> Iterator[None]:
    """Raise Interrupted at the first SIGINT, SIGTERM or SIGHUP; later ones are not heard.

    Once asked to stop, the clean-up is under way and bounded in time; ending it early would leave a machine behind.
    """
    heard: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if heard:
            return
        heard.append(number)
        raise Interrupted(
            f"stopped by {signal.Signals(number).name}",
            hint="go on from here with `harness run --resume`; what was recorded stays",
        )

    numbers = [number for number in STOP_SIGNALS if not _left_alone(number)]
    before = {number: signal.signal(number, stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _left_alone(number: int) -> bool:
    """Under `nohup`, the end of the terminal is not the end of the run."""
    return number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN


@contextmanager
def unheard() -> Iterator[None]:
    """Put off a stop signal until what is inside is over: a clean-up that is bounded in time.

    The signals are caught rather than ignored, because programs that are started inside would inherit that, and could
    then not be ended when they are late.
    """
    heard: list[int] = []
    before = {number: signal.signal(number, lambda number, _frame: heard.append(number)) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])
