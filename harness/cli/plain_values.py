"""Commands that take plain values without pydantic, which typer imports to check any value: that takes 0.1 s.

Their help shows no type beside a flag, which takes no value.
"""

from __future__ import annotations

import gc
import os
import re
import stat
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.cli.first_line import first_line
from harness.visible import visible

_DIGITS = re.compile(r"[0-9]{1,18}")


class _PlainValues:
    """Sets what typer asks for values. A version of typer that does not ask it is only slower."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments; an error of them knows its command, which typer leaves out where values are missing."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc]
        except Exception as error:
            if getattr(error, "ctx", ctx) is None:
                vars(error)["ctx"] = ctx
            raise

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, as typer does."""
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]
        for parameter in parameters:
            vars(parameter)["_runtime_param"] = _PlainValue()
            if getattr(parameter, "is_flag", False):
                parameter.metavar = ""
        return parameters


class PlainCommand(_PlainValues, TyperCommand):
    """A command that takes plain values. A slow one says on a terminal that it has begun."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with first_line(quiet=bool(ctx.params.get("quiet"))):
            return super().invoke(ctx)


class PlainGroup(_PlainValues, TyperGroup):
    """A group of such commands."""


class CommandTree(typer.Typer):
    """Commands and groups of these two kinds, unless others are named."""

    def __init__(self, *, cls: type[TyperGroup] = PlainGroup, **options: Any) -> None:
        super().__init__(cls=cls, **options)

    def command(self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **options: Any) -> Any:
        """Return what makes a function a command of this tree."""
        return super().command(name, cls=cls or PlainCommand, **options)


class QuickCommand(PlainCommand):
    """A command that imports much, and quickly."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command. What it imports stays, and is not worth the search for garbage every 700 objects."""
        gc.set_threshold(100_000)
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # else numpy starts threads for linear algebra
        return super().invoke(ctx)


def _require_there(path: str, folder_too: bool, param: Any, ctx: Any) -> None:
    """Raise BadParameter for a path that leads nowhere, or to a folder that is none of what is meant.

    Whether it can be read is for the command to say.
    """
    try:
        is_folder = stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise typer.BadParameter(f"{visible(path)}: there is no such file or folder", ctx=ctx, param=param) from None
    except OSError:
        return
    if is_folder and not folder_too:
        raise typer.BadParameter(f"{visible(path)}: this is a folder, not a file", ctx=ctx, param=param)


class _PlainValue:
    """Turns a plain value into what typer would make of it, and leaves any other value to typer."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return what the command gets for the `value` of a parameter."""
        kind, info = param.type_descriptor.annotation, param.type_descriptor.parameter_info
        least = info.min
        if info.exists:
            for path in [value] if isinstance(value, str) else value or ():
                _require_there(path, info.dir_okay, param, ctx)
        if value is None and param.nargs == 1 and not param.multiple:
            return None
        if kind in (str, Path) and isinstance(value, str):
            return kind(value)
        if kind is int and _DIGITS.fullmatch(str(value)) and int(value) >= (least or 0):
            return int(value)
        vars(param)["_runtime_param"] = None
        return param.get_runtime_param().coerce(value, param=param, ctx=ctx)
