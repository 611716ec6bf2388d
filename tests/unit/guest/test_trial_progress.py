"""What a person sees while a trial runs."""

from __future__ import annotations

from harness.guest.trial_progress import TrialProgress
from harness.progress import SilentWatcher


class Shown(SilentWatcher):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.done: list[tuple[float, float | None]] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def advance(self, done: float, total: float | None) -> None:
        self.done.append((done, total))


def test_the_seconds_of_the_guest_and_what_each_costs_the_host_are_shown() -> None:
    shown = Shown()
    progress = TrialProgress(shown, 2.0, 50.0)
    progress("recording", 1.0, 1.3, "guest s")
    progress("recorded", 31.0, 40.3, "guest s")
    progress("recorded", 53.0, 68.9, "guest s")
    progress("done", 7.0, 9.1, "guest s")
    assert shown.lines == [
        "before the recording: 1 guest s; not connected",
        "recording: 31 of 50 guest s, 1.3 host s each; not connected",
        "recorded, perf ends: 3 guest s, 1.3 host s each; not connected",
        "after the recording: 7 guest s, 1.3 host s each; not connected",
    ]
    assert shown.done == [(1.0, 52.0), (33.0, 52.0), (52.0, 52.0), (52.0, 52.0)]
    assert max(map(len, shown.lines)) <= 60 + 2  # the terminal cuts at 60: only the last word may be hurt


def test_the_preparation_of_a_load_is_shown_with_its_seconds() -> None:
    shown = Shown()
    TrialProgress(shown, 2.0, 50.0)("prepared", 34.0, 40.8, "guest s")
    assert shown.lines == ["preparing the load: 34 guest s, 1.2 host s each; not connected"]
    assert shown.done == [(0.0, 52.0)]


def test_nothing_is_said_to_be_recorded_without_a_tracer() -> None:
    shown = Shown()
    progress = TrialProgress(shown, 0.0, 10.0, traced=False)
    progress("recorded", 3.0, 3.0, "s")
    progress("recorded", 12.0, 12.0, "s")
    assert shown.lines == ["without a tracer: 3 of 10 s; not connected", "the wait ends: 2 s; not connected"]


def test_without_the_guests_clock_the_seconds_are_the_hosts() -> None:
    shown = Shown()
    TrialProgress(shown, 0.0, 50.0)("recorded", 31.0, 31.0, "s")
    assert shown.lines == ["recording: 31 of 50 s; not connected"]


def test_what_is_shown_changes_once_a_second_and_never_goes_beyond_the_end() -> None:
    shown = Shown()
    progress = TrialProgress(shown, 0.0, 10.0)
    for tenth in range(50):
        progress("recorded", 12.0, tenth / 10, "guest s")
    assert len(shown.lines) == 5
    assert set(shown.done) == {(10.0, 10.0)}
