"""The progress of a trial, as a person sees it while nothing is connected to the guest."""

from __future__ import annotations

from harness.progress import Watcher

SHOW_S = 1.0  # of the host, between two changes of what is shown
RATIO_FROM_S = 5.0  # the guest's clock is known in whole seconds: before, the ratio would be mostly error


class TrialProgress:
    """Shows the watcher how far a trial is, in seconds of the guest; without its clock, in those of the host."""

    def __init__(self, watcher: Watcher, warmup_s: float, seconds: float, traced: bool = True) -> None:
        self._watcher, self._warmup_s, self._seconds = watcher, warmup_s, seconds
        self._recording = "recording" if traced else "without a tracer"
        self._ending = "recorded, perf ends" if traced else "the wait ends"
        self._shown_at = float("-inf")

    def __call__(self, awaited: str, waited_s: float, host_s: float, unit: str) -> None:
        """Show that `waited_s` have passed since the phase before `awaited` began, which took the host `host_s`."""
        if abs(host_s - self._shown_at) < SHOW_S:
            return
        self._shown_at = host_s
        ratio = f", {host_s / waited_s:.1f} host s each" if unit != "s" and waited_s >= RATIO_FROM_S else ""
        if awaited == "prepared":
            done_s, note = 0.0, f"preparing the load: {waited_s:.0f} {unit}"
        elif awaited == "recording":
            done_s, note = min(waited_s, self._warmup_s), f"before the recording: {waited_s:.0f} {unit}"
        elif awaited == "recorded":
            done_s = self._warmup_s + min(waited_s, self._seconds)
            note = f"{self._recording}: {waited_s:.0f} of {self._seconds:g} {unit}"
            if waited_s >= self._seconds + 1:
                note = f"{self._ending}: {waited_s - self._seconds:.0f} {unit}"
        else:
            done_s, note = self._warmup_s + self._seconds, f"after the recording: {waited_s:.0f} {unit}"
        self._watcher.note(f"{note}{ratio}; not connected")
        self._watcher.advance(done_s, self._warmup_s + self._seconds)
