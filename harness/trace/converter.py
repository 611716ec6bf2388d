"""A recording to Parquet files, in memory that does not grow with it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from harness.trace.decode.decoder import Block
from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.decode.time_order import RELEASE_ROWS, EarliestTimes, earliest_times, in_time_order
from harness.trace.perf_data.recording import Recording, located, open_recording
from harness.trace.perf_data.records import CHUNK_BYTES
from harness.trace.quality import TraceQuality, judge, require_complete
from harness.trace.reader import Info, info
from harness.trace.runqueue.slicer import BATCH_TASKS, Slicer
from harness.trace.tables.cpu_usage import TaskUsage, UsageCounter
from harness.trace.tables.schemas import EVENT_TABLES, to_table
from harness.trace.tables.writer import LateSliceWriter, TableWriter
from harness.trace.tracepoint.task_state import StateNames, is_shifted, may_be_shifted, state_names

ALL_TABLES = (*EVENT_TABLES, "slices")
TRIAL_TABLES = ("switches", "wakeups", "slices", "runtimes")  # what a run folder keeps of a trial


@dataclass(frozen=True)
class ConvertedRecording:
    """What `convert` wrote, by table. `usage` is by comm, without the idle tasks; `idle_share` is theirs."""

    paths: dict[str, Path]
    quality: TraceQuality
    header: Info
    usage: dict[str, TaskUsage]
    idle_share: float
    rows: dict[str, int] = field(default_factory=dict)


def convert(
    path: Path | str,
    out_dir: Path | str,
    *,
    tables: tuple[str, ...] = ALL_TABLES,
    strict: bool = False,
    formats_from: Path | str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
) -> ConvertedRecording:
    """Write `tables` of a recording as `<table>.parquet` into `out_dir` (made if need be), each whole or not at all.

    Damage is handled as by `read`. `on_progress` is told samples decoded and samples in all. Raises TraceError where
    the recording cannot be read, HostError where a table cannot be written.
    """
    recording = open_recording(Path(path), Path(formats_from) if formats_from is not None else None)
    with located(Path(path)):
        return _convert(recording, Path(out_dir), tables, strict, on_progress, chunk_bytes, release_rows)


def ingest(perf_data: Path | str, out_dir: Path | str) -> ConvertedRecording:
    """Write the tables of a trial, as `convert` does; `quality` shows what a damaged recording lacks."""
    return convert(perf_data, out_dir, tables=TRIAL_TABLES)


def _convert(
    recording: Recording,
    folder: Path,
    tables: tuple[str, ...],
    strict: bool,
    on_progress: Callable[[int, int], None] | None,
    chunk_bytes: int,
    release_rows: int,
) -> ConvertedRecording:
    header, parts, usage = recording.header, len(recording.parts), UsageCounter()
    counter, decoder = NativeDecoder(header, parts, counts_only=True), NativeDecoder(header, parts)
    earliest = earliest_times(recording, counter, chunk_bytes)
    counted, states = counter.stats(), state_names(header.formats)
    shifted = _shifted(recording, states, earliest, chunk_bytes)
    with contextlib.ExitStack() as stack:
        sinks = {name: stack.enter_context(TableWriter(folder, name)) for name in tables if name != "slices"}
        slicing = _Slicing(
            Slicer(shifted, batch_tasks=BATCH_TASKS),
            stack.enter_context(LateSliceWriter(folder)) if "slices" in tables else None,
            usage,
        )
        for blocks in in_time_order(recording, decoder, earliest, chunk_bytes, release_rows):
            made = _tables(blocks, decoder, states)
            for name, sink in sinks.items():
                sink.add(made[name])
            slicing.add(made)
            if on_progress:
                on_progress(sum(decoder.stats().counts.values()), counted.samples)
        slicing.finish()
        released = decoder.stats()
        rest = {name: getattr(released, name) for name in ("bad", "counts", "chain_breaks", "cpus")}
        quality = judge(recording, replace(counted, **rest), states, shifted)
        if strict:
            require_complete(recording, quality)
    written: list[TableWriter | LateSliceWriter] = [*sinks.values(), *([slicing.sink] if slicing.sink else [])]
    shares, idle = usage.result()
    paths, rows = {sink.name: sink.path for sink in written}, {sink.name: sink.rows for sink in written}
    return ConvertedRecording(paths, quality, info(recording), shares, idle, rows)


def _tables(blocks: dict[str, Block], decoder: NativeDecoder, states: StateNames | None) -> dict[str, pa.Table]:
    names = decoder.names()
    letters = [states.letters(value) for value in decoder.states()] if states else []
    return {name: to_table(name, blocks.get(name, {}), names, letters) for name in EVENT_TABLES}


@dataclass
class _Slicing:
    """Cuts slices and hands them on, where slices are wanted."""

    slicer: Slicer
    sink: LateSliceWriter | None
    usage: UsageCounter

    def add(self, tables: dict[str, pa.Table]) -> None:
        if self.sink is not None:
            self.slicer.add(tables["switches"], tables["wakeups"], tables["migrations"])
            self._hand_on(self.sink, self.slicer.ready())

    def finish(self) -> None:
        if self.sink is not None:
            self._hand_on(self.sink, self.slicer.finish())

    def _hand_on(self, sink: LateSliceWriter, pieces: Iterator[pa.Table]) -> None:
        for made in pieces:
            self.usage.add(made)
            sink.add(made, self.slicer.earliest_ns)


def _shifted(recording: Recording, states: StateNames | None, earliest: EarliestTimes, chunk_bytes: int) -> bool:
    """Whether states are shifted, as the first switch away from an idle task shows, in kernels that may shift them."""
    if states is None or not may_be_shifted(recording.header.os_release):
        return False
    decoder, has_switches = NativeDecoder(recording.header, len(recording.parts)), False
    for blocks in in_time_order(recording, decoder, earliest, chunk_bytes, 1):
        switches = blocks.get("switches", {})
        has_switches = has_switches or bool(switches)
        if 0 in switches.get("prev_tid", ()):
            return is_shifted(switches, decoder.states(), states)
    return has_switches
