"""What a recording covers: every task on every CPU, or less; every event, or a sample.

The verdict rests on how the events were opened (their attributes and ids, the threads that perf lists) and on the
switches themselves. The command line only names the cause, or confirms what nothing contradicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from harness.counted import counted
from harness.trace.decode.results import RecordingStats
from harness.trace.perf_data.attr import Attr
from harness.trace.perf_data.command_line import filters, is_sched_record, options
from harness.trace.perf_data.header import Header
from harness.trace.perf_data.targets import ANY_THREAD

SYSTEM_WIDE, SOME_CPUS, SOME_TASKS, UNKNOWN = "system-wide", "some CPUs", "some tasks", "unknown"
HOW_TO_RECORD = "record with `perf sched record`"
LEFT_OUT = "how long tasks and CPUs ran, and who could run, is not known: slices and such sums are left out"
UNPLACED = (
    "neither sched_migrate_task nor sched_wakeup was recorded, so it is not known on which CPU a woken task "
    f"waits: the runnable tasks and delays are left out; {HOW_TO_RECORD}"
)
_MIN_STAYS, _MIN_SHARE = 3, 0.9  # of one task that never leaves; of all breaks, those at tasks that never leave
_MIN_SHARE_OF_SOME = 0.5  # the same where the command line names no -a, and nothing was lost
_MIN_BREAKS = 0.1  # of all switches, in a text that does not say what was recorded
_LEAVES_TASKS_OUT = ("-p", "--pid", "-t", "--tid", "-u", "--uid")  # perf record then lists the threads (perf >= 4.16)
_LEAVES_EVENTS_OUT = ("-G", "--cgroup", "--for-each-cgroup", "--filter", "--exclude-perf")


@dataclass(frozen=True)
class Coverage:
    """What a recording covers.

    `scope`: SYSTEM_WIDE; SOME_CPUS, but all tasks on them; SOME_TASKS; UNKNOWN where nothing tells. `evidence`: what
    tells. `sampled`: events were left out on purpose. `unrecorded`: `switches` or `wakeups`, which no event records.
    `filtered`: the option of perf that left events out, empty without one. `unplaced`: on which CPU a woken task waits
    is not recorded.
    """

    scope: str
    evidence: str
    sampled: bool
    unrecorded: tuple[str, ...]
    filtered: str = ""
    unplaced: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def run_times(self) -> bool:
        """Whether the switches tell how long tasks and CPUs ran."""
        return not (self.scope == SOME_TASKS or self.sampled or "switches" in self.unrecorded)

    @property
    def run_queues(self) -> bool:
        """Whether the events tell which tasks could have been picked, and how long they waited."""
        return self.run_times and not ("wakeups" in self.unrecorded or self.filtered or self.unplaced)


def find_coverage(header: Header, stats: RecordingStats) -> Coverage:
    """Judge a recording that was read to its end."""
    attrs = scheduler_attrs(header)
    scope, evidence = _scope(header, stats, attrs)
    sampled = any(attr.is_sampled for attr in attrs.values())
    filtered, unplaced = _option_of(header, _LEAVES_EVENTS_OUT), _leaves_places_out(attrs, stats)
    coverage = Coverage(scope, evidence, sampled, tuple(_unrecorded(attrs)), filtered, unplaced)
    warnings = [*_scope_warnings(coverage, header, stats, attrs), *_event_warnings(coverage, attrs)]
    if attrs and not coverage.run_times:
        warnings.append(LEFT_OUT)
    if stats.repeats:
        warnings.append(
            f"perf was asked for an event more than once: {counted(stats.repeats, 'sample')} that repeat others "
            "are not read"
        )
    return replace(coverage, warnings=tuple(warnings))


def records_wakeups(header: Header) -> bool:
    """Whether an event records wakeups, without which it is not known who could run."""
    return "wakeups" not in _unrecorded(scheduler_attrs(header))


def recorded_events(header: Header) -> set[str]:
    """Return the names of the scheduler's events that the recording would have if they happened."""
    return {name for name, attr in scheduler_attrs(header).items() if attr.is_recorded}


