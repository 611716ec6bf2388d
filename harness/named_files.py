"""The types of an experiment's values that name a file or a folder, and what tells their paths from others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Literal

from pydantic import Field

MAX_PATH = 4096
# Names in a path that tell no file from another: every kernel is arch/x86/boot/bzImage of its build.
GENERIC = {"bzImage", "vmlinuz", "boot", "x86", "x86_64", "arch", "build"}


@dataclass(frozen=True)
class Names:
    """Marks the type of a value that names something that must exist."""

    kind: Literal["file", "folder"]


# A relative path is relative to the experiment file; `harness.spec.load` makes it absolute and looks whether it exists.
ExistingFile = Annotated[str, Field(min_length=1, max_length=MAX_PATH), Names("file")]
ExistingFolder = Annotated[str, Field(min_length=1, max_length=MAX_PATH), Names("folder")]


def own_path(path: PurePath) -> PurePath:
    """Return the end of a path, from the last name on that tells it from others: linux-a/arch/x86/boot/bzImage."""
    names = path.parts[1:] if path.is_absolute() else path.parts
    last = max((index for index, name in enumerate(names) if name not in GENERIC), default=None)
    return PurePath("image", path.name) if last is None else PurePath(*names[last:])
