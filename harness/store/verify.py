"""Whether a run folder still holds what its manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import StoreError
from harness.store.manifest import NAME, text_sha256

GUARDED = ("trials", "models", "report")


@dataclass(frozen=True)
class FileProblem:
    """One file that differs from the manifest; `kind` is missing, changed or extra."""

    path: str
    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind} ({self.detail})"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal. Raises StoreError when it cannot be read."""
    try:
        return files.sha256(path)
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read: {error.strerror or error}", where=str(path)) from error


def problems(folder: Path, manifest: Mapping[str, Any]) -> Iterator[FileProblem]:
    """Check every hash again. A file in a folder of outputs (below GUARDED) that no step lists is extra."""
    if text_sha256(manifest["spec_text"]) != manifest["spec_sha256"]:
        yield FileProblem(NAME, "changed", "spec_text does not have the SHA-256 in spec_sha256")
    listed: set[str] = set()
    for name, step in manifest["steps"].items():
        listed.update(step["outputs"])
        for path, expected in step["outputs"].items():
            yield from _output(folder / path, path, expected, name)
    yield from _extra(folder, listed)


def _output(file: Path, path: str, expected: str, step: str) -> Iterator[FileProblem]:
    if not file.is_file():
        yield FileProblem(path, "missing", f"written by step {step}")
    elif (digest := sha256(file)) != expected:
        yield FileProblem(path, "changed", f"SHA-256 is {digest[:12]}..., was {str(expected)[:12]}...")


def _extra(folder: Path, listed: set[str]) -> Iterator[FileProblem]:
    parents = {Path(*Path(path).parts[:2]) if path.count("/") > 1 else Path(path).parent for path in listed}
    for parent in sorted(parents):
        if not parent.parts or parent.parts[0] not in GUARDED:
            continue
        for file in sorted((folder / parent).rglob("*")):
            path = file.relative_to(folder).as_posix()
            if file.is_file() and path not in listed:
                yield FileProblem(path, "extra", "no finished step wrote it")
