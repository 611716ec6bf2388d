"""How the lines of a text of events begin: those of `perf script`, and those of ftrace, which `trace-cmd` prints."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.trace.text.escapes import without_escapes
from harness.trace.text.wrong_file import FTRACE, PERF_SCRIPT

_TIME = rb"(?P<s>[1-8]?\d{1,9})[.,](?P<us>\d{6})(?P<ns>\d{3})?: +"
_PERF_HEAD = re.compile(
    rb"\[(?P<cpu>\d{3,4})\] +(?:[^\s:]+ +)?" + _TIME + rb"(?:\d+ +)?"
    rb"(?:(?P<record>PERF_RECORD_\w+)|(?P<event>[^\s\x1b]+):(?: |$))"
)
_FTRACE_HEAD = re.compile(  # the task's id; its thread group; the CPU, with flags behind it with `-l`; --ts-diff
    rb"-\d+ +(?:\( *[-\d]+\) +)?"
    rb"(?:\[(?P<cpu>\d{3,4})\](?: +[^\s:]{4,8})?|(?P<flagged_cpu>\d{1,4})[^\s:\d][^\s:]{3,7}) +"
    + _TIME
    + rb"(?:\([+-]?\d+\) +)?(?:(?P<record>)(?!)|(?P<event>[^\s\x1b:]+):(?: |$)|(?P<other><[^>]+>|\S+ <-\S+)\s*$)"
)
_PERF_EVENT = re.compile(rb"\bsched:sched_\w+: ")
_FTRACE_EVENT = re.compile(rb": +sched_\w+: ")


@dataclass(frozen=True)
class LineForm:
    """A form of lines. `head` finds their begin, `event` an event of the scheduler, also in a line without a head.

    `expected` is the begin in words, `command` prints it; `task_id` follows a name. An event's name with its colon has
    `event_columns`, and a blank.
    """

    name: str
    head: re.Pattern[bytes]
    event: re.Pattern[bytes]
    task_id: re.Pattern[bytes]
    event_columns: int
    expected: str
    command: str


FORMS = (
    LineForm(
        FTRACE,
        _FTRACE_HEAD,
        _FTRACE_EVENT,
        re.compile(rb"\s*$"),
        21,
        "`task-1234 [000] 1234.567890:` before the event",
        "trace-cmd report -t -N",
    ),
    LineForm(
        PERF_SCRIPT,
        _PERF_HEAD,
        _PERF_EVENT,
        re.compile(rb"\s*(?:\d+/)?\d+\s*$"),
        0,
        "`[000] 1234.567890:` before the event",
        "perf script --ns -F comm,tid,cpu,time,event,trace",
    ),
)


def form_of(content: bytes) -> LineForm | None:
    """Return the form of a line that is an event, or one in which fields are missing; None for any other."""
    line = without_escapes(content)
    for form in FORMS:
        if form.head.search(line):
            return form
    return next((form for form in reversed(FORMS) if form.event.search(line)), None)
