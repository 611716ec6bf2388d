"""Reads a recording of `perf sched record` straight from its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace import quality as soundness
from harness.trace.decode import Block, Decoder
from harness.trace.gather import gather
from harness.trace.header import Header
from harness.trace.quality import Losses, TraceQuality
from harness.trace.recording import Recording, located, open_recording
from harness.trace.states import StateNames, may_be_shifted, true_state
from harness.trace.tables import EVENT_TABLES, join, to_table


@dataclass(frozen=True)
class Info:
    """What perf noted about the machine; None or empty where it did not. `captured_s` is the file's own time."""

    hostname: str | None
    os_release: str | None
    perf_version: str | None
    arch: str | None
    nrcpus: int | None
    cmdline: tuple[str, ...]
    captured_s: float


@dataclass(frozen=True)
class Trace:
    """A recording as tables, each sorted by time (stable), with the columns of `tables.SCHEMAS`.

    `shifted_states`: the kernel reports prev_state one bit too high (4.14 to 4.19); `prev_state` is as recorded.
    """

    path: Path
    header: Info
    quality: TraceQuality
    switches: pa.Table
    wakeups: pa.Table
    runtimes: pa.Table
    migrations: pa.Table
    forks: pa.Table
    execs: pa.Table
    exits: pa.Table
    shifted_states: bool = False


@dataclass
class _Gathered:
    """What passes through the reader: blocks per table, and the counts for the quality record."""

    blocks: dict[str, list[Block]] = field(default_factory=dict)
    samples: int = 0
    inversions: int = 0
    first_ns: int | None = None
    last_ns: int | None = None
    previous_ns: int | None = None


def read(path: Path | str, *, strict: bool = False, formats_from: Path | str | None = None) -> Trace:
    """Read a recording into tables: a file, what came out of a pipe, or a folder made with `--threads`.

    A damaged or unfinished file gives what can be recovered, and `quality` says what is missing; with `strict` it
    raises TraceError instead. `formats_from` names a whole recording of the same boot or kernel, from which the
    tracepoint formats are taken where this file has none (a killed recorder writes them last).
    Raises TraceError where the file is no recording or nothing can be made of it.
    """
    path = Path(path)
    recording = open_recording(path, Path(formats_from) if formats_from is not None else None)
    with located(path):
        trace = _read(recording)
    if strict and (trace.quality.truncated or trace.quality.killed or trace.quality.decode_errors):
        raise TraceError(
            "the recording is not whole: " + "; ".join(trace.quality.warnings),
            where=str(path),
            hint="record again, or read it without strict to keep what is left",
        )
    return trace


def _read(recording: Recording) -> Trace:
    decoder, gathered = Decoder(recording.header), _Gathered()
    losses = Losses(decoder.order)
    if not any(place.time for place in decoder.places):
        raise TraceError("the recording has no timestamps", hint="record with `perf sched record`, which adds them")
    for part in recording.parts:
        for buffer, found in part.buffers(decoder.hints):
            for record in found.others:
                losses.add(buffer, record)
            _take(gathered, decoder, buffer, found.samples)
    return _finish(recording, decoder, gathered, losses)


def _take(gathered: _Gathered, decoder: Decoder, buffer: np.ndarray, samples: np.ndarray) -> None:
    if not len(samples):
        return
    for table, blocks in decoder.decode(buffer, samples).items():
        gathered.blocks.setdefault(table, []).extend(blocks)
    times = gather(buffer, samples, decoder.order + "i8", decoder.places[0].time or 8).astype(np.int64)
    gathered.samples += len(samples)
    gathered.inversions += soundness.inversions(times)
    if gathered.previous_ns is not None:
        gathered.inversions += int(times[0] < gathered.previous_ns)
    gathered.previous_ns = int(times[-1])
    first, last = int(times.min()), int(times.max())
    gathered.first_ns = first if gathered.first_ns is None else min(first, gathered.first_ns)
    gathered.last_ns = last if gathered.last_ns is None else max(last, gathered.last_ns)


def _finish(recording: Recording, decoder: Decoder, gathered: _Gathered, losses: Losses) -> Trace:
    header = recording.header
    states = _state_names(header)
    names = list(decoder.names.codes)
    blocks = {table: join(gathered.blocks.get(table, [])) for table in EVENT_TABLES}
    shifted = _shifted(header, blocks["switches"], states)
    tables = {table: to_table(table, block, names, states) for table, block in blocks.items()}
    quality = TraceQuality(
        samples=gathered.samples,
        lost_events=losses.events,
        chain_breaks=_breaks(blocks["switches"]),
        inversions=gathered.inversions,
        truncated=recording.missing_bytes > 0 or any(part.left or part.unread for part in recording.parts),
        killed=header.killed,
        span_ns=(gathered.last_ns or 0) - (gathered.first_ns or 0),
        clock=header.attrs[0].clock,
        cpus=_cpus(blocks),
        decode_errors=decoder.bad,
        counts=dict(decoder.counts),
        warnings=tuple(_warnings(recording, decoder, states, shifted)),
    )
    return Trace(path=recording.path, header=_info(recording), quality=quality, shifted_states=shifted, **tables)


def _state_names(header: Header) -> StateNames | None:
    formats = header.tracing.formats.values() if header.tracing else ()
    switch = next((form for form in formats if (form.system, form.name) == ("sched", "sched_switch")), None)
    return StateNames(switch) if switch else None


def _shifted(header: Header, switches: Block, states: StateNames | None) -> bool:
    """Whether states are shifted: the idle task, which never sleeps, is seen to sleep; else the kernel's version."""
    if not states or not switches or not may_be_shifted(header.os_release):
        return False
    idle = switches["prev_state"][switches["prev_tid"] == 0]
    if len(idle):
        return true_state(states.letters(int(idle[0])), False) != "R"
    return True


def _breaks(switches: Block) -> int:
    if not switches:
        return 0
    return soundness.chain_breaks(switches["cpu"], switches["prev_tid"], switches["next_tid"])


def _cpus(blocks: dict[str, Block]) -> tuple[int, ...]:
    seen: set[int] = set()
    for block in blocks.values():
        if block:
            seen.update(np.unique(block["cpu"]).tolist())
    return tuple(sorted(seen))


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


def _info(recording: Recording) -> Info:
    header = recording.header
    return Info(
        header.hostname,
        header.os_release,
        header.perf_version,
        header.arch,
        header.nrcpus,
        tuple(header.cmdline),
        recording.path.stat().st_mtime,
    )
