"""`harness export`: packs a run into one file, for a colleague."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, QuietFlag, handled, note
from harness.cli.run import RunsDir
from harness.counted import counted
from harness.errors import UsageError
from harness.listed import shortened

if TYPE_CHECKING:
    from harness.store.run_archive import RunArchive


@handled
def export(
    run: Annotated[
        str, typer.Argument(help="The folder of a run, or the beginning of its name.", autocompletion=completion.runs)
    ],
    file: Annotated[
        Path | None,
        typer.Argument(help="The file to write, which must not exist; or a folder for RUN.tar.gz; default: here."),
    ] = None,
    damaged: Annotated[
        bool, typer.Option("--damaged", help="Pack a run whose files are not as it wrote them, too.")
    ] = False,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Pack a run into one tar.gz: its records, recordings, tables, models and report, each compared with its hash.

    `tar xf FILE` unpacks it on another host into a folder that verify, report, show, repeat, and run with its
    experiment.yaml take. machine/ stays behind: it has SSH keys. An unchanged run gives the same bytes again.

    Exits with 1 if the run is under way, or a file is not as the run wrote it.
    """
    from harness import store
    from harness.store import run_archive

    folder = store.RunFolder.open(store.resolve(runs_dir, run))
    file = _new_file(file, folder.path)
    output = Output(as_json, quiet)
    with output.view().step(f"export:{folder.path.name}", f"Export {folder.path.name}") as watcher:
        archive = run_archive.write(folder, file, watcher, damaged=damaged)
    host_paths = run_archive.host_paths(folder)
    facts = {"run": folder.path.name, "state": folder.state, "file": str(file), **asdict(archive)}
    output.data({**facts, "host_paths": host_paths})
    for problem in archive.problems:
        note(f"warning: {problem}")
    if folder.state != "done":
        note(
            f"warning: the run is {folder.state}: files of unfinished trials have no SHA-256 to compare them with, and "
            f"unfinished models are not in the file; `harness run --resume {folder.path.name}` finishes it"
        )
    output.show(*_lines(file, folder.path.name, archive, host_paths))


def _new_file(given: Path | None, run: Path) -> Path:
    """Return the file to write. Raises UsageError if it exists, has no folder, lies in the run, or is no tar.gz."""
    from harness.store.run_archive import ENDINGS

    default = f"{run.name}{ENDINGS[0]}"
    file = Path(default) if given is None else given / default if given.is_dir() else given
    if not file.name.endswith(ENDINGS):
        raise UsageError("this is no name of a tar.gz", where=str(file), expected=f"{' or '.join(ENDINGS)} at its end")
    if os.path.lexists(file):
        raise UsageError("this file exists already", where=str(file), expected="the name of a new file")
    if not file.parent.is_dir():
        raise UsageError("there is no such folder", where=str(file.parent), expected="a folder for the file")
    if file.parent.resolve().is_relative_to(run):
        raise UsageError("this file would lie in the run itself", where=str(file), expected="a FILE outside of the run")
    return file


def _lines(file: Path, name: str, archive: RunArchive, host_paths: list[str]) -> list[Any]:
    """Say what was written, what it gives away, what it has not, and how it is used."""
    from harness.store.disk_size import spelt

    lines = [f"{file}: {counted(len(archive.files), 'file')}, {spelt(archive.size)}, SHA-256 {archive.sha256}"]
    if archive.left_out:
        lines.append(f"not in it, because no step lists them: {shortened(archive.left_out)}")
    if host_paths:
        lines.append(f"paths of the host are in the records, and may be on the page: {shortened(host_paths)}")
    return [*lines, f"there: tar xf {shlex.quote(file.name)} && harness verify {shlex.quote(name)}"]
