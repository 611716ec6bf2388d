"""Files that are whole wherever they exist."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from harness.writing import make_folder, writing


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes its name only when the block ends well; on an error nothing is left of it.

    Raises HostError where it cannot be written, or the folder it is in cannot be made.
    """
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    with writing(path), contextlib.ExitStack() as stack:
        make_folder(path.parent)
        file = stack.enter_context(temporary.open("wb"))
        stack.callback(temporary.unlink, missing_ok=True)
        yield file
        file.flush()
        os.fsync(file.fileno())
        temporary.replace(path)
