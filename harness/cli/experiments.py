"""Experiment files: `harness init` writes one, and commands find one by its path, its name, or on stdin (`-`)."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import completion
from harness.cli.output import JsonFlag, Output, handled
from harness.errors import SpecError, UsageError

if TYPE_CHECKING:
    from harness.spec import Experiment
    from harness.spec.predictors import KernelOf

STDIN = "-"


@handled
def init(
    file: Annotated[Path | None, typer.Argument(help="The file to write; default: the name with .yaml.")] = None,
    origin: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="NAME",
            help="The experiment to start from, of those with harness; default: nginx_ab.",
            autocompletion=completion.experiments,
        ),
    ] = None,
    load: Annotated[
        str | None,
        typer.Option(
            "--load", help="Begin with this load, each of its parameters explained.", autocompletion=completion.loads
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write an experiment file with comments, to be changed and run; a file that is there stays."""
    if origin and load:
        raise UsageError("--from and --load both name a beginning", expected="one of them")
    origin = origin or load or "nginx_ab"
    path = file or Path(f"{origin}.yaml")
    text = _renamed(_text_of_load(load) if load else _text_of_bundled(origin), origin, path)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(text)
    except FileExistsError:
        raise UsageError("this file exists", where=str(path), hint="name another, which is to be written") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError("there is no such folder", where=str(path.parent), hint="make it, or name another") from None
    Output(as_json).data({"path": path, "from": origin})
    Output(as_json).show(f"{path}: change it, then: harness run {path} --dry-run")


def _text_of_bundled(name: str) -> str:
    if name not in bundled():
        raise UsageError(f"no experiment {name!r} comes with harness", where="--from", expected=_one_of_bundled())
    return bundled()[name].read_text("utf-8").replace(f"experiments/{name}.yaml", f"{name}.yaml")


def _text_of_load(kind: str) -> str:
    from harness import load_catalogue

    return load_catalogue.one_load(kind).example


def _renamed(text: str, origin: str, path: Path) -> str:
    """Name the experiment after its file, also in the comments that show how to run it."""
    schema = "experiment.schema.json\n"
    text = text.replace(schema, f"{schema}# An editor reads that file: harness schema > experiment.schema.json\n", 1)
    text = text.replace(f"harness run {origin}.yaml", f"harness run {path}")
    name = re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()).strip("_") or origin
    return re.sub(r"^name: .*", f"name: {name}", text, count=1, flags=re.MULTILINE)


def bundled() -> dict[str, Path]:
    """Return the experiments that come with harness, by name."""
    from harness.paths import data_dir

    return {path.stem: path for path in sorted(data_dir("experiments").glob("*.yaml"))}


def load(
    name: str,
    overrides: Mapping[str, str] | None = None,
    *,
    load_kind: str | None = None,
    box: str | None = None,
    kernel_of: KernelOf | None = None,
) -> Experiment:
    """Read the experiment of a path, of a name that comes with harness, or on stdin. Raises SpecError."""
    from harness import spec

    changes = {"load_kind": load_kind, "box": box}
    if name == STDIN:
        return spec.load_bytes(_stdin(), "<stdin>", overrides, **changes, kernel_of=kernel_of)
    path = Path(name)
    plain = path.parent in (Path("."), Path("experiments"))
    if plain and not path.exists() and path.suffix in ("", ".yaml"):
        if path.stem not in bundled():
            raise SpecError("there is no such file", where=name, expected=f"a YAML file, or {_one_of_bundled()}")
        path = bundled()[path.stem]
    return spec.load(path, overrides, **changes, kernel_of=kernel_of)


def _one_of_bundled() -> str:
    return f"one of those that come with harness: {', '.join(bundled())}"


def _stdin() -> bytes:
    from harness.spec.document import MAX_BYTES

    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "stdin is a terminal or closed", where=STDIN, expected="an experiment, as in: ... | harness run -"
        )
    return sys.stdin.buffer.read(MAX_BYTES + 1)
