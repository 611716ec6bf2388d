"""`harness trace`: from any perf.data to tables, to numbers, and to the formats of other tools."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.find_recording import find_recording, find_recordings
from harness.cli.judgement import exit_unless_sound, exit_unless_whole, print_qualities, print_quality
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.plain_values import CommandTree, QuickCommand
from harness.cli.run_or_path import run_or_path
from harness.progress import SilentWatcher

if TYPE_CHECKING:
    from harness.trace.summary import Summary

app = CommandTree(
    help="Read recordings of `perf sched record`: convert, summarise, export; import texts of perf and of ftrace.",
    no_args_is_help=True,
)
Recording = Annotated[
    Path,
    typer.Argument(
        callback=run_or_path,  # `-` is refused with what to do instead
        help="A perf.data file (also .zst, .gz, .xz, .bz2, .zip, or a pipe's), a folder from perf record --threads, "
        "a trial of a run, or a run (with one trial, except for `summary`).",
    ),
]
FormatsFrom = Annotated[
    Path | None,
    typer.Option("--formats-from", help="Take the event formats from this recording, if RECORDING lost its own."),
]

Strict = Annotated[bool, typer.Option("--strict", help="Refuse a damaged recording instead of reading what is left.")]


States = Annotated[
    str | None,
    typer.Option("--states", help="Read prev_state as shifted (by one bit, as some kernels report it) or unshifted."),
]


def _about(recording: Path) -> dict[str, str]:
    from harness.store.trial_record import clock_beside  # which a bare perf.data does not need

    return clock_beside(recording)


@app.command("convert", cls=QuickCommand)
@handled
def convert_(
    recording: Recording,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the Parquet tables.")],
    strict: Strict = False,
    formats_from: FormatsFrom = None,
    states: States = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write switches, wakeups, slices, runtimes and the other tables; exit 1 if the recording is not whole."""
    import pyarrow as pa

    from harness.trace.converter import convert

    recording = find_recording(recording)
    if "jemalloc" in pa.supported_memory_backends():
        pa.set_memory_pool(pa.jemalloc_memory_pool())  # the others keep 100 MB more, of what threads have freed
    output = Output(as_json, quiet)
    with output.view().step("convert", f"Convert {recording}") as watcher:
        watcher.note(f"reading {recording}")
        converted = convert(
            recording,
            out,
            strict=strict,
            formats_from=formats_from,
            states=states,
            on_progress=watcher.advance,
            about=_about(recording),
        )
    paths, quality = converted.paths, converted.quality
    output.data({"paths": {name: str(path) for name, path in paths.items()}, "quality": quality.to_dict()})
    output.show(*(f"{name}: {path}" for name, path in paths.items()))
    print_quality(quality, quiet)
    exit_unless_whole(quality)


@app.command("summary", cls=QuickCommand)
@handled
def summary_(
    recording: Recording,
    limit: Annotated[int, typer.Option(min=1, help="Tasks shown of a single recording.")] = 20,
    strict: Strict = False,
    formats_from: FormatsFrom = None,
    states: States = None,
    as_json: JsonFlag = False,
) -> None:
    """Show run times, switches, preemptions and latency by task and CPU, and whether the recording is sound.

    Of a run with several trials, each is one line. Exits with 1 if a recording is not whole.
    """
    from harness.trace.summary import summarize

    output, found = Output(as_json), find_recordings(recording)
    summaries, several = [], f"Summarise {len(found)} recordings"
    with output.view().step("summary", several) if len(found) > 1 else nullcontext(SilentWatcher()) as watcher:
        for number, path in enumerate(found):
            watcher.advance(number, len(found))
            watcher.note(f"reading {path}")
            summaries.append(summarize(path, strict=strict, formats_from=formats_from, states=states))
    output.data({"recordings": [{**one.to_dict(), "about": _about(one.path) or None} for one in summaries]})
    if len(found) > 1:
        return _show_several(summaries, output)
    from harness.terminal.trace_summary import render

    output.show(render(summaries[0], limit, _about(found[0])))
    print_quality(summaries[0].quality)
    exit_unless_whole(summaries[0].quality)


def _show_several(summaries: Sequence[Summary], output: Output) -> None:
    from harness.cli.recorded_quality import RecordedQuality
    from harness.terminal.trace_summary import render_several

    output.show(*render_several(summaries))
    qualities = [RecordedQuality(one.path, one.quality.to_dict()) for one in summaries]
    print_qualities(qualities)
    exit_unless_sound(qualities)


@app.command("export")
@handled
def export_(
    recording: Recording,
    kind: Annotated[str, typer.Option("--to", help="perfetto, csv, parquet or perf-sched-map.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, or for tables the folder, to write.")],
    strict: Strict = False,
    formats_from: FormatsFrom = None,
    states: States = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a recording in the format of another tool."""
    from harness.trace.export import ReadOptions, export

    recording = find_recording(recording)
    exported = export(recording, kind, out, ReadOptions(strict, formats_from, _about(recording), states))
    paths = [str(path) for path in exported.paths]
    Output(as_json).data({"written": paths, "quality": exported.quality.to_dict()})
    Output(as_json).show(*paths)
    print_quality(exported.quality)
    exit_unless_whole(exported.quality)


@app.command("import")
@handled
def import_(
    text: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="The text that `perf script`, `trace-cmd report`, ftrace or `perf sched map` printed.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the Parquet tables.")],
    strict: Strict = False,
    states: States = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Read the text of `perf script`, `trace-cmd report` or ftrace into tables.

    That of `perf sched map` has switches only: nothing can be trained on it.
    """
    from harness.trace.text.importer import import_text

    output = Output(as_json, quiet)
    with output.view().step("import", f"Import {text}") as watcher:
        watcher.note(f"reading {text}")
        imported = import_text(text, out, strict=strict, states=states, on_progress=watcher.advance, about=_about(text))
    output.data(
        {"paths": {name: str(path) for name, path in imported.paths.items()}, "quality": imported.quality.to_dict()}
    )
    output.show(*(f"{name}: {path}" for name, path in imported.paths.items()))
    print_quality(imported.quality, quiet)
    exit_unless_whole(imported.quality)
