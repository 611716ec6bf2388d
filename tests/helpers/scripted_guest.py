"""A guest seen from outside that follows a script: what its console shows, and how its clock runs. Nobody waits."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import MachineError
from harness.guest.monitor import RUNNING, Condition, CpuTimes


class ScriptedGuest:
    """A view of a guest and the host's clock for it. `console` maps the host's seconds to what is written then.

    The guest's clock runs `pace` times as fast as the host's, and stands still from `stops_at` on; with `pace` None, it
    cannot be read. From `ends_at` on, there is no machine any more.
    """

    def __init__(
        self,
        console: dict[float, str],
        *,
        pace: float | None = 1.0,
        stops_at: float = float("inf"),
        ends_at: float = float("inf"),
    ) -> None:
        self.written, self.pace, self.stops_at, self.ends_at = console, pace, stops_at, ends_at
        self.now = 0.0
        self.readings: list[float] = []
        self.clock_asked: list[float] = []
        self.at_every_look: Callable[[], object] = lambda: None
        self.conditions: dict[float, Condition] = {}  # from when on the hypervisor says which

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now = round(self.now + seconds, 6)

    def console_size(self) -> int:
        self._require_running()
        self.at_every_look()
        return len(self._text().encode())

    def console_delay_s(self) -> float:
        return 0.0

    def console(self) -> str:
        self._require_running()
        self.readings.append(self.now)
        return self._text()

    def guest_seconds(self) -> float | None:
        self.clock_asked.append(self.now)
        return None if self.pace is None else float(int(1e9 + min(self.now, self.stops_at) * self.pace))

    def cpu_times(self) -> CpuTimes | None:
        return None

    def process_ids(self) -> tuple[int, ...]:
        return ()

    def condition(self) -> Condition:
        if self.now >= self.ends_at:
            return Condition("ended", "the machine does not run any more")
        return next((told for when, told in sorted(self.conditions.items())[::-1] if when <= self.now), RUNNING)

    def _text(self) -> str:
        return "".join(text for when, text in sorted(self.written.items()) if when <= self.now)

    def _require_running(self) -> None:
        if self.now >= self.ends_at:
            raise MachineError("the machine does not run any more", where="scripted")
