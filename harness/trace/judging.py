"""From what was counted while a recording was read to its TraceQuality."""

from __future__ import annotations

from collections.abc import Callable

from harness.errors import TraceError
from harness.trace.decode.decoder import Block, Seen
from harness.trace.perf_data.header import Header
from harness.trace.perf_data.recording import Recording
from harness.trace.quality import TraceQuality
from harness.trace.tracepoint.task_state import StateNames, may_be_shifted


def judge(recording: Recording, seen: Seen, states: StateNames | None, shifted: bool) -> TraceQuality:
    """The quality of a recording that was read to its end; the letters of all its states have been asked for."""
    header = recording.header
    return TraceQuality(
        samples=seen.samples,
        lost_events=seen.lost_events,
        chain_breaks=seen.chain_breaks,
        inversions=seen.inversions,
        truncated=recording.missing_bytes > 0 or any(part.left or part.unread for part in recording.parts),
        killed=header.killed,
        span_ns=seen.span_ns,
        clock=header.attrs[0].clock,
        cpus=seen.cpus,
        decode_errors=seen.bad,
        counts=dict(sorted(seen.counts.items())),
        warnings=tuple(_warnings(recording, seen.bad, states, shifted)),
    )


def require_complete(recording: Recording, quality: TraceQuality) -> None:
    """TraceError where something of the recording is missing or cannot be read."""
    if quality.truncated or quality.killed or quality.decode_errors:
        raise TraceError(
            "the recording is not whole: " + "; ".join(quality.warnings),
            where=str(recording.path),
            hint="record again, or read it without strict to keep what is left",
        )


def state_names(header: Header) -> StateNames | None:
    """How prev_state is printed; None where the recording has no format of sched_switch."""
    formats = (header.formats or {}).values()
    switch = next((form for form in formats if (form.system, form.name) == ("sched", "sched_switch")), None)
    return StateNames(switch) if switch else None


def is_shifted(header: Header, ask: Callable[[], Block], values: list[int], states: StateNames | None) -> bool:
    """Whether states are shifted: the idle task, which never sleeps, is seen to sleep; else the kernel's version.

    `ask` gives a block of switches, in which states stand as places in `values`.
    """
    if not states or not may_be_shifted(header.os_release):
        return False
    switches = ask()
    if not switches:
        return False
    idle = switches["prev_state"][switches["prev_tid"] == 0]
    if len(idle):
        return states.letters(values[int(idle[0])]) != "R"
    return True


def _warnings(recording: Recording, bad: int, states: StateNames | None, shifted: bool) -> list[str]:
    header = recording.header
    notes = list(header.problems)
    if header.killed:
        notes.append("the recorder was killed: the end of the header and what was still in its buffers are missing")
    if recording.missing_bytes:
        notes.append(f"the file is cut: {recording.missing_bytes} bytes of its data are missing")
    for part in recording.parts:
        if part.left or part.unread:
            notes.append(f"{part.path.name}: {part.unread}: the last {part.left} bytes of data are not read")
    if header.formats is None:
        notes.append("the file holds no tracepoint formats, so no event can be decoded; give `formats_from`")
    if bad:
        notes.append(f"{bad} samples cannot be decoded")
    if states and states.failure:
        notes.append(f"prev_state is given in hexadecimal: {states.failure}")
    if shifted:
        notes.append(
            f"kernel {header.os_release} reports prev_state one bit too high (R as S, S as D); "
            "switches keep it as recorded, slices set it right"
        )
    return notes
