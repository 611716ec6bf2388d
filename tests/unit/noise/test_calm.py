"""Waiting for a calm host: how long, and what is shown meanwhile."""

from __future__ import annotations

from harness.noise.calm import wait_for_calm
from harness.noise.host_use import HostUse


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[tuple[float, float | None]] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: float, total: float | None) -> None:
        self.done.append((done, total))

    def warn(self, text: str) -> None:
        self.notes.append(text)


class Host:
    """A host of which these shares are taken, window by window; then it stays as it was."""

    def __init__(self, *taken: float) -> None:
        self.taken, self.windows = list(taken), list[float]()

    def measure(self, seconds: float) -> HostUse:
        self.windows.append(seconds)
        taken = self.taken.pop(0) if len(self.taken) > 1 else self.taken[0]
        return HostUse(seconds, 2, taken, 0.0, (("cc1", 2 * taken), ("python3", 0.06)) if taken else ())


def test_two_calm_windows_in_a_row_end_the_wait() -> None:
    host, watcher = Host(0.38, 0.1, 0.9, 0.1, 0.0), Notes()
    wait = wait_for_calm(120.0, 1, host.measure, watcher)
    assert (wait.calm, wait.seconds) == (True, 10.0)
    assert host.windows == [2.0] * 5
    assert watcher.notes[0] == "host busy: 38 % taken by cc1, python3; waiting"
    assert watcher.notes[1] == "the host is calm; looking once more"
    assert watcher.done[-1] == (10.0, 120.0)


def test_a_host_that_stays_busy_is_waited_for_no_longer_than_the_limit() -> None:
    host = Host(0.8)
    wait = wait_for_calm(7.0, 1, host.measure, Notes())
    assert (wait.calm, wait.seconds) == (False, 8.0)
    assert wait.use is not None
    assert wait.use.text == "80 % taken by cc1, python3"


def test_a_limit_of_nothing_looks_at_nothing() -> None:
    host = Host(0.8)
    wait = wait_for_calm(0.0, 1, host.measure, Notes())
    assert (wait.calm, wait.use, host.windows) == (False, None, [])
