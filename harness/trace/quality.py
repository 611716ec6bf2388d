"""Assesses whether a recording is whole and sound, so that its tables can be trusted."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from harness.counted import counted
from harness.errors import TraceError
from harness.trace.scope import HOW_TO_RECORD, SOME_CPUS, SOME_TASKS, UNKNOWN, Coverage, find_coverage
from harness.trace.sleeps import Sleeps, count_sleeps
from harness.trace.tracepoint.state_reading import StateReading

if TYPE_CHECKING:
    from pathlib import Path

    from harness.trace.decode.results import RecordingStats
    from harness.trace.perf_data.recording import Recording
    from harness.trace.tracepoint.task_state import StateNames


_MAX_OUTSIDE_NS = 10**9  # perf states the first and the last time to the nanosecond
_MAX_GAP_NS = 86_400 * 10**9  # a machine on which no task was switched or woken for a day was not recorded


@dataclass(frozen=True)
class TraceQuality:
    """Everything that is known about the soundness of a recording.

    `samples`: samples in the file, or events in the text. `lost_events`: the larger of the sums of LOST and
    LOST_SAMPLES records, which count the same losses; or what the text says. `chain_breaks`: switches whose `next_tid`
    is not the `prev_tid` of the next switch on that CPU. `inversions`: samples earlier than the sample before them in
    the file (normal with several CPUs). `truncated`: the data ends earlier than the header states, or within a record,
    or a part of it is missing. `unread_bytes`: how many bytes of records are missing or were not read, as far as that
    is known; where records are compressed, of these. `killed`: perf was killed before it could finish the header.
    `span_ns`: time of the last sample minus time of the first. `clock`: `perf`, or the clock chosen with -k; `unknown`
    for a text. `cpus`: the CPUs that have samples. `decode_errors`: samples that could not be decoded. `counts`:
    samples by event.
    `scope`: `system-wide`; `some CPUs`, but all tasks on them; `some tasks`; `unknown`. `scope_evidence`: what tells.
    `doubled`: samples of events that perf was asked for more than once; each event is read once, and counted once.
    `sampled`: perf was told to leave events out. `empty`: no event of the scheduler could be decoded.
    `lost_chunks`: gaps that the text of a recording counts, each of one lost event or more.
    `unrecorded`: `switches` or `wakeups`, which no event records. `run_times`: whether the switches tell how long tasks
    and CPUs ran. `run_queues`: whether the events tell which tasks could have been picked, and how long they waited.
    `unknown_records`: those of types that neither the kernel nor perf has, such as simpleperf's; they hold no samples.
    `states`: how prev_state is read, and why.
    `lacks_wakeups`: so many tasks that slept ran again without a wakeup that wakeups must be missing.
    `stray_times`: samples have times that cannot be right.
    """

    samples: int
    lost_events: int
    chain_breaks: int
    inversions: int
    truncated: bool
    killed: bool
    span_ns: int
    clock: str
    cpus: tuple[int, ...]
    decode_errors: int
    counts: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    unread_bytes: int = 0
    scope: str = UNKNOWN
    scope_evidence: str = ""
    doubled: int = 0
    sampled: bool = False
    empty: bool = False
    unrecorded: tuple[str, ...] = ()
    run_times: bool = True
    run_queues: bool = True
    unknown_records: int = 0
    states: StateReading = field(default_factory=StateReading)
    lost_chunks: int = 0
    lacks_wakeups: bool = False
    stray_times: bool = False

    @property
    def whole(self) -> bool:
        """Whether nothing is known to be missing."""
        damaged = (
            self.lost_events
            or self.chain_breaks
            or self.truncated
            or self.killed
            or self.decode_errors
            or self.unread_bytes
            or self.lost_chunks
            or self.lacks_wakeups
            or self.stray_times
        )
        return self.run_times and not (damaged or self.empty)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain types, for JSON."""
        return asdict(self) | {"whole": self.whole}


def assess(
    recording: Recording, stats: RecordingStats, names: StateNames | None, reading: StateReading
) -> TraceQuality:
    """Assess a recording that was read to its end.

    `names` must have named every state that occurs, as a print format that cannot be followed is noticed only then.
    """
    header = recording.header
    coverage = find_coverage(header, stats)
    sleeps, stray_times = count_sleeps(stats.absences, names, reading.shifted), _stray_times(recording, stats)
    unsure = "" if stats.lost_events else unsure_queues(coverage, sleeps)  # lost events are counted and said
    empty = not any(name.startswith("sched:") for name in stats.counts)
    return TraceQuality(
        samples=stats.samples,
        lost_events=stats.lost_events,
        chain_breaks=stats.chain_breaks,
        inversions=stats.inversions,
        truncated=bool(recording.missing_bytes or recording.losses)
        or any(not part.is_whole for part in recording.parts),
        killed=header.killed,
        span_ns=stats.span_ns,
        clock=header.attrs[0].clock,
        cpus=stats.cpus,
        decode_errors=stats.bad,
        counts=dict(sorted(stats.counts.items())),
        warnings=tuple(
            folded(
                [
                    *_warnings(recording, stats, names, reading),
                    *([stray_times] if stray_times else []),
                    *(() if empty else coverage.warnings),
                    *([unsure] if unsure else []),
                ]
            )
        ),
        unread_bytes=recording.unread_bytes,
        scope=coverage.scope,
        scope_evidence=coverage.evidence,
        doubled=stats.repeats,
        sampled=coverage.sampled,
        empty=empty,
        unrecorded=coverage.unrecorded,
        run_times=coverage.run_times,
        run_queues=coverage.run_queues and not unsure,
        lacks_wakeups=bool(unsure) and coverage.scope != SOME_CPUS,
        stray_times=bool(stray_times),
        unknown_records=stats.unknown_records,
        states=reading,
    )


