"""Values of an experiment that name a file or a folder: their types, and the SHA-256 of what they name."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated, Literal

from pydantic import Field

from harness.files import sha256

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


def content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their paths. Raises OSError."""
    if not path.is_dir():
        return sha256(path)
    total = hashlib.sha256()
    for file in _files(path):
        content = f"-> {file.readlink()}" if file.is_symlink() else sha256(file)
        total.update(f"{file.relative_to(path).as_posix()} {content}\n".encode(errors="surrogateescape"))
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    """Return the files and links in a folder, sorted; a link is not followed."""
    return sorted(
        Path(parent) / name
        for parent, folders, names in os.walk(folder)
        for name in [*names, *(one for one in folders if (Path(parent) / one).is_symlink())]
    )