def scheduler_attrs(header: Header) -> dict[str, Attr]:
    """Return the recorded events of the scheduler by name; none if the file holds no tracepoint formats."""
    formats = header.formats or {}
    tracepoints = [
        (formats[attr.config], attr) for attr in header.attrs if attr.is_tracepoint and attr.config in formats
    ]
    tracepoints.sort(key=lambda tracepoint: _keeps_every_event(tracepoint[1]))  # of several, one that does
    return {tracepoint.name: attr for tracepoint, attr in tracepoints if tracepoint.system == "sched"}


def _keeps_every_event(attr: Attr) -> bool:
    return attr.is_recorded and not attr.is_sampled


def _scope(header: Header, stats: RecordingStats, attrs: dict[str, Attr]) -> tuple[str, str]:
    """Return the scope and its evidence."""
    if why := _why_some_tasks(header, stats, attrs):
        return SOME_TASKS, why
    if option := _option_of(header, _LEAVES_EVENTS_OUT):
        return UNKNOWN, f"perf had the option {option}"
    cpus, opened_on = header.nrcpus, _ids_per_event(header)
    if not attrs or not cpus or not opened_on:
        return UNKNOWN, "the file does not say how its events were opened"
    if opened_on < cpus:
        return SOME_CPUS, f"its events were opened on {opened_on} of {cpus} CPUs"
    if why := _why_all_tasks(header, stats):
        return SYSTEM_WIDE, f"{why}, on {cpus} of {cpus} CPUs"
    return UNKNOWN, "nothing tells whether the switches of all tasks were recorded"


def _why_some_tasks(header: Header, stats: RecordingStats, attrs: dict[str, Attr]) -> str:
    threads, opened_on = header.targets - {ANY_THREAD}, _ids_per_event(header)
    if threads:
        return f"its events were opened on {counted(len(threads), 'thread')}, not on CPUs"
    if any(attr.starts_at_exec for attr in attrs.values()):
        return "its events were opened on one command, not on CPUs"
    if header.nrcpus and opened_on > header.nrcpus and not header.targets:
        return f"each event was opened {opened_on} times on {counted(header.nrcpus, 'CPU')}"
    return _why_by_chain(header, stats) if stats.chain_breaks else ""


def _why_by_chain(header: Header, stats: RecordingStats) -> str:
    """Judge by the breaks in the chain of switches, and by the options that explain them."""
    unended, breaks, option = stats.unended, stats.chain_breaks, _limiting_option(header)
    if option == "--filter" and not filters(header.cmdline, "sched:sched_switch"):
        option = _option_of(header, _LEAVES_TASKS_OUT)
    if option in _LEAVES_EVENTS_OUT and not stats.lost_events:
        return f"perf had the option {option}, and the chain of switches breaks {counted(breaks, 'time')}"
    if not (header.attrs or header.cmdline) and breaks < _MIN_BREAKS * stats.counts.get("sched:sched_switch", 0):
        return ""
    explained = unended.stays + (0 if unended.idle_left else unended.idle)
    is_for_some = header.cmdline and not _is_for_all(header) and not stats.lost_events
    enough = (_MIN_SHARE_OF_SOME if is_for_some else _MIN_SHARE) * breaks
    if explained >= enough and (option or (not _is_for_all(header) and unended.most >= _MIN_STAYS)):
        return (
            f"{explained:,} of {breaks:,} breaks in the chain of switches follow a switch to a task that never leaves"
        )
    return ""


def _why_all_tasks(header: Header, stats: RecordingStats) -> str:
    if ANY_THREAD in header.targets:
        return "its events were opened for whatever runs"
    if stats.unended.idle_left:
        return "the idle task has switches, too"
    return "the command line asks for all tasks" if _is_for_all(header) else ""


def _is_for_all(header: Header) -> bool:
    """Whether the events were opened for all tasks, as perf's list of threads or its command line say."""
    if header.targets:
        return header.targets == {ANY_THREAD}
    names = options(header.cmdline)
    asked = is_sched_record(header.cmdline) or bool({"-a", "--all-cpus"} & {*names})
    return asked and not {*_LEAVES_TASKS_OUT} & {*names}


def _ids_per_event(header: Header) -> int:
    """Return how many times each event of the scheduler was opened: once for each CPU, or each CPU and thread.

    perf opens other events on other CPUs: from 6.7 on its own event for records of the machine on all, even with -C.
    """
    known = {number for number, tracepoint in (header.formats or {}).items() if tracepoint.system == "sched"}
    counted_by_attr = Counter(header.ids.values())
    return max(
        (
            counted_by_attr[index]
            for index, attr in enumerate(header.attrs)
            if attr.is_tracepoint and (attr.config in known or header.formats is None)
        ),
        default=0,
    )


