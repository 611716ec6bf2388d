"""Reads a recording of `perf sched record` straight from its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from harness.trace.decode import Block
from harness.trace.judging import Counted, demand_whole, is_shifted, judge, open_decoder, state_names
from harness.trace.quality import Losses, TraceQuality
from harness.trace.recording import Recording, located, open_recording
from harness.trace.span import Chain, Times
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
    if strict:
        demand_whole(recording, trace.quality)
    return trace


def _read(recording: Recording) -> Trace:
    decoder, chain = open_decoder(recording), Chain()
    times, losses = Times(), Losses(decoder.order)
    gathered: dict[str, list[Block]] = {}
    for part in recording.parts:
        for buffer, found in part.buffers(decoder.hints):
            for record in found.others:
                losses.add(buffer, record)
            heads = decoder.heads(buffer, found.samples)
            times.add(decoder.times(heads))
            for table, more in decoder.decode(buffer, found.samples, heads).items():
                gathered.setdefault(table, []).extend(more)
        times.next_part()
    blocks = {table: join(gathered.pop(table, [])) for table in EVENT_TABLES}
    for table, block in blocks.items():
        chain.add(table, block)
    states = state_names(recording.header)
    shifted = is_shifted(recording.header, blocks["switches"], states)
    names = list(decoder.names.codes)
    tables = {table: to_table(table, block, names, states) for table, block in blocks.items()}
    quality = judge(recording, decoder, Counted(times, losses, chain), states, shifted)
    return Trace(path=recording.path, header=info(recording), quality=quality, shifted_states=shifted, **tables)


def info(recording: Recording) -> Info:
    """What the header of a recording says about the machine."""
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
