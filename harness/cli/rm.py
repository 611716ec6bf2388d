"""`harness rm`: removes run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import completion
from harness.cli.confirmation import confirm
from harness.cli.output import JsonFlag, Output, handled
from harness.cli.run import RunsDir
from harness.counted import counted
from harness.errors import UsageError

RunNames = Annotated[
    list[str],
    typer.Argument(help="Folders of runs, or beginnings of their names.", autocompletion=completion.runs),
]
YesFlag = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@handled
def rm(runs: RunNames, runs_dir: RunsDir = Path("runs"), yes: YesFlag = False, as_json: JsonFlag = False) -> None:
    """Remove runs with all their files; asks before it does so.

    Removes none of them if one is under way, has a machine that is up, or is no run. What links lead to stays.
    """
    from harness import store
    from harness.store import disk_size, removal

    folders = list(dict.fromkeys(removal.require_removable(store.resolve(runs_dir, name)) for name in runs))
    _require_no_machine(folders)
    sizes = {folder: disk_size.of_folder(folder) for folder in folders}
    total = disk_size.spelt(sum(sizes.values()))
    if not yes:
        lines = [f"{folder}  {disk_size.spelt(size)}" for folder, size in sizes.items()]
        confirm(lines, f"remove {counted(len(folders), 'run')}, {total}")
    for folder in folders:
        removal.remove(folder)
    Output(as_json).data({"removed": [{"run": str(folder), "bytes": size} for folder, size in sizes.items()]})
    Output(as_json).show(f"removed {counted(len(folders), 'run')}, {total}")


def _require_no_machine(folders: list[Path]) -> None:
    """Raise UsageError if a machine of a run is up: its recording may be on it, and its keys are in the folder."""
    from harness import machines

    for entry in machines.entries():
        for folder in folders:
            if folder in Path(entry.folder).parents:
                hint = f"`harness run --resume {folder}` fetches what it recorded, `harness down` removes it"
                raise UsageError(f"the machine {entry.domain} of this run is up", where=str(folder), hint=hint)
