"""Work that is done in a thread while the recording is decoded; Arrow and the compiled code let other threads run."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any


class Background:
    """Does one piece of work at a time, in order. The next waits for the one before, so memory holds no more than two.

    The thread has ended when the `with` block ends, also after an error.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._running: Future[None] | None = None

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()

    def run(self, work: Callable[..., None], *arguments: Any) -> None:
        """Begin the next piece of work, once the one before is done. Raises what that one raised."""
        self.wait()
        self._running = self._thread.submit(work, *arguments)

    def wait(self) -> None:
        """Wait until all work is done. Raises what it raised."""
        running, self._running = self._running, None
        if running:
            running.result()