def unsure_queues(coverage: Coverage, sleeps: Sleeps) -> str:
    """Say why what the tasks did shows that it is not known who could run; empty where it does not."""
    is_some_cpus = coverage.scope == SOME_CPUS
    lacks = sleeps.lack_other_cpus if is_some_cpus else sleeps.lack_wakeups
    if not coverage.run_times or "wakeups" in coverage.unrecorded or not lacks:
        return ""
    waits = f", and {counted(sleeps.forgotten, 'task')} wait to the end" if is_some_cpus and sleeps.forgotten else ""
    why = ", because other CPUs wake and take tasks, too" if is_some_cpus else ""
    return (
        f"{sleeps.unwoken:,} of {sleeps.ended:,} times that a task slept it ran again without a recorded wakeup"
        f"{waits}{why}: the runnable tasks and delays are not known"
    )


def _stray_times(recording: Recording, stats: RecordingStats) -> str:
    """Say that samples have times that cannot be right; empty if none has."""
    first_ns, last_ns = recording.header.sample_time_ns or (0, 0)
    if 0 < first_ns < last_ns:
        outside = max(first_ns - stats.first_ns, stats.last_ns - last_ns)
        if stats.samples and outside > _MAX_OUTSIDE_NS:
            return f"times are damaged: samples lie {outside / 1e9:.0f} s outside the span that the header states"
    elif stats.gap_ns > _MAX_GAP_NS:
        return f"times are damaged: for {stats.gap_ns / 1e9:.0f} s there is no event"
    return ""


def damage(quality: TraceQuality) -> str:
    """Describe what is missing or unsound; empty for a whole recording."""
    problems = {
        f"{counted(quality.lost_events, 'event')} lost": quality.lost_events,
        f"{counted(quality.lost_chunks, 'gap')} where events were lost": quality.lost_chunks,
        "no scheduler events": quality.empty,
        "no switches recorded": "switches" in quality.unrecorded,
        "only a sample of the events recorded": quality.sampled,
        "only the switches of some tasks recorded": quality.scope == SOME_TASKS,
        f"{counted(quality.chain_breaks, 'break')} in the chain of switches": quality.chain_breaks,
        f"{counted(quality.decode_errors, 'sample')} cannot be decoded": quality.decode_errors,
        "wakeups missing": quality.lacks_wakeups,
        "times damaged": quality.stray_times,
        "cut": quality.truncated,
        f"{counted(quality.unread_bytes, 'byte')} not read": quality.unread_bytes,
        "the recorder was killed": quality.killed,
    }
    return ", ".join(text for text, present in problems.items() if present)


def folded(warnings: list[str]) -> list[str]:
    """Put one in the place of all that differ only in their numbers, with how many there are."""
    alike: dict[str, list[str]] = {}
    for warning in warnings:
        alike.setdefault(re.sub(r"\d+", "0", warning), []).append(warning)
    return [first + (f" (and {len(others):,} more like this)" if others else "") for first, *others in alike.values()]


def require_events(path: Path, quality: TraceQuality) -> None:
    """Raise TraceError if there is nothing to make tables or numbers of."""
    if not quality.empty:
        return
    found = ", ".join(f"{count:,} {name}" for name, count in quality.counts.items())
    found = found or counted(quality.samples, "sample")
    lacks_formats = any("no tracepoint formats" in warning for warning in quality.warnings)
    raise TraceError(
        f"no scheduler events in this recording: {'; '.join(quality.warnings) or f'it holds {found}'}",
        where=str(path),
        expected="sched:sched_switch and other events of the scheduler",
        hint="name a whole recording of the same kernel with --formats-from" if lacks_formats else HOW_TO_RECORD,
    )


def require_switches(path: Path, quality: TraceQuality) -> None:
    """Raise TraceError if there is nothing to draw."""
    require_events(path, quality)
    if not quality.counts.get("sched:sched_switch"):
        raise TraceError("no sched_switch in this recording", where=str(path), hint=HOW_TO_RECORD)


def require_complete(path: Path, quality: TraceQuality) -> None:
    """Raise TraceError if a part of the recording is missing or cannot be read."""
    if not quality.whole:
        raise TraceError(
            f"the recording is not whole: {'; '.join([damage(quality), *quality.warnings])}",
            where=str(path),
            hint="record again, or read it without strict to keep what is left",
        )


def _warnings(
    recording: Recording, stats: RecordingStats, names: StateNames | None, reading: StateReading
) -> list[str]:
    header = recording.header
    notes = [*header.problems, *recording.losses]
    if header.killed:
        notes.append("the recorder was killed: the end of the header and what was still in its buffers are missing")
    if recording.missing_bytes:
        notes.append(f"the file is cut: {recording.missing_bytes} bytes of its data are missing")
    for part in recording.parts:
        if not part.is_whole:
            unread = f": the last {part.unread_bytes} bytes of data are not read" if part.unread_bytes else ""
            notes.append(f"{part.name}: {part.unread_reason}{unread}")
    if header.formats is None and stats.samples and any(attr.is_tracepoint for attr in header.attrs):
        notes.append(
            "the file holds no tracepoint formats, so no event can be decoded: "
            "take those of a whole recording with `formats_from` (--formats-from)"
        )
    if stats.bad:
        notes.append(f"{counted(stats.bad, 'sample')} cannot be decoded")
    if names and names.failure:
        notes.append(f"prev_state is given in hexadecimal: {names.failure}")
    if about_states := reading.warning(header.os_release):
        notes.append(about_states)
    return notes
