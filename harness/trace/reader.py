"""Reads a recording of `perf sched record` straight from its bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from harness.errors import TraceError
from harness.trace import quality as soundness
from harness.trace.decode import Block, Decoder
from harness.trace.gather import gather
from harness.trace.header import Header, read_header
from harness.trace.quality import Losses, TraceQuality
from harness.trace.states import StateNames, may_be_shifted, true_state
from harness.trace.stream import Records
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
    cpus: set[int] = field(default_factory=set)


def read(path: Path | str, *, strict: bool = False, formats_from: Path | str | None = None) -> Trace:
    """Read a recording into tables.

    A damaged or unfinished file gives what can be recovered, and `quality` says what is missing; with `strict` it
    raises TraceError instead. `formats_from` names a whole recording of the same boot or kernel, from which the
    tracepoint formats are taken where this file has none (a killed recorder writes them last).
    Raises TraceError where the file is no recording or nothing can be made of it.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            header = read_header(file, size)
            _borrow_formats(header, formats_from)
            trace = _read(path, file, size, header)
    except OSError as error:
        raise TraceError(f"cannot read the recording: {error.strerror}", where=str(path)) from error
    except TraceError as error:
        error.where = f"{path}: {error.where}" if error.where else str(path)
        raise
    if strict and (trace.quality.truncated or trace.quality.killed or trace.quality.decode_errors):
        raise TraceError(
            "the recording is not whole: " + "; ".join(trace.quality.warnings),
            where=str(path),
            hint="record again, or read it without strict to keep what is left",
        )
    return trace


def _borrow_formats(header: Header, formats_from: Path | str | None) -> None:
    if header.tracing is not None or formats_from is None:
        return
    lender = Path(formats_from)
    with lender.open("rb") as file:
        header.tracing = read_header(file, lender.stat().st_size).tracing
    header.problems.append(f"the tracepoint formats are those of {lender.name}")


def _read(path: Path, file: BinaryIO, size: int, header: Header) -> Trace:
    decoder, gathered, losses = Decoder(header), _Gathered(), Losses("<" if header.little else ">")
    if not any(place.time for place in decoder.places):
        raise TraceError("the recording has no timestamps", hint="record with `perf sched record`, which adds them")
    records = _records(file, size, header, decoder)
    for buffer, found in records:
        for record in found.others:
            losses.add(buffer, record)
        _take(gathered, decoder, buffer, found.samples)
    return _finish(path, size, header, decoder, gathered, losses, records)


def _records(file: BinaryIO, size: int, header: Header, decoder: Decoder) -> Records:
    data = header.data
    whole = type(data)(data.offset, max(0, min(data.size, size - data.offset)))
    return Records(file, whole, decoder.order, decoder.known_ids, decoder.id_offset)


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


def _finish(
    path: Path,
    size: int,
    header: Header,
    decoder: Decoder,
    gathered: _Gathered,
    losses: Losses,
    records: Records,
) -> Trace:
    states = _state_names(header)
    names = list(decoder.names.codes)
    blocks = {table: join(gathered.blocks.get(table, [])) for table in EVENT_TABLES}
    shifted = _shifted(header, blocks["switches"], states)
    tables = {table: to_table(table, block, names, states) for table, block in blocks.items()}
    truncated = header.data.end > size or records.ending.left > 0
    quality = TraceQuality(
        samples=gathered.samples,
        lost_events=losses.events,
        chain_breaks=_breaks(blocks["switches"]),
        inversions=gathered.inversions,
        truncated=truncated,
        killed=header.killed,
        span_ns=(gathered.last_ns or 0) - (gathered.first_ns or 0),
        clock=header.attrs[0].clock,
        cpus=_cpus(blocks),
        decode_errors=decoder.bad,
        counts=dict(decoder.counts),
        warnings=tuple(_warnings(size, header, decoder, records, states, shifted)),
    )
    return Trace(path=path, header=_info(path, header), quality=quality, shifted_states=shifted, **tables)


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


def _warnings(
    size: int, header: Header, decoder: Decoder, records: Records, states: StateNames | None, shifted: bool
) -> list[str]:
    notes = list(header.problems)
    if header.killed:
        notes.append("the recorder was killed: the end of the header and what was still in its buffers are missing")
    if header.data.end > size:
        notes.append(f"the file is cut: {header.data.end - size} bytes of its data are missing")
    if records.ending.left:
        why = {"cut": "the last record is cut", "broken": "a record has an impossible size"}
        reason = why.get(records.ending.why, "a record of a kind that cannot be read")
        notes.append(f"{reason}: the last {records.ending.left} bytes of data are not read")
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


def _info(path: Path, header: Header) -> Info:
    return Info(
        header.hostname,
        header.os_release,
        header.perf_version,
        header.arch,
        header.nrcpus,
        tuple(header.cmdline),
        path.stat().st_mtime,
    )
