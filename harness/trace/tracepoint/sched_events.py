"""The tracepoints of the `sched` system that are read: the table of each, and the field of each column."""

from __future__ import annotations

from dataclasses import dataclass, field

# Types of columns beside those of numpy: a name of 16 bytes, a text of any length, a task state, a truth value.
COMM, TEXT, STATE, BOOL = "comm", "text", "state", "?"


@dataclass(frozen=True)
class Column:
    """A column of a table: its name, the field it is read from, and its type (one of the above, or numpy's)."""

    name: str
    field: str
    dtype: str = "i4"
    optional: bool = False


@dataclass(frozen=True)
class Event:
    """One tracepoint and the table of its rows; `constants` maps names of further columns to their fixed text."""

    name: str
    table: str
    columns: tuple[Column, ...]
    constants: dict[str, str] = field(default_factory=dict)


_COMM = Column("comm", "comm", COMM)
_TASK = (_COMM, Column("tid", "pid"), Column("prio", "prio", "i2"))
_WAKEUP = (*_TASK, Column("target_cpu", "target_cpu", "i2"))

EVENTS = {
    event.name: event
    for event in (
        Event(
            "sched_switch",
            "switches",
            (
                Column("prev_comm", "prev_comm", COMM),
                Column("prev_tid", "prev_pid"),
                Column("prev_prio", "prev_prio", "i2"),
                Column("prev_state", "prev_state", STATE),
                Column("next_comm", "next_comm", COMM),
                Column("next_tid", "next_pid"),
                Column("next_prio", "next_prio", "i2"),
            ),
        ),
        Event("sched_waking", "wakeups", _WAKEUP, {"kind": "waking"}),
        Event("sched_wakeup", "wakeups", _WAKEUP, {"kind": "wakeup"}),
        Event("sched_wakeup_new", "wakeups", _WAKEUP, {"kind": "wakeup_new"}),
        Event(
            "sched_stat_runtime",
            "runtimes",
            (
                _COMM,
                Column("tid", "pid"),
                Column("runtime_ns", "runtime", "i8"),
                Column("vruntime_ns", "vruntime", "i8", optional=True),
            ),
        ),
        Event(
            "sched_migrate_task",
            "migrations",
            (*_TASK, Column("orig_cpu", "orig_cpu", "i2"), Column("dest_cpu", "dest_cpu", "i2")),
        ),
        Event(
            "sched_process_fork",
            "forks",
            (
                Column("comm", "parent_comm", COMM),
                Column("tid", "parent_pid"),
                Column("child_comm", "child_comm", COMM),
                Column("child_tid", "child_pid"),
            ),
        ),
        Event(
            "sched_process_exec",
            "execs",
            (Column("filename", "filename", TEXT), Column("tid", "pid"), Column("old_tid", "old_pid")),
        ),
        Event("sched_process_exit", "exits", (*_TASK, Column("group_dead", "group_dead", BOOL, optional=True))),
    )
}
