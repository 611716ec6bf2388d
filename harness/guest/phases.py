"""Follow a trial from outside, without a connection: its phases on the guest's console, its time on the guest's clock.

The guest script writes `harness-trial LABEL PHASE` on the serial console (`trial_script.py`). A guest that its host
keeps waiting takes longer, but needs no more of its own time. So limits count the guest's seconds, and a guest that has
stopped is noticed by its clock.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from harness.errors import LostMachineError, MachineError, TrialError
from harness.guest.deadline import Clock
from harness.guest.monitor import Monitor, bounded_console
from harness.guest.vigil import STARTS, Vigil, ending_in

POLL_S = 0.05  # between two looks at the length of the console
ASK_S = 2.0  # between two looks at the guest's clock, each a call of the hypervisor
STALL_S = 120.0  # of the guest's pace, in which the clock of a running guest moves at least once
LONGEST_PAUSE_S = 1.0  # between two readings of a console to which others write
CHECK_LIMIT_S = 30.0  # for the first message to reach the host
FASTEST = 20.0  # guest seconds for one of the host; more is a guest that set its clock
TAIL_LINES = 8
OnPhase = Callable[[str, float], object]  # a phase, and how much later than the guest wrote it it may have been seen

# A message of the kernel may be printed in the middle of a line; it is never interrupted itself. Some kernels add who
# printed it, such as `[    T1]` (CONFIG_PRINTK_CALLER).
KERNEL_MESSAGE = re.compile(r"\[ *\d+\.\d{6}\](?:\[[^\]\n]*\])? [^\n]*\n")


class GuestTime:
    """The time that has passed for the guest; the pace's, for as long as the guest's clock cannot be read.

    `pace` is the clock of the guest's limits (`Host.clock`), which stands still while the guest waits for a CPU.
    """

    def __init__(self, monitor: Monitor, clock: Clock = time.monotonic, pace: Clock = time.monotonic) -> None:
        self._monitor, self._clock, self._pace = monitor, clock, pace
        self._asked, self._paced = clock(), pace()
        self._shown = self._last = monitor.guest_seconds()  # `_shown` is None if it could not be read
        self._moved, self._passed, self._stalled = self._paced, 0.0, 0.0

    @property
    def unit(self) -> str:
        """The unit of `passed_s`: `s`, or `guest s` once the guest's clock was read."""
        return "s" if self._last is None else "guest s"

    def passed_s(self) -> float:
        """Return the seconds since this was made; the guest's clock is asked at most every `ASK_S`."""
        now = self._clock()
        if now - self._asked >= ASK_S:
            self._ask(now - self._asked)
            self._asked = now
        return self._passed + (self._pace() - self._paced if self._shown is None else 0.0)

    def stalled_s(self) -> float:
        """Return for how many seconds of the pace the guest's clock had stood still when it was last read."""
        return self._stalled

    def _ask(self, elapsed_s: float) -> None:
        before, shown, paced = self._shown, self._monitor.guest_seconds(), self._pace()
        if before is None or shown is None:  # a call of the hypervisor may fail, such as while it restarts
            self._passed += paced - self._paced
        else:
            self._passed += min(max(0.0, shown - before), FASTEST * elapsed_s)  # the guest may set its clock
        self._shown, self._paced = shown, paced
        if shown is not None:
            self._moved = self._moved if shown == self._last else paced
            self._last, self._stalled = shown, paced - self._moved


