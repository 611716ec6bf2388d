"""The values of an event as `perf script` prints them: in the kernel's own form, or that of libtraceevent's plugin."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from harness.trace.tracepoint.comm import to_text
from harness.trace.tracepoint.sched_events import BOOL, COMM, EVENTS, STATE, TEXT, Event

_TASK = "comm={comm} pid={tid} prio={prio}"
_PLUGIN_TASK = r"{comm}:{tid} \[{prio}\]"
_WAKEUP = (_TASK + r"(?: success=\d)? target_cpu={target_cpu}", _PLUGIN_TASK + r"(?: success=\d)? CPU:{target_cpu}")
_FORMS: dict[str, tuple[str, ...]] = {
    "sched_switch": (
        "prev_comm={prev_comm} prev_pid={prev_tid} prev_prio={prev_prio} prev_state={prev_state}"
        " ==> next_comm={next_comm} next_pid={next_tid} next_prio={next_prio}",
        r"{prev_comm}:{prev_tid} \[{prev_prio}\] {prev_state} ==> {next_comm}:{next_tid} \[{next_prio}\]",
    ),
    "sched_waking": _WAKEUP,
    "sched_wakeup": _WAKEUP,
    "sched_wakeup_new": _WAKEUP,
    "sched_stat_runtime": (r"comm={comm} pid={tid} runtime={runtime_ns} \[ns\](?: vruntime={vruntime_ns} \[ns\])?",),
    "sched_migrate_task": (_TASK + " orig_cpu={orig_cpu} dest_cpu={dest_cpu}",),
    "sched_process_fork": ("comm={comm} pid={tid} child_comm={child_comm} child_pid={child_tid}",),
    "sched_process_exec": ("filename={filename} pid={tid} old_pid={old_tid}",),
    "sched_process_exit": (_TASK + "(?: group_dead={group_dead})?",),
}
_PATTERNS = {  # a number that matches fits into its column
    COMM: r".{0,15}", TEXT: r".{0,4096}", STATE: r"[^\s=]{1,40}", BOOL: r"true|false",
    "i2": r"-?\d{1,4}", "i4": r"-?\d{1,9}", "i8": r"\d{1,20}",
}  # fmt: skip


@lru_cache(1 << 16)
def name_text(raw: bytes) -> str:
    """Return a name as the tables have it."""
    return to_text(raw)


def _unsigned(raw: bytes) -> int:
    """Read a number of 64 bits, which is printed without a sign."""
    number = int(raw)
    if number >> 64:
        raise ValueError(f"{number} has more than 64 bits")
    return number - (1 << 64) if number >> 63 else number


_READERS: dict[str, Callable[[bytes], Any]] = {
    COMM: name_text, TEXT: name_text, STATE: bytes.decode, BOOL: b"true".__eq__, "i2": int, "i4": int, "i8": _unsigned,
}  # fmt: skip


class Values(NamedTuple):
    """The values of a row, the text after them, and whether `R` in them also stands for `R+`."""

    row: tuple[Any, ...]
    rest: bytes
    merges_states: bool


class EventReader:
    """Reads the values of one kind of event: those of a row of its `table`, from the third column on."""

    def __init__(self, event: Event) -> None:
        self.table = event.table
        self._has_state = any(column.dtype == STATE for column in event.columns)
        self._first = tuple(event.constants.values())
        self._readers = [_READERS[column.dtype] for column in event.columns]
        self._patterns = [re.compile(_pattern(form, event), re.DOTALL) for form in _FORMS[event.name]]

    def read(self, text: bytes) -> Values | None:
        """Return the values with which a text begins; None if it does not, or is cut."""
        for form, pattern in enumerate(self._patterns):
            if found := pattern.match(text):
                try:
                    values = [
                        None if raw is None else reader(raw)
                        for reader, raw in zip(self._readers, found.groups(), strict=True)
                    ]
                except ValueError:  # too large a number, or a state that is no ASCII
                    return None
                return Values((*self._first, *values), text[found.end() :], form > 0 and self._has_state)
        return None


def _pattern(form: str, event: Event) -> bytes:
    for column in event.columns:
        form = form.replace(f"{{{column.name}}}", f"({_PATTERNS[column.dtype]})")
    return rf"{' *' if '=' in form.split('(')[0] else ''}{form}(?!\S)".encode()


READERS = {f"sched:{name}": EventReader(event) for name, event in EVENTS.items()}
