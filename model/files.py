"""Write the files of a model whole, and name the errors of reading weights that do not fit."""

from __future__ import annotations

import os
from pathlib import Path

import safetensors

WEIGHT_ERRORS = (  # raised by arrays that do not belong to the predictor which restores them
    safetensors.SafetensorError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    RuntimeError,
    ArithmeticError,
    MemoryError,
)


def write_atomic(path: Path, content: bytes) -> None:
    """Write the file whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
