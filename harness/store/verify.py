"""Whether a run folder still holds what its manifest says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness import files
from harness.errors import StoreError
from harness.store import experiment_file, spec_changes
from harness.store import manifest as manifests
from harness.store.manifest import NAME, is_edited, text_sha256

RECORDING = "perf.data.zst"  # of a trial that is done
GUARDED = ("trials", "models", "models.set-aside", "report")


@dataclass(frozen=True)
class FileProblem:
    """One file that differs from the manifest; `kind` is missing, changed, unreadable or extra."""

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
    yield from of_manifest(manifest)
    if manifest.get("spec_file"):
        path = experiment_file.NAME
        yield from of_output(folder / path, path, experiment_file.sha256(manifest), "that began the run")
    listed: set[str] = set()
    cleaned = manifests.cleaned(manifest, folder)
    for name, step in manifest["steps"].items():
        listed.update(step["outputs"])
        yield from _of_step(folder, name, step["outputs"], cleaned)
    yield from _extra(folder, listed, manifest)


def _of_step(folder: Path, name: str, outputs: Mapping[str, str], cleaned: Sequence[str]) -> Iterator[FileProblem]:
    """Compare the files of a step; those that were cleaned are missing if their recording cannot make them again."""
    lost = False
    for path, expected in outputs.items():
        for problem in of_output(folder / path, path, expected, name) if path not in cleaned else ():
            lost |= PurePosixPath(path).name == RECORDING
            yield problem
    for path in outputs:
        if lost and path in cleaned:
            yield FileProblem(path, "missing", f"{RECORDING}, which could make it again, is not as it was written")


def of_manifest(manifest: Mapping[str, Any]) -> Iterator[FileProblem]:
    """Compare a manifest with the SHA-256 that it has of itself, and of the experiment file."""
    if is_edited(manifest):
        noticed = manifest.get("edited")
        yield FileProblem(NAME, "changed", f"by another program, before {noticed}" if noticed else "by another program")
    elif text_sha256(manifest["spec_text"]) != manifest["spec_sha256"]:
        yield FileProblem(NAME, "changed", "spec_text does not have the SHA-256 in spec_sha256")
    elif why := spec_changes.problem(manifest):
        yield FileProblem(NAME, "changed", why)


def of_output(file: Path, path: str, expected: str, step: str) -> Iterator[FileProblem]:
    """Compare one file with the SHA-256 that a step recorded."""
    try:
        digest = sha256(file) if file.is_file() else None
    except (OSError, StoreError) as error:
        why = error.what if isinstance(error, StoreError) else error.strerror
        yield FileProblem(path, "unreadable", f"{why}; written by step {step}")
        return
    if digest is None:
        yield FileProblem(path, "missing", f"written by step {step}")
    elif digest != expected:
        yield FileProblem(path, "changed", f"SHA-256 is {digest[:12]}..., was {str(expected)[:12]}...")


def is_of_unknown_model(path: str, manifest: Mapping[str, Any]) -> bool:
    """Return whether a path is, or is in, the folder of a model that no step of the run made."""
    kind, _, rest = path.partition("/")
    return kind == "models" and f"model:{rest.partition('/')[0]}" not in manifest["steps"]


def _extra(folder: Path, listed: set[str], manifest: Mapping[str, Any]) -> Iterator[FileProblem]:
    parents = {Path(*Path(path).parts[:2]) if path.count("/") > 1 else Path(path).parent for path in listed}
    models = (path.relative_to(folder) for path in folder.glob("models/*"))
    parents |= {path for path in models if is_of_unknown_model(path.as_posix(), manifest)}
    for parent in sorted(parents):
        if not parent.parts or parent.parts[0] not in GUARDED:
            continue
        for file in sorted((folder / parent).rglob("*")):
            path = file.relative_to(folder).as_posix()
            if file.is_file() and path not in listed:
                yield FileProblem(path, "extra", "no finished step wrote it")
