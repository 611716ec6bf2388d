"""Ctrl-C while the command starts. Until this has run, Python answers it with a traceback.

So it imports nothing but `_signal`, the built-in half of `signal`: the other half takes ten times as long as all this.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found]


class EarlyInterrupt:
    """Lets Ctrl-C end this process without a traceback in a `with` block, which has nothing to clean up."""

    def __enter__(self) -> None:
        self._set = end_at_interrupt()

    def __exit__(self, *_error: object) -> None:
        if self._set:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def end_at_interrupt() -> bool:
    """Let Ctrl-C end this process without a traceback from here on, unless it is handled or ignored already."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        return False
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    except ValueError:  # only the main thread may
        return False
    return True
