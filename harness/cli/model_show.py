"""`harness model show`: the layers, settings and origin of a stored model, and a picture of its network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.api.model_errors import as_model_error
from harness.cli.find_model import find_model
from harness.cli.judgement import refuse_changed
from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.cli.run import RunsDir
from harness.errors import HostError, UsageError

if TYPE_CHECKING:
    from model.checkpoint import Checkpoint


@handled
def show(
    model: Annotated[
        str, typer.Argument(help="The folder of a stored model; or a run, a trial or a folder of models.")
    ],
    predictor: Annotated[
        str | None,
        typer.Option("--predictor", "-p", help="The predictor, or the model's name, where there are several."),
    ] = None,
    graph: Annotated[
        Path | None, typer.Option(help="Draw one step of the network into this file: .svg, .pdf or .png.")
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Show a stored model: its layers with their shapes and parameters, its settings, and what it was trained on.

    Of a model that is no network, show the tables and trees that it holds.
    """
    _require_format(graph)
    folder = find_model(model, predictor, runs_dir)
    refuse_changed([folder])
    from harness.terminal import model_tables

    with as_model_error():
        from model import contents

        read = contents.read(folder)
    if graph:
        draw(read.stored, folder.name, graph)
    output = Output(as_json, quiet)
    shown = {"path": str(folder), **read.as_dict()}
    output.data({"model": shown, "graph": str(graph) if graph else None})
    output.show(model_tables.model_tables(shown))
    if graph:
        output.show(str(graph))


def _require_format(graph: Path | None) -> None:
    """Raise UsageError for a file whose name does not end as a picture's, before anything is read."""
    from model.graph import FORMATS

    if graph and graph.suffix.lstrip(".") not in FORMATS:
        endings = ", ".join(f".{name}" for name in FORMATS)
        raise UsageError(
            f"a graph is not drawn as {graph.suffix or 'a file without a suffix'}",
            where=f"--graph {graph}",
            expected=endings,
        )


def draw(stored: Checkpoint, name: str, target: Path) -> None:
    """Draw one step of a network. The file is written whole or not at all."""
    from harness.files import write_atomic
    from model.errors import MissingProgramError, SettingError
    from model.graph import draw_step

    try:
        picture = draw_step(stored.predictor, f"One step of {name}", target.suffix.lstrip("."))
    except SettingError as error:
        raise UsageError(
            f"{stored.kind}: {error}", where="--graph", expected="a model of lstm, gru or another network"
        ) from error
    except MissingProgramError as error:
        hint = f"sudo apt-get install --no-install-recommends {error.package}"
        raise HostError(str(error), where="--graph", hint=hint) from error
    write_atomic(target, picture)
