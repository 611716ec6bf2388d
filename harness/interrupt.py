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

    before = {number: signal.signal(number, stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def unheard() -> Iterator[None]:
    """Let no stop signal interrupt what is inside: a clean-up that is bounded in time."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
