"""The summary of a recording as tables for the terminal."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.recorded_clock import RecordedClock
from harness.terminal.line import line
from harness.terminal.plain_table import PlainTable, plain_table
from harness.trace.quality import damage
from harness.trace.summary import CpuSummary, Summary
from harness.trace.tracepoint.state_reading import KERNEL, NOTHING


def render(summary: Summary, limit: int = 20, about: Mapping[str, str] | None = None) -> RenderableType:
    """Show the recording, its CPUs, and the `limit` tasks that ran longest, within 80 columns.

    `about` names the clock of the guest that was recorded, if this is known.
    `queue` is the mean number of runnable tasks at a pick; `delay` is the time from becoming runnable to running.
    """
    return Group(_about(summary, about or {}), _cpus(summary), _tasks(summary, limit))


def render_several(summaries: Sequence[Summary]) -> list[RenderableType]:
    """Show each recording of a run in one line: what all its CPUs and tasks did, and whether it is sound.

    `delay` and `max` are the mean and the longest time from becoming runnable to running.
    """
    numbers = ("seconds", "tasks", "switches", "idle %", "preempted", "contested", "most", "delay ms", "max")
    table = plain_table("trial", *(f">{name}" for name in numbers), "sound")
    for one in summaries:
        table.add_row(_name(one), *_numbers(one), "yes" if one.quality.whole else "no")
    folder = shlex.quote(str(summaries[0].path.parent))
    return [table, line((f"the tasks and CPUs of one: harness trace summary {folder}", "dim"))]


def _name(summary: Summary) -> str:
    return summary.path.parent.name


def _numbers(summary: Summary) -> list[str]:
    cpus, tasks = summary.by_cpu, summary.by_task
    busy_ns, idle_ns = _sum(cpu.busy_ns for cpu in cpus), _sum(cpu.idle_ns for cpu in cpus)
    waits = [(task.delays, task.delay_mean_ns) for task in tasks if task.delays and task.delay_mean_ns is not None]
    delays = sum(count for count, _ in waits)
    return [
        f"{summary.quality.span_ns / 1e9:.3f}",
        f"{len(tasks):,}",
        f"{sum(cpu.switches for cpu in cpus):,}",
        "-" if busy_ns is None or idle_ns is None else f"{100 * idle_ns / max(busy_ns + idle_ns, 1):.1f}",
        f"{sum(cpu.preemptions for cpu in cpus):,}",
        _count(_sum(cpu.contested for cpu in cpus)),
        _count(max((cpu.runnable_max for cpu in cpus if cpu.runnable_max is not None), default=None)),
        _ms(sum(count * mean_ns for count, mean_ns in waits) / delays if delays else None),
        _ms(max((task.delay_max_ns for task in tasks if task.delay_max_ns is not None), default=None)),
    ]


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum; None if a part of it is not known."""
    known = list(numbers)
    return None if None in known else sum(number or 0 for number in known)


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def _about(summary: Summary, about: Mapping[str, str]) -> Table:
    header, quality = summary.header, summary.quality
    cpus = f"{header.nrcpus or '?'} CPU{'s' * (header.nrcpus != 1)}"
    rows = {
        "machine": f"{header.hostname or '?'}, {header.os_release or '?'}, {cpus}",
        "samples": f"{quality.samples:,} in {quality.span_ns / 1e9:.3f} s, clock {quality.clock}",
        **({"guest clock": RecordedClock.of(about).text} if about else {}),
        "events": ", ".join(f"{name.removeprefix('sched:sched_')} {count:,}" for name, count in quality.counts.items()),
        **_states(summary),
        "sound": "yes" if quality.whole else f"no: {damage(quality)}",
    }
    table = PlainTable.grid(padding=(0, 2))
    for name, value in rows.items():
        table.add_row(Text(name, style="bold"), value)
    return table


def _states(summary: Summary) -> dict[str, str]:
    reading = summary.quality.states
    if reading.decided_by == KERNEL or (reading.decided_by == NOTHING and not reading.left):
        return {}
    undecided = "UNDECIDED, taken " if reading.decided_by == NOTHING else ""
    why = "see the warning" if reading.warning(summary.header.os_release) else reading.reason
    return {"states": f"{undecided}{'shifted by one bit' if reading.shifted else 'as printed'}: {why}"}


def _table(title: str, first: str, *others: str) -> Table:
    table = PlainTable(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cpus(summary: Summary) -> Table:
    table = _table("CPUs", "CPU", "switches", "busy ms", "idle ms", "idle %", "preempted", "contested", "queue", "most")
    for cpu in summary.by_cpu:
        table.add_row(
            str(cpu.cpu),
            f"{cpu.switches:,}",
            _ms(cpu.busy_ns),
            _ms(cpu.idle_ns),
            _idle_percent(cpu),
            f"{cpu.preemptions:,}",
            "-" if cpu.contested is None else f"{cpu.contested:,}",
            "-" if cpu.runnable_mean is None else f"{cpu.runnable_mean:.2f}",
            "-" if cpu.runnable_max is None else str(cpu.runnable_max),
        )
    return table


def _idle_percent(cpu: CpuSummary) -> str:
    if cpu.busy_ns is None or cpu.idle_ns is None:
        return "-"
    return f"{100 * cpu.idle_ns / max(cpu.busy_ns + cpu.idle_ns, 1):.1f}"


def _tasks(summary: Summary, limit: int) -> Table:
    shown = summary.by_task[:limit]
    table = _table(
        f"Tasks ({len(shown)} of {len(summary.by_task)})",
        "task", "tid", "runs", "run ms", "mean", "max", "preempt", "delay ms", "max",
    )  # fmt: skip
    for task in shown:
        table.add_row(
            task.comm,
            str(task.tid),
            f"{task.runs:,}",
            *(_ms(ns) for ns in (task.run_ns, task.run_mean_ns, task.run_max_ns)),
            f"{task.preemptions:,}",
            *(_ms(ns) for ns in (task.delay_mean_ns, task.delay_max_ns)),
        )
    return table


def _ms(ns: float | None) -> str:
    return "-" if ns is None else f"{ns / 1e6:,.2f}"
