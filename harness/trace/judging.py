"""From what was counted while a recording was read to its TraceQuality."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import TraceError
from harness.trace.decode import Block, Decoder
from harness.trace.header import Header
from harness.trace.quality import Losses, TraceQuality
from harness.trace.recording import Recording
from harness.trace.span import Chain, Times
from harness.trace.states import StateNames, may_be_shifted


@dataclass(frozen=True)
class Counted:
    """The counts of a whole recording."""

    times: Times
    losses: Losses
    chain: Chain


def open_decoder(recording: Recording) -> Decoder:
    """A decoder for the samples of a recording. TraceError where they carry no times."""
    decoder = Decoder(recording.header)
    if not any(place.time for place in decoder.places):
        raise TraceError("the recording has no timestamps", hint="record with `perf sched record`, which adds them")
    return decoder


def judge(
    recording: Recording, decoder: Decoder, counted: Counted, states: StateNames | None, shifted: bool
) -> TraceQuality:
    """The quality of a recording that was read to its end."""
    header = recording.header
    return TraceQuality(
        samples=counted.times.samples,
        lost_events=counted.losses.events,
        chain_breaks=counted.chain.breaks,
        inversions=counted.times.inversions,
        truncated=recording.missing_bytes > 0 or any(part.left or part.unread for part in recording.parts),
        killed=header.killed,
        span_ns=counted.times.span_ns,
        clock=header.attrs[0].clock,
        cpus=tuple(sorted(counted.chain.cpus)),
        decode_errors=decoder.bad,
        counts=dict(decoder.counts),
        warnings=tuple(_warnings(recording, decoder, states, shifted)),
    )


def demand_whole(recording: Recording, quality: TraceQuality) -> None:
    """TraceError where something of the recording is missing or cannot be read."""
    if quality.truncated or quality.killed or quality.decode_errors:
        raise TraceError(
            "the recording is not whole: " + "; ".join(quality.warnings),
            where=str(recording.path),
            hint="record again, or read it without strict to keep what is left",
        )


def state_names(header: Header) -> StateNames | None:
    """How prev_state is printed; None where the recording has no format of sched_switch."""
    formats = header.tracing.formats.values() if header.tracing else ()
    switch = next((form for form in formats if (form.system, form.name) == ("sched", "sched_switch")), None)
    return StateNames(switch) if switch else None


def is_shifted(header: Header, switches: Block, states: StateNames | None) -> bool:
    """Whether states are shifted: the idle task, which never sleeps, is seen to sleep; else the kernel's version."""
    if not states or not switches or not may_be_shifted(header.os_release):
        return False
    idle = switches["prev_state"][switches["prev_tid"] == 0]
    if len(idle):
        return states.letters(int(idle[0])) != "R"
    return True


def _warnings(recording: Recording, decoder: Decoder, states: StateNames | None, shifted: bool) -> list[str]:
    header = recording.header
    notes = list(header.problems)
    if header.killed:
        notes.append("the recorder was killed: the end of the header and what was still in its buffers are missing")
    if recording.missing_bytes:
        notes.append(f"the file is cut: {recording.missing_bytes} bytes of its data are missing")
    for part in recording.parts:
        if part.left or part.unread:
            notes.append(f"{part.path.name}: {part.unread}: the last {part.left} bytes of data are not read")
    if header.tracing is None:
        notes.append("the file holds no tracepoint formats, so no event can be decoded; give `formats_from`")
    if decoder.bad:
        notes.append(f"{decoder.bad} samples cannot be decoded")
    if states and states.failure:
        notes.append(f"prev_state is given in hexadecimal: {states.failure}")
    if shifted:
        notes.append(
            f"kernel {header.os_release} reports prev_state one bit too high (R as S, S as D); "
            "switches keep it as recorded, slices set it right"
        )
    return notes
