"""`harness model`: what is done with a stored model besides scoring it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.output import JsonFlag, Output, QuietFlag, handled
from harness.errors import ModelError, UsageError

app = typer.Typer(help="Stored models: export them to C.", no_args_is_help=True)
FORMATS = ("c",)


@app.callback()
def _root() -> None:
    """Keep `export` a command of its own while it is the only one."""


@app.command()
@handled
def export(
    model: Annotated[Path, typer.Argument(help="The folder of a stored model.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder that gets the C file and its header.")],
    kind: Annotated[str, typer.Option("--to", help="c.")] = "c",
    quantize: Annotated[str, typer.Option(help="Weights of a network: float or int8.")] = "float",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
) -> None:
    """Write a stored table, tree, GRU or LSTM as one C file that depends on nothing."""
    if kind not in FORMATS:
        raise UsageError(f"unknown format {kind!r}", where="--to", expected=", ".join(FORMATS))
    from model import deploy
    from model.errors import PredictionError

    try:
        written = deploy.export(model, out, quantize=quantize)
    except PredictionError as error:
        raise ModelError(str(error)) from error
    output = Output(as_json, quiet)
    output.data({"paths": [str(path) for path in written]})
    output.show("\n".join(str(path) for path in written))
