"""box.json: what the folder of a box says of itself; read strictly, because its values become paths, and boot a guest.

Whoever can write to the cache, or hands over an exported file, can write anything into it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from harness.errors import DamagedBoxError, HostError
from harness.files import open_regular, sha256, write_atomic

T = TypeVar("T")
FILE = "box.json"
SCHEMA = 2  # of box.json and of the files beside it
DISK = "box.img"
PARTS = ("libvirt.box", "vmlinuz", "initrd", "packages")  # every box and every machine has them, and the disk
MAX_BYTES = 1_000_000
MAX_TIME_S = 253_402_300_799  # the last second of the year 9999
OTHER_CACHE = "make it a folder that you may write to, or choose another cache with HARNESS_CACHE"
_FOLDER = re.compile(r"[0-9a-f]{64}(-[0-9a-f]{12})?")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
PartName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,40}$")]
Line = Annotated[str, Field(pattern=r"^[ -~]*$")]


class Description(BaseModel):
    """The content of box.json. `image_sha256` is that of a provisioned machine's disk, and a box has none.

    `inputs` are the hashes that `digest` was computed from; machines, and boxes of before 0.3, have none, nor `sizes`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    schema_version: int = Field(alias="schema", ge=1, le=SCHEMA)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    digest: Sha256
    kernel: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~_-]*$")
    cmdline: Line
    provider: Literal["libvirt"]
    kernel_source: Line | None = None
    lock: Sha256 | None = None
    image_sha256: Sha256 | None = None
    built: float = Field(ge=0, le=MAX_TIME_S, allow_inf_nan=False)
    parts: dict[PartName, Sha256]
    sizes: dict[PartName, Annotated[int, Field(ge=0)]] = {}
    inputs: dict[str, Sha256 | None] | None = None

    @model_validator(mode="after")
    def _agrees(self) -> Description:
        if missing := {*PARTS, DISK} - self.parts.keys():
            raise ValueError(f"its parts lack {', '.join(sorted(missing))}")
        if self.image_sha256 not in (None, self.parts[DISK]):
            raise ValueError("its disk is another one in parts than in image_sha256")
        if self.inputs is not None and (digest_of(self.inputs) != self.digest or self.inputs.get("lock") != self.lock):
            raise ValueError("its digest is not that of its inputs: recipe, commands, files, lock and kernel")
        return self

    @property
    def folder_name(self) -> str:
        """The name of the folder in the cache: two machines of one digest have different disks."""
        return f"{self.digest}-{self.image_sha256[:12]}" if self.image_sha256 else self.digest


@dataclass(frozen=True)
class DamagedFolder:
    """A folder of the cache whose description cannot be read, why, and its size."""

    folder: Path
    why: str
    size_mb: float

    @property
    def problem(self) -> str:
        """What is wrong, with the folder, in one sentence."""
        return f"{self.folder}: {self.why}"

    @property
    def short_name(self) -> str:
        """The beginning of the folder's name, by which `harness box rm` removes it."""
        return self.folder.name[:12]


def digest_of(inputs: Mapping[str, str | None]) -> str:
    """Return the digest of a box with these inputs."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def read(folder: Path, name: str | None = None) -> Description:
    """Return what the box in `folder` says of itself. Raises DamagedBoxError when it is wrong or of another box.

    `name` is the name that the folder has in the cache or, before it is there, will have.
    """
    described = parse(Description, folder / FILE)
    if described.folder_name != (name or folder.name):
        raise damaged(folder / FILE, f"it is that of {described.folder_name}")
    return described


def is_there(folder: Path) -> bool:
    """Return whether `folder` has a description; also True if that cannot be seen, because reading it says why."""
    try:
        os.lstat(folder / FILE)
    except OSError as error:
        return not isinstance(error, FileNotFoundError | NotADirectoryError)
    return True


def write(folder: Path, values: Mapping[str, Any], parts: Iterable[str]) -> Description:
    """Write box.json, with size and hash of every part, after all parts: a folder without it is not a box."""
    hashes = {part: sha256(folder / part) for part in parts}
    sizes = {part: (folder / part).stat().st_size for part in hashes}
    described = Description.model_validate(
        {**values, "schema": SCHEMA, "built": time.time(), "parts": hashes, "sizes": sizes}
    )
    write_atomic(folder / FILE, described.model_dump_json(by_alias=True, indent=1) + "\n")
    return described


def parse(model: type[T], path: Path, digest: str | None = None) -> T:
    """Return the content of a JSON file as `model`.

    Raises DamagedBoxError when it is not exactly that, or when its SHA-256 is not `digest`.
    """
    try:
        with open_regular(path) as source:
            text = source.read(MAX_BYTES + 1)
        content = TypeAdapter(model).validate_json(text[:MAX_BYTES], strict=True)
    except OSError as error:
        raise damaged(path, f"{error.strerror}") from None
    except ValidationError as error:
        raise damaged(path, _first_problem(error)) from None
    if len(text) > MAX_BYTES or digest not in (None, hashlib.sha256(text).hexdigest()):
        raise damaged(path, f"it has changed, or has more than {MAX_BYTES} bytes")
    return content


def damaged(path: Path, what: str) -> DamagedBoxError:
    """Return the error of a description that is wrong."""
    return DamagedBoxError(
        f"{path.name}, the description of this box, cannot be read: {what}",
        where=str(path),
        hint=f"unless another process is removing it: `harness box rm {path.parent.name[:12]}` removes the box, and "
        "the next run makes it again",
    )


def folders(root: Path) -> list[Path]:
    """Return what is in `root` under the name of a box, and not what else lies there. Raises HostError."""
    try:
        return sorted(path for path in root.iterdir() if _FOLDER.fullmatch(path.name))
    except FileNotFoundError:
        return []
    except OSError as error:
        what = f"the cache cannot be read: {error.strerror}"
        raise HostError(what, where=str(root), hint=OTHER_CACHE) from None


def scan(root: Path, open_one: Callable[[Path], T]) -> tuple[list[T], list[DamagedFolder]]:
    """Return what `root` holds, and what cannot be read there; one that is removed meanwhile is left out."""
    whole, wrong = [], []
    for folder in folders(root):
        try:
            whole.append(open_one(folder))
        except DamagedBoxError as error:
            if os.path.lexists(folder):
                wrong.append(DamagedFolder(folder, error.what, size_mb(folder)))
    return whole, wrong


def size_mb(folder: Path) -> float:
    """Return the size of the files in a folder that is there, without what links point to."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:  # removed meanwhile
                continue
    return total / 1e6


def _first_problem(error: ValidationError) -> str:
    from harness.spec import problems  # slow to import

    first = error.errors(include_url=False)[0]
    if not first["loc"]:  # no JSON, no mapping, or values that contradict each other
        return first["msg"].removeprefix("Value error, ")
    (problem, *_) = problems.from_pydantic(error, (), lambda _: {})
    return f"{problem.what}, expected: {problem.expected}" if problem.expected else problem.what