class Phases:
    """The phases of one trial, as they appear on the console from now on; with `attach`, since the guest started.

    `where` names the machine in errors; `clock` and `sleep` are the host's, `pace` is the guest's (`Host.clock`). The
    hypervisor is asked through `vigil` whether the machine still runs. `attach` is for a trial that another process
    began, and `missed` has the phases that were on the console already.
    """

    def __init__(
        self,
        monitor: Monitor,
        label: str,
        where: str,
        *,
        clock: Clock = time.monotonic,
        pace: Clock = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        attach: bool = False,
        vigil: Vigil | None = None,
    ) -> None:
        self.where, self.text, self._label = where, "", label
        self._vigil = vigil or Vigil(monitor, where, reads_console=False, clock=clock)
        self.guest_ended = False  # then there is nothing on the guest to stop, and nobody who answers
        self._monitor, self._clock, self._pace, self._sleep = monitor, clock, pace, sleep
        self._line = re.compile(rf"harness-trial {re.escape(label)} (check|prepared|recording|recorded|done)(?!\w)")
        self._seen: set[str] = set()
        self._looked = clock()  # what is on the console now was written since then
        with self._running():
            self._size = monitor.console_size()
            self._skipped = len(text := bounded_console(monitor, self._size))
        self.missed: list[str] = []
        if attach:
            self._size, self._skipped = -1, max(text.rfind(sign) for sign in STARTS) + 1
            self.missed = self._phases_in(text)
        self._next_read, self._pause = clock(), 0.0
        self._ending: str | None = None

    def require_check(self) -> None:
        """Wait for the message of the checks, which shows that the console reaches the host. Raises TrialError."""
        until = self._clock() + CHECK_LIMIT_S
        while True:
            with self._running():
                if "check" in self._new():
                    return
            self._require_machine()
            if self._clock() > until:
                raise TrialError(
                    f"nothing that the guest wrote on its serial console arrived within {CHECK_LIMIT_S:g} s",
                    where=self.where,
                    expected=f"a line `harness-trial {self._label} check`",
                    hint="the machine needs its first serial port, /dev/ttyS0 in the guest, written to its console log",
                )
            self._sleep(POLL_S)

    def follow(
        self,
        limits: Mapping[str, float],
        on_phase: OnPhase,
        show: Callable[[str, float, float, str], object],
    ) -> str | None:
        """Return when the guest is done: None, or the reason why it no longer makes sense to wait.

        `limits` maps the phases to come, in order, to the longest time from one to the next. `on_phase` is called as
        soon as a phase is on the console; not with a `recording` that is over. `show` is called with every look: the
        phase that is waited for, how long in the guest's seconds and in the host's, and the unit of the first.
        Raises TrialError when the guest has ended or stopped.
        """
        with self._running():
            passed = GuestTime(self._monitor, self._clock, self._pace)
        awaited, since, began = list(limits), 0.0, self._clock()
        while True:
            with self._running():
                looked, arrived, before = self._looked, self._new(), awaited
                late_s = max(0.0, self._clock() - looked - POLL_S)
                for phase in (phase for phase in arrived if phase in awaited):
                    if phase != "recording" or "recorded" not in arrived:  # else that moment has passed
                        on_phase(phase, late_s)
                    awaited = awaited[awaited.index(phase) + 1 :]
            if not awaited:
                return None
            self._require_machine()
            with self._running():  # after the phase was reported: it takes a call of the hypervisor
                now = passed.passed_s()
            if awaited != before:
                since, began = now, self._clock()
            self._require_alive(awaited[0], now - since, passed)
            if now - since > limits[awaited[0]]:
                return self._waited(awaited[0], now - since, passed.unit)
            show(awaited[0], now - since, self._clock() - began, passed.unit)
            self._sleep(POLL_S)

    def tail(self) -> str:
        """Return the last lines of the console, without empty ones."""
        lines = [line.strip()[-200:] for line in self.text.splitlines() if line.strip()]
        return "\n".join(lines[-TAIL_LINES:]) or "(nothing)"

    def _new(self) -> list[str]:
        """Return the phases that were not there at the last call, in the order of the console.

        The console is read only if it has grown; ever more seldom, to a second, while others write to it.
        """
        now, size = self._clock(), self._monitor.console_size()
        if now < self._next_read:
            return []
        self._looked = now
        if size == self._size:
            self._pause = 0.0
            return []
        self._size, self.text = size, bounded_console(self._monitor, size)
        if len(self.text) < self._skipped:  # it was cut off at its beginning, to keep it short
            self._skipped = 0
        fresh = self.text[self._skipped :]
        self._ending = ending_in(fresh)
        new = [phase for phase in self._phases_in(self.text) if phase not in self._seen]
        self._seen.update(new)
        self._pause = 0.0 if new else min(max(POLL_S, 2 * self._pause), LONGEST_PAUSE_S)
        self._next_read = self._clock() + self._pause
        return new

    def _phases_in(self, text: str) -> list[str]:
        """Return the phases in this output of the console, without what is skipped, each once and in order."""
        lines, newline, rest = text[self._skipped :].replace("\r", "").rpartition("\n")
        whole = KERNEL_MESSAGE.sub("", lines + newline)  # without its end, a line would be searched from every place
        return list(dict.fromkeys(self._line.findall(whole + rest)))

    def _require_alive(self, phase: str, waited_s: float, passed: GuestTime) -> None:
        ending = self._ending
        if ending is None and passed.stalled_s() > STALL_S:
            ending = f"no progress for {passed.stalled_s():.0f} s: the guest's clock stands still"
        if ending:
            self.guest_ended = True
            raise LostMachineError(
                f"{ending}; {self._waited(phase, waited_s, passed.unit)}",
                where=self.where,
                hint="see whether the machine is still up",
            )

    def _waited(self, phase: str, waited_s: float, unit: str) -> str:
        return (
            f"waited {waited_s:.0f} {unit} for `harness-trial {self._label} {phase}`;"
            f" the serial console ends with:\n{self.tail()}"
        )

    def _require_machine(self, at_once: bool = False) -> None:
        """Raise LostMachineError if there is no machine to wait for any more."""
        try:
            self._vigil.require(at_once)
        except LostMachineError as error:
            self.guest_ended = True
            what = f"{error.what}; the serial console ends with:\n{self.tail()}"
            raise LostMachineError(what, where=self.where, hint=error.hint) from error

    @contextmanager
    def _running(self) -> Iterator[None]:
        """Turn the error of a machine that has ended into that of a trial, of which there may be another attempt."""
        try:
            yield
        except MachineError as error:
            self._require_machine(at_once=True)
            self.guest_ended = True
            what = f"{error.what}; the serial console ends with:\n{self.tail()}"
            where = error.where or self.where
            raise TrialError(what, where=where, expected=error.expected, hint=error.hint) from error
