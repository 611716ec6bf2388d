"""Reads a recording of `perf sched record` into tables in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.perf_data.recording import Recording, open_recording, path_in_errors
from harness.trace.quality import TraceQuality, assess, require_complete
from harness.trace.tracepoint.state_reading import check_states, decide
from harness.trace.tracepoint.task_state import state_names

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class RecordingInfo:
    """Facts that perf wrote about the machine and itself; None or empty where it wrote none.

    `cpu`: the model of the CPU. `began_s`: the time of day of the first sample, which perf writes only with `-k`.
    `captured_s`: when the file was last modified. Both are in seconds since 1970.
    """

    hostname: str | None
    os_release: str | None
    perf_version: str | None
    arch: str | None
    cpu: str | None
    nrcpus: int | None
    cmdline: tuple[str, ...]
    began_s: float | None
    captured_s: float


class Trace:
    """A recording as tables with the columns of `schemas.SCHEMAS`; rows are sorted by time, then in the file's order.

    `prev_state` is as recorded, also if the kernel reports it one bit too high (`shifted_states`).
    Each table is made when it is first used, because importing Arrow takes as long as reading a million samples.
    """

    def __init__(
        self,
        path: Path,
        header: RecordingInfo,
        quality: TraceQuality,
        make_table: Callable[[str], pa.Table],
    ) -> None:
        self.path, self.header, self.quality = path, header, quality
        self._make_table = make_table

    @property
    def shifted_states(self) -> bool:
        """Whether prev_state is read as one bit too high."""
        return self.quality.states.shifted

    @cached_property
    def switches(self) -> pa.Table:
        """The events sched:sched_switch."""
        return self._make_table("switches")

    @cached_property
    def wakeups(self) -> pa.Table:
        """The events sched:sched_waking, sched_wakeup and sched_wakeup_new."""
        return self._make_table("wakeups")

    @cached_property
    def runtimes(self) -> pa.Table:
        """The events sched:sched_stat_runtime."""
        return self._make_table("runtimes")

    @cached_property
    def migrations(self) -> pa.Table:
        """The events sched:sched_migrate_task."""
        return self._make_table("migrations")

    @cached_property
    def forks(self) -> pa.Table:
        """The events sched:sched_process_fork."""
        return self._make_table("forks")

    @cached_property
    def execs(self) -> pa.Table:
        """The events sched:sched_process_exec."""
        return self._make_table("execs")

    @cached_property
    def exits(self) -> pa.Table:
        """The events sched:sched_process_exit."""
        return self._make_table("exits")


def read(
    path: Path | str, *, strict: bool = False, formats_from: Path | str | None = None, states: str | None = None
) -> Trace:
    """Read a recording into tables: a file, compressed or not, the output of a pipe, or a folder of `--threads`.

    Reads what can be recovered of a damaged or unfinished file, and lists in `quality` what is missing; with `strict`
    raises TraceError instead. `formats_from` names a whole recording of the same boot or kernel; its tracepoint formats
    are used if this file has none (perf writes them last, so a killed recorder leaves none). `states`: how to read
    prev_state, `shifted` (by one bit) or `unshifted`; without it the events decide. Raises TraceError if the file is no
    recording or cannot be read at all, UsageError for other `states`.
    """
    check_states(states)
    path = Path(path)
    recording = open_recording(path, Path(formats_from) if formats_from is not None else None)
    with path_in_errors(path):
        trace = _read(recording, states)
    if strict:
        require_complete(recording.path, trace.quality)
    return trace


def _read(recording: Recording, states: str | None) -> Trace:
    decoder = NativeDecoder(recording.header, len(recording.parts))
    for number, part in enumerate(recording.parts):
        decoder.enter_part(number)
        for _ in part.feed(decoder):
            pass
    blocks, names, values = decoder.release_all(), decoder.names(), decoder.states()
    state_letters = state_names(recording.header.formats)
    letters = [state_letters.letters(value) for value in values] if state_letters else []
    reading = decide(state_letters, recording.header.os_release, states, [(blocks, values)])

    def make_table(name: str) -> pa.Table:
        from harness.trace.tables.schemas import to_table

        return to_table(name, blocks.get(name, {}), names, letters)

    stats = decoder.stats()
    quality = assess(recording, stats, state_letters, reading)
    return Trace(recording.path, recording_info(recording, stats.first_ns), quality, make_table)


def recording_info(recording: Recording, first_ns: int) -> RecordingInfo:
    """Return what perf wrote about the machine of a recording whose first sample has the time `first_ns`."""
    header = recording.header
    return RecordingInfo(
        header.hostname,
        header.os_release,
        header.perf_version,
        header.arch,
        header.cpu_desc,
        header.nrcpus,
        tuple(header.cmdline),
        (header.clock_offset_ns + first_ns) / 1e9 if header.clock_offset_ns is not None else None,
        recording.path.stat().st_mtime,
    )
