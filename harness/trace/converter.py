"""Converts a recording to Parquet files, in memory that does not grow with the recording."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.trace.decode.native_decoder import MOST_NAMES, NativeDecoder
from harness.trace.decode.read_ahead import read_ahead
from harness.trace.decode.results import Block
from harness.trace.decode.row_release import RELEASE_ROWS, earliest_times, in_time_order
from harness.trace.identity import identify
from harness.trace.perf_data.recording import Recording, open_recording, path_in_errors
from harness.trace.perf_data.records import CHUNK_BYTES
from harness.trace.quality import TraceQuality, assess, require_complete, require_events
from harness.trace.reader import RecordingInfo, recording_info
from harness.trace.recording_file import recording_facts, remove_former, write_recording_file
from harness.trace.runqueue.slicer import BATCH_TASKS, Slicer, without_queues
from harness.trace.scope import records_wakeups
from harness.trace.tables.background import Background
from harness.trace.tables.cpu_usage import TaskUsage, UsageCounter
from harness.trace.tables.schemas import EVENT_TABLES, SCHEMAS, to_table
from harness.trace.tables.writer import LateSliceWriter, TableWriter
from harness.trace.tracepoint.state_reading import check_states, decide
from harness.trace.tracepoint.task_state import StateNames, state_names

ALL_TABLES = (*EVENT_TABLES, "slices")
TRIAL_TABLES = ("switches", "wakeups", "slices", "runtimes")  # what a run folder keeps of a trial


@dataclass(frozen=True)
class Limits:
    """What a recording may have, so that reading it ends.

    `names`: task names and other texts that differ. `waits`: tasks that wait, summed over all events, counted once or
    twice. `held`: events that are followed by earlier ones at one place, for which there is memory.
    """

    names: int = MOST_NAMES
    waits: float = math.inf
    held: float = math.inf


# trial.json has a few lines for each task name, and 32 MiB at most. In 50 s of a busy CPU there are 10 million events.
LEAST_SAMPLE_BYTES = 64
LIMITS_OF_TRIAL = Limits(names=1 << 17, waits=1 << 34, held=1 << 22)


@dataclass(frozen=True)
class ConvertedRecording:
    """The files that `convert` wrote, and how many rows they have, by table name.

    `facts` is the content of `recording.json`, without the hashes of the tables. `usage` is the CPU use by comm,
    without the idle tasks; `idle_share` is the share of the idle tasks. There are no slices, no usage and no idle share
    (None) of a recording whose switches do not tell the run times.
    """

    paths: dict[str, Path]
    quality: TraceQuality
    header: RecordingInfo
    facts: Mapping[str, Any]
    usage: dict[str, TaskUsage]
    idle_share: float | None
    rows: dict[str, int] = field(default_factory=dict)


def convert(
    path: Path | str,
    out_dir: Path | str,
    *,
    tables: tuple[str, ...] = ALL_TABLES,
    strict: bool = False,
    formats_from: Path | str | None = None,
    states: str | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    about: Mapping[str, str] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    release_rows: int = RELEASE_ROWS,
    limits: Limits = Limits(),
) -> ConvertedRecording:
    """Write `tables` of a recording as `<table>.parquet` into `out_dir`, and `recording.json` (`recording_file`) last.

    Each file appears whole or not at all.

    `about` is added to the metadata of every table: facts that the recording itself does not hold, such as the clock of
    the machine. Treats damage and `states` as `read` does. Calls `on_progress` with the samples decoded so far and the
    samples in all. Raises TraceError if the recording cannot be read or is beyond `limits`, HostError if a table
    cannot be written.
    """
    check_states(states)
    recording = open_recording(Path(path), Path(formats_from) if formats_from is not None else None)
    with path_in_errors(Path(path)):
        decoder = NativeDecoder(recording.header, len(recording.parts), most_names=limits.names)
        return _convert(
            recording,
            decoder,
            Path(out_dir),
            tables,
            about or {},
            strict,
            states,
            on_progress,
            chunk_bytes,
            release_rows,
            limits,
        )


def ingest(
    perf_data: Path | str, out_dir: Path | str, about: Mapping[str, str] | None = None, buffer_bytes: int = 0
) -> ConvertedRecording:
    """Write the tables of a trial as `convert` does; its guest may send anything, so it has limits.

    `buffer_bytes`: of perf's buffers of all CPUs; what they hold at a time may be out of order.
    """
    held = LIMITS_OF_TRIAL.held + buffer_bytes // LEAST_SAMPLE_BYTES
    return convert(perf_data, out_dir, tables=TRIAL_TABLES, about=about, limits=replace(LIMITS_OF_TRIAL, held=held))


def _convert(
    recording: Recording,
    decoder: NativeDecoder,
    folder: Path,
    tables: tuple[str, ...],
    about: Mapping[str, str],
    strict: bool,
    states: str | None,
    on_progress: Callable[[int, int], None] | None,
    chunk_bytes: int,
    release_rows: int,
    limits: Limits,
) -> ConvertedRecording:
    header, parts, usage = recording.header, len(recording.parts), UsageCounter()
    counter = NativeDecoder(header, parts, counts_only=True)
    earliest = earliest_times(recording, counter, chunk_bytes)
    counted, state_letters = counter.stats(), state_names(header.formats)
    reading = decide(state_letters, header.os_release, states, read_ahead(recording, earliest, chunk_bytes))
    with contextlib.ExitStack() as stack:
        identity = stack.enter_context(identify(recording.path, recording))
        events = [name for name in tables if name != "slices"]
        writers = {name: stack.enter_context(TableWriter(folder, name, about=about)) for name in events}
        slices = None
        if "slices" in tables:
            late_writer = stack.enter_context(LateSliceWriter(folder, about))
            slices = SliceOutput(reading.shifted, late_writer, usage, limits.waits)
            slices.has_queues = records_wakeups(header)
        background = stack.enter_context(Background())  # after the writers, so that it ends before them
        for blocks in in_time_order(recording, decoder, earliest, chunk_bytes, release_rows, limits.held):
            event_tables = _event_tables(blocks, decoder, state_letters)
            for name, writer in writers.items():
                writer.add(event_tables[name])
            if slices:
                background.run(slices.add, event_tables)
            if on_progress:
                done = decoder.stats()
                on_progress(sum(done.counts.values()) + done.repeats, counted.samples)
        if slices:
            background.run(slices.finish)
        background.wait()
        quality = assess(recording, counted.completed(decoder.stats()), state_letters, reading)
        require_events(recording.path, quality)
        if strict:
            require_complete(recording.path, quality)
        info = recording_info(recording, counted.first_ns)
        facts = recording_facts(identity(), info, quality)
        facts = remove_former(folder, facts, [folder / f"{name}.parquet" for name in tables])
    paths, rows = finish_tables(folder, facts, writers, slices, quality, about)
    used, idle_share = usage.result() if quality.run_times else ({}, None)
    return ConvertedRecording(paths, quality, info, facts, used, idle_share, rows)


def finish_tables(
    folder: Path,
    facts: Mapping[str, Any],
    writers: Mapping[str, TableWriter],
    slices: SliceOutput | None,
    quality: TraceQuality,
    about: Mapping[str, str],
) -> tuple[dict[str, Path], dict[str, int]]:
    """Take away what the recording does not tell of the slices, and write `recording.json` with `facts`.

    All writers have ended. Returns the file of each table that stays, and how many rows it has.
    """
    if slices and not quality.run_times:
        slices.writer.path.unlink()
    elif slices and not quality.run_queues:
        slices.take_queues_away(folder, about)
    kept = [slices.writer] if slices and quality.run_times else []
    outputs: list[TableWriter | LateSliceWriter] = [*writers.values(), *kept]
    write_recording_file(folder, facts, [output.path for output in outputs])
    return {output.name: output.path for output in outputs}, {output.name: output.rows for output in outputs}


def _event_tables(
    blocks: dict[str, Block], decoder: NativeDecoder, state_letters: StateNames | None
) -> dict[str, pa.Table]:
    names = decoder.names()
    letters = [state_letters.letters(value) for value in decoder.states()] if state_letters else []
    return {name: to_table(name, blocks.get(name, {}), names, letters) for name in EVENT_TABLES}


class SliceOutput:
    """Cuts events into slices, which it writes and counts."""

    def __init__(
        self, shifted: bool, writer: LateSliceWriter, usage: UsageCounter, most_waits: float = math.inf
    ) -> None:
        self.slicer = Slicer(shifted, batch_tasks=BATCH_TASKS, most_waits=most_waits)
        self.writer, self.usage = writer, usage
        self.has_queues = True  # whether the recording tells who could run

    def add(self, event_tables: dict[str, pa.Table]) -> None:
        self.slicer.add(event_tables["switches"], event_tables["wakeups"], event_tables["migrations"])
        self._write(self.slicer.ready())

    def finish(self) -> None:
        self._write(self.slicer.finish())

    def take_queues_away(self, folder: Path, about: Mapping[str, str]) -> None:
        """Write the slices again without what the recording turned out not to tell."""
        if not self.has_queues:
            return
        written = pq.ParquetFile(self.writer.path, page_checksum_verification=True)
        with TableWriter(folder, self.writer.name, about=about) as writer:
            for group in range(written.num_row_groups):
                writer.add(without_queues(written.read_row_group(group).cast(SCHEMAS[self.writer.name])))

    def _write(self, batches: Iterator[pa.Table]) -> None:
        for slices in batches:
            self.usage.add(slices)
            self.writer.add(slices if self.has_queues else without_queues(slices), self.slicer.earliest_ns)
