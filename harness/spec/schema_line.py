"""The comment at the head of an experiment file that shows an editor where the JSON Schema is."""

from __future__ import annotations

import os
from pathlib import Path

from harness.paths import data_dir

START = "# yaml-language-server: $schema="
FILE = "experiment.schema.json"  # beside the experiments, and what `harness schema` prints


def schema_file() -> Path:
    """Return the schema that lies in this checkout or installation."""
    return data_dir("experiments") / FILE


def schema_line(folder: Path) -> str:
    """Return the line for a file in `folder`: a relative path in the checkout, which may move, else the address."""
    schema, folder = schema_file().resolve(), folder.resolve()
    if not folder.is_relative_to(schema.parent.parent):
        return START + schema.as_uri()
    return START + Path(os.path.relpath(schema, folder)).as_posix()


def with_schema_line(text: str, folder: Path) -> str:
    """Return the text of an experiment file as it should be in `folder`, whichever such line it begins with."""
    first, _, rest = text.partition("\n")
    return f"{schema_line(folder)}\n{rest if first.startswith(START) else text}"
