"""Reads a recording of `perf sched record` straight from its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.trace.decode.decoder import Block
from harness.trace.decode.native_decoder import NativeDecoder
from harness.trace.perf_data.recording import Recording, located, open_recording
from harness.trace.quality import TraceQuality, judge, require_complete
from harness.trace.tracepoint.task_state import is_shifted, may_be_shifted, state_names

if TYPE_CHECKING:
    import pyarrow as pa


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


class Trace:
    """A recording as tables, each sorted by time (stable), with the columns of `tables.SCHEMAS`.

    `shifted_states`: the kernel reports prev_state one bit too high (4.14 to 4.19); `prev_state` is as recorded.
    A table becomes one of Arrow when it is first asked for: to import Arrow takes as long as to read a million samples.
    """

    def __init__(
        self,
        path: Path,
        header: Info,
        quality: TraceQuality,
        table: Callable[[str], pa.Table],
        shifted_states: bool = False,
    ) -> None:
        self.path, self.header, self.quality, self.shifted_states = path, header, quality, shifted_states
        self._table = table

    @cached_property
    def switches(self) -> pa.Table:
        """sched_switch."""
        return self._table("switches")

    @cached_property
    def wakeups(self) -> pa.Table:
        """sched_waking, sched_wakeup and sched_wakeup_new."""
        return self._table("wakeups")

    @cached_property
    def runtimes(self) -> pa.Table:
        """sched_stat_runtime."""
        return self._table("runtimes")

    @cached_property
    def migrations(self) -> pa.Table:
        """sched_migrate_task."""
        return self._table("migrations")

    @cached_property
    def forks(self) -> pa.Table:
        """sched_process_fork."""
        return self._table("forks")

    @cached_property
    def execs(self) -> pa.Table:
        """sched_process_exec."""
        return self._table("execs")

    @cached_property
    def exits(self) -> pa.Table:
        """sched_process_exit."""
        return self._table("exits")


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
        require_complete(recording, trace.quality)
    return trace


def _read(recording: Recording) -> Trace:
    decoder = NativeDecoder(recording.header, len(recording.parts))
    for number, part in enumerate(recording.parts):
        decoder.enter_part(number)
        for _ in part.feed(decoder):
            pass
    blocks, names, values = decoder.release_all(), decoder.names(), decoder.states()
    states = state_names(recording.header.formats)
    letters = [states.letters(value) for value in values] if states else []
    shifted = False
    if states and may_be_shifted(recording.header.os_release):
        shifted = is_shifted(blocks.get("switches", {}), values, states)
    quality = judge(recording, decoder.stats(), states, shifted)
    return Trace(recording.path, info(recording), quality, _tables(blocks, names, letters), shifted)


def _tables(blocks: dict[str, Block], names: list[bytes], letters: list[str]) -> Callable[[str], pa.Table]:
    """Return the function that makes the Arrow table of a name."""

    def table(name: str) -> pa.Table:
        from harness.trace.tables.schemas import to_table

        return to_table(name, blocks.get(name, {}), names, letters)

    return table


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
