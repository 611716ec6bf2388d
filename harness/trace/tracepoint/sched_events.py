"""Which events become which table, and from which fields each column is taken."""

from __future__ import annotations

from dataclasses import dataclass, field

# A name of 16 bytes, bytes of any length, a state (numbered), a truth value; else numpy types.
COMM, TEXT, STATE, BOOL = "comm", "text", "state", "?"


@dataclass(frozen=True)
class Column:
    """A column: its name in the table, the field it comes from, and how wide it is (numpy type)."""

    name: str
    field: str
    dtype: str = "i4"
    optional: bool = False


@dataclass(frozen=True)
class Event:
    """One tracepoint of the `sched` system and the table its rows go to; `constants` are columns of fixed text."""

    name: str
    table: str
    columns: tuple[Column, ...]
    constants: dict[str, str] = field(default_factory=dict)


def _comm(name: str = "comm", field: str = "comm") -> Column:
    return Column(name, field, COMM)


_TASK = (_comm(), Column("tid", "pid"), Column("prio", "prio", "i2"))
_WAKEUP = (*_TASK, Column("target_cpu", "target_cpu", "i2"))

EVENTS = {
    event.name: event
    for event in (
        Event(
            "sched_switch",
            "switches",
            (
                _comm("prev_comm", "prev_comm"),
                Column("prev_tid", "prev_pid"),
                Column("prev_prio", "prev_prio", "i2"),
                Column("prev_state", "prev_state", STATE),
                _comm("next_comm", "next_comm"),
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
                _comm(),
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
                _comm(field="parent_comm"),
                Column("tid", "parent_pid"),
                _comm("child_comm", "child_comm"),
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