def _unrecorded(attrs: dict[str, Attr]) -> Iterator[str]:
    recorded = {name for name, attr in attrs.items() if attr.is_recorded}
    if attrs and "sched_switch" not in recorded:
        yield "switches"
    if attrs and not {"sched_waking", "sched_wakeup"} & recorded:
        yield "wakeups"


def _leaves_places_out(attrs: dict[str, Attr], stats: RecordingStats) -> bool:
    """Whether tasks are woken and placed on a CPU afterwards (sched_waking), while no event says on which."""
    recorded = {name for name, attr in attrs.items() if attr.is_recorded}
    tells = {"sched_wakeup", "sched_migrate_task"} & recorded
    return "sched_waking" in recorded and not tells and len(stats.cpus) > 1


def _scope_warnings(coverage: Coverage, header: Header, stats: RecordingStats, attrs: dict[str, Attr]) -> Iterator[str]:
    if coverage.scope == SOME_TASKS:
        yield _some_tasks(coverage, header, stats, attrs)
        return
    if option := _limiting_option(header):
        yield f"recorded with {option}: what it leaves out is not in the file"
    unended = stats.unended.idle + stats.unended.stays
    if not coverage.sampled and unended and unended >= _MIN_SHARE * stats.chain_breaks:
        yield (
            f"{unended:,} of {stats.chain_breaks:,} breaks in the chain of switches follow a switch to the idle task or"
            " another whose switches away are not recorded; its time counts for the task after it"
        )
    if coverage.scope == SOME_CPUS:
        cpus = ", ".join(map(str, stats.cpus))
        yield (
            f"recorded on {len(stats.cpus)} of {header.nrcpus} CPUs: all that ran on CPU {cpus}; "
            "a task that another CPU woke is known to be runnable only from its pick on"
        )


def _some_tasks(coverage: Coverage, header: Header, stats: RecordingStats, attrs: dict[str, Attr]) -> str:
    option, tasks = _limiting_option(header), counted(stats.unended.left, "task")
    how = f"with {option}" if option else "without -a" if header.cmdline else "without -a, or with a filter"
    alone = "" if all(attr.follows_children for attr in attrs.values()) else " (without those that they start)"
    return (
        f"recorded {how}: only the switches of {tasks}{alone} are in the file, "
        f"because {coverage.evidence}; {HOW_TO_RECORD} or `perf record -a`"
    )


def _event_warnings(coverage: Coverage, attrs: dict[str, Attr]) -> Iterator[str]:
    if sampled := [name for name, attr in attrs.items() if attr.is_sampled]:
        yield f"perf kept only a sample of {', '.join(sampled)} (-F or -c): {HOW_TO_RECORD}, which keeps every event"
    if excluded := [name for name, attr in attrs.items() if attr.excludes_kernel]:
        yield f"{', '.join(excluded)} was recorded in user space only (:u), where it never happens"
    if silent := [name for name, attr in attrs.items() if not (attr.is_recorded or attr.excludes_kernel)]:
        yield f"{', '.join(silent)} was recorded only with the leader of its group (:S), without events of its own"
    if any(attr.overwrites for attr in attrs.values()):
        yield "recorded with --overwrite: on each CPU the events begin where its buffer was overwritten last"
    if "switches" in coverage.unrecorded:
        yield f"no sched_switch was recorded: there are no switches and no slices, only other events; {HOW_TO_RECORD}"
    elif "wakeups" in coverage.unrecorded:
        yield f"no wakeups were recorded: the runnable tasks and delays are not known; {HOW_TO_RECORD}"
    elif coverage.unplaced:
        yield UNPLACED


def _limiting_option(header: Header) -> str:
    """Return the first option of perf that leaves tasks or events out; empty where there is none."""
    return _option_of(header, _LEAVES_EVENTS_OUT + (() if header.targets == {ANY_THREAD} else _LEAVES_TASKS_OUT))


def _option_of(header: Header, limiting: tuple[str, ...]) -> str:
    return next((name for name in options(header.cmdline) if name in limiting), "")
