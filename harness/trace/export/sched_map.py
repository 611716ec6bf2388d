"""The text of `perf sched map`: a column per CPU, a two-letter tag per task, a line per switch.

The tags are perf's: A0 to Z0, then A1 and so on to Z9, then A0 again, so with more than 260 tasks they are reused,
and the text is ambiguous: a warning says so. Times are cut off after microseconds. The text has no room for states,
priorities and wakeups.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from harness.files import atomic_file, make_folder
from harness.trace.export import Exported, ReadOptions
from harness.trace.quality import TraceQuality, require_switches
from harness.trace.reader import Trace, read
from harness.trace.tables.columns import codes, numbers, texts
from harness.trace.tracepoint.comm import to_bytes

_BATCH_LINES = 10_000  # lines written at a time
_LETTERS, _DIGITS = 26, 10  # of tags


def export(recording: Path, target: Path, kind: str, options: ReadOptions) -> Exported:
    """Write the text to the file `target`."""
    trace = read(recording, strict=options.strict, formats_from=options.formats_from, states=options.states)
    require_switches(trace.path, trace.quality)
    make_folder(target.parent)
    with atomic_file(target) as file:
        remaining = lines(trace)
        while batch := b"".join(itertools.islice(remaining, _BATCH_LINES)):
            file.write(batch)
    return Exported([target], _with_warning(trace))


def _with_warning(trace: Trace) -> TraceQuality:
    """Return the judgement of the recording, with a warning if the text has more tasks than there are tags."""
    tasks = len(set(numbers(trace.switches, "next_tid").tolist()) - {0})
    if tasks <= _LETTERS * _DIGITS:
        return trace.quality
    warning = (
        f"the text is ambiguous: perf has {_LETTERS * _DIGITS} tags, and this recording {tasks} tasks, so a tag stands "
        "for several; `--to csv` and `--to parquet` are exact"
    )
    return replace(trace.quality, warnings=(*trace.quality.warnings, warning))


def lines(trace: Trace) -> Iterator[bytes]:
    """Yield the lines, each with its newline."""
    switches = trace.switches
    names = [to_bytes(text) for text in texts(switches, "next_comm")]
    columns = (numbers(switches, name).tolist() for name in ("time_ns", "cpu", "next_tid"))
    shown: list[bytes] = [b"  "] * (1 + int(numbers(switches, "cpu").max(initial=0)))
    tags: dict[int, bytes] = {}
    names_of: dict[int, int] = {}  # tid -> number of its last name
    for time, cpu, tid, name in zip(*columns, codes(switches, "next_comm").tolist(), strict=True):
        tag = tags.get(tid) or tags.setdefault(tid, b". " if tid == 0 else _tag(len(tags) - (0 in tags)))
        shown[cpu] = tag
        cells = b"".join((b"*" if column == cpu else b" ") + cell + b" " for column, cell in enumerate(shown))
        stamp = b"%d.%06d" % divmod(time // 1000, 1_000_000)
        legend = b"%s => %s:%d" % (tag, b"swapper" if tid == 0 else names[name], tid)
        is_new = names_of.get(tid) != name and not (tid == 0 and tid in names_of)
        names_of[tid] = name
        yield b"  %s  %s secs %s\n" % (cells, stamp.rjust(12), legend if is_new else b"")


def _tag(number: int) -> bytes:
    return b"%c%d" % (ord("A") + number % _LETTERS, number // _LETTERS % _DIGITS)
