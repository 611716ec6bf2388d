"""Judges a recording by its text: what the text shows, and what perf says in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.counted import counted
from harness.errors import TraceError
from harness.trace.decode.results import RecordingStats
from harness.trace.perf_data.command_line import options
from harness.trace.perf_data.header import Header
from harness.trace.quality import TraceQuality, unsure_queues
from harness.trace.reader import RecordingInfo
from harness.trace.scope import HOW_TO_RECORD, LEFT_OUT, SOME_CPUS, UNKNOWN, UNPLACED, Coverage, find_coverage
from harness.trace.text.absences import Absences
from harness.trace.text.lines import TextFile
from harness.trace.text.notes import Notes
from harness.trace.text.rows import Rows
from harness.trace.text.wrong_file import FORMS, SCHED_MAP, WITH_NS
from harness.trace.tracepoint.state_reading import StateReading

_SWITCH, _WAKEUPS = "sched:sched_switch", {"sched:sched_waking", "sched:sched_wakeup"}
_WAKING, _PLACES = "sched:sched_waking", {"sched:sched_wakeup", "sched:sched_migrate_task"}
_FREQUENCY = {"-F", "--freq"}


def assess_text(
    kind: str,
    text: TextFile,
    rows: Rows,
    notes: Notes,
    reading: StateReading,
    info: RecordingInfo,
    absences: Absences,
) -> TraceQuality:
    """Judge a text of this kind that was read to its end."""
    about_states = reading.warning(info.os_release)
    has_wakeups = bool(_WAKEUPS & rows.counts.keys())
    coverage = _coverage(rows, notes, info, has_wakeups)
    is_lossy = bool(notes.lost_events or notes.lost_chunks)  # which is counted and said
    unsure = unsure_queues(coverage, absences.sleeps(*rows.ends_ns)) if has_wakeups and not is_lossy else ""
    return TraceQuality(
        samples=rows.samples,
        lost_events=notes.lost_events,
        lost_chunks=notes.lost_chunks,
        chain_breaks=rows.chain_breaks,
        inversions=rows.inversions,
        truncated=bool(text.cut_at),
        killed=notes.killed,
        span_ns=rows.span_ns,
        clock="unknown",
        cpus=tuple(sorted(rows.cpus)),
        decode_errors=notes.not_decoded,
        counts=dict(sorted(rows.counts.items())),
        warnings=(
            *coverage.warnings,
            *((unsure,) if unsure else ()),
            *_warnings(kind, text, rows, has_wakeups),
            *notes.warnings,
            *((about_states,) if about_states else ()),
        ),
        scope=coverage.scope,
        scope_evidence=coverage.evidence,
        sampled=coverage.sampled,
        unrecorded=coverage.unrecorded,
        run_times=coverage.run_times,
        run_queues=coverage.run_queues and not unsure,
        lacks_wakeups=bool(unsure) and coverage.scope != SOME_CPUS,
        states=reading,
    )


def _coverage(rows: Rows, notes: Notes, info: RecordingInfo, has_wakeups: bool) -> Coverage:
    """Judge by what the text holds and the command line: a text does not say how its events were opened."""
    stats = RecordingStats(
        rows.samples,
        rows.inversions,
        first_ns=0,
        last_ns=rows.span_ns,
        lost_events=notes.lost_events or notes.lost_chunks,
        counts=dict(rows.counts),
        chain_breaks=rows.chain_breaks,
        cpus=tuple(sorted(rows.cpus)),
        unended=rows.unended,
    )
    coverage = find_coverage(Header(nrcpus=info.nrcpus, cmdline=list(info.cmdline)), stats)
    coverage = replace(
        coverage,
        sampled=bool(_FREQUENCY & {*options(info.cmdline)}),
        unrecorded=() if has_wakeups else ("wakeups",),
        unplaced=_WAKING in rows.counts and not _PLACES & rows.counts.keys() and len(rows.cpus) > 1,
    )
    if coverage.scope == UNKNOWN and not coverage.filtered:
        missing = _missing_cpus(rows, info)
        evidence = missing or "a text does not say how its events were opened"
        coverage = replace(coverage, scope=SOME_CPUS if missing else UNKNOWN, evidence=evidence)
    return replace(coverage, warnings=(*coverage.warnings, *_coverage_warnings(coverage)))


def _missing_cpus(rows: Rows, info: RecordingInfo) -> str:
    """Say what shows that the events of some CPUs are not in the text; empty if nothing does."""
    if info.nrcpus and len(rows.cpus) < info.nrcpus:
        return f"{len(rows.cpus)} of {info.nrcpus} CPUs have events"
    if rows.named_cpus - rows.cpus:
        return f"tasks wake on {counted(len(rows.named_cpus - rows.cpus), 'CPU')} without events"
    return ""


def _coverage_warnings(coverage: Coverage) -> Iterator[str]:
    if coverage.sampled:
        yield f"perf kept only a sample of the events (-F): {HOW_TO_RECORD}, which keeps every event"
    if coverage.unplaced:
        yield UNPLACED
    if not coverage.run_times:
        yield LEFT_OUT


def _warnings(kind: str, text: TextFile, rows: Rows, has_wakeups: bool) -> Iterator[str]:
    if kind == SCHED_MAP:
        yield (
            "perf sched map has no states, priorities or wakeups, and its times end at the microsecond, so there are "
            "no slices to predict from; `perf script --ns` of the same recording gives all, and so does "
            "`harness trace convert` of the recording itself"
        )
    elif not rows.has_ns:
        yield (
            "its times end at the microsecond; what happened within one is taken in this order: wakeups, migrations, "
            f"switches. `{WITH_NS[kind]}` prints nanoseconds"
        )
    if rows.merges_states:
        yield (
            "a plugin of libtraceevent printed the switches: their R also stands for R+, "
            "and other states than S, D and T may have the letters of old kernels. `trace-cmd report -N` uses no plugin"
        )
    if kind != SCHED_MAP and not has_wakeups:
        yield "this text has no wakeups, so the runnable tasks and delays are not known"
    if rows.inversions:
        yield (
            f"the time goes back {counted(rows.inversions, 'time')}, first in line {rows.inverted_at}: "
            "perf could not sort these events, or the text holds more than one recording; they are sorted here"
        )
    if text.cut_at:
        yield f"the text may be cut: what begins in line {text.cut_at} has no end, so it is left out"


def require_switches(text: TextFile, counts: Mapping[str, int]) -> None:
    """Raise TraceError for a text without switches: there is nothing to make tables of."""
    if counts.get(_SWITCH):
        return
    others = ", ".join(f"{count:,} {event}" for event, count in counts.items())
    cut = f" but line {text.cut_at}, which has no end" if text.cut_at else ""
    raise TraceError(
        f"no switches in this text: it holds {others or f'nothing{cut}'}",
        where=str(text.path),
        expected=FORMS,
        hint="print it with `perf script --ns`, of a recording of `perf sched record`; "
        "for trace-cmd, record the events `-e sched`",
    )
