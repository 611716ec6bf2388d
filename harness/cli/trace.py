"""`harness trace`: any perf.data to tables, numbers, and the formats of other tools."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.errors import EXIT_FAILED

app = typer.Typer(help="Read recordings of `perf sched record`: convert, summarise, export.", no_args_is_help=True)
Recording = Annotated[
    Path, typer.Argument(help="A perf.data file (also .zst, or what perf wrote into a pipe), or a --threads folder.")
]
FormatsFrom = Annotated[
    Path | None,
    typer.Option("--formats-from", help="Take event formats from this recording, for one that lost its own."),
]


@app.command()
@handled
def convert(
    recording: Recording,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the Parquet tables.")],
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a damaged recording instead of saving the rest.")
    ] = False,
    formats_from: FormatsFrom = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write switches, wakeups, slices, runtimes and the other tables; exit 1 if the recording is not whole."""
    from harness.terminal.trace_summary import damage
    from harness.trace import commands

    output = Output(as_json, quiet)
    with output.view().step("convert", f"Convert {recording}") as watcher:
        made = commands.convert(recording, out, strict=strict, formats_from=formats_from, watcher=watcher)
    output.data({"paths": {name: str(path) for name, path in made.paths.items()}, "quality": asdict(made.quality)})
    damaged = [f"this recording is not whole: {damage(made.quality)}"] if not made.quality.whole else []
    for warning in [*made.quality.warnings, *damaged]:
        typer.echo(f"warning: {warning}", err=True)
    output.show(*(f"{name}: {path}" for name, path in made.paths.items()))
    if not made.quality.whole:
        raise typer.Exit(EXIT_FAILED)


@app.command()
@handled
def summary(
    recording: Recording,
    limit: Annotated[int, typer.Option(min=1, help="Tasks shown.")] = 20,
    formats_from: FormatsFrom = None,
    as_json: JsonFlag = False,
) -> None:
    """Tasks and CPUs in numbers, and whether the recording is sound: run time, switches, preemptions, latency."""
    from harness.terminal.trace_summary import render
    from harness.trace import commands

    found = commands.summary(recording, formats_from=formats_from)
    Output(as_json).data(found.to_dict())
    Output(as_json).show(render(found, limit))


@app.command()
@handled
def export(
    recording: Recording,
    kind: Annotated[str, typer.Option("--to", help="perfetto, csv, parquet or perf-sched-map.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file, or for tables the folder, to write.")],
    formats_from: FormatsFrom = None,
    as_json: JsonFlag = False,
) -> None:
    """Hand a recording on to another tool."""
    from harness.trace import commands

    written = commands.export(recording, kind, out, formats_from=formats_from)
    Output(as_json).data({"written": [str(path) for path in written]})
    Output(as_json).show(*(str(path) for path in written))


@app.command("import")
@handled
def import_(
    text: Annotated[Path, typer.Argument(help="The text that `perf sched map` printed.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for switches.parquet.")],
    as_json: JsonFlag = False,
) -> None:
    """Read the text of `perf sched map`, as the KernelOracle paper did, into a table of switches."""
    from harness.trace import commands

    made = commands.import_text(text, out)
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    Output(as_json).data({"path": str(made.path), "rows": made.rows})
    Output(as_json).show(f"{made.path}: {made.rows:,} switches")
