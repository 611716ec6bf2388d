"""Whether the files that a command reads are those that the run wrote; `verify` reads all files again instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from harness.errors import StoreError
from harness.store import manifest as manifests
from harness.store import verify
from harness.store.verify import FileProblem

# The files of a run folder that a command reads, beside the manifest. A `*` stands for one folder.
SCORES = ("models/*/scores.json",)
SHOWN = ("trials/*/trial.json", "models/*/scores.json", "models/*/history.parquet")
REPORTED = (
    *SHOWN,
    "attempts/*/trial.json",
    "models/*/outcomes.parquet",
    "trials/*/guest.json",
    "trials/*/slices.parquet",
)
COMPARED = ("trials/*/trial.json", "trials/*/slices.parquet", "models/*/scores.json")
MODELS = tuple(pattern for pattern in REPORTED if pattern.startswith("models/"))


@dataclass(frozen=True)
class Integrity:
    """What was found when files were read again.

    `intact` files have the SHA-256 in the manifest. `unlisted` ones are of a step that is not done, so nothing is known
    of them; a model that no step made is a problem, in a run that lists its files. `sealed`: the manifest has a SHA-256
    of its own, which versions before 0.3.0 did not write.
    """

    intact: int
    problems: tuple[FileProblem, ...] = ()
    unlisted: tuple[str, ...] = ()
    sealed: bool = True

    def believed(self, path: str) -> bool:
        """Return whether nothing speaks against a file of the run folder."""
        return all(problem.path != path for problem in self.problems)

    @property
    def of_files(self) -> list[FileProblem]:
        """The problems of the files that the manifest lists, without those of the manifest itself."""
        return [problem for problem in self.problems if problem.path != manifests.NAME]

    @property
    def unbelieved_models(self) -> frozenset[str]:
        """The names of the models whose scores are not believed, because one of their files is not as written."""
        paths = (PurePosixPath(problem.path).parts for problem in self.problems)
        return frozenset(parts[1] for parts in paths if parts[0] == "models" and len(parts) > 2)

    @property
    def sentences(self) -> list[str]:
        """Each problem, and how much it matters."""
        return [f"{problem}: {effect(problem.path)}" for problem in self.problems]


def check(folder: Path, manifest: Mapping[str, Any], patterns: Sequence[str]) -> Integrity:
    """Read the files that match again, and compare them with the manifest."""
    listed = {
        path: (digest, name)
        for name, step in manifest["steps"].items()
        for path, digest in step["outputs"].items()
        if any(_matches(path, pattern) for pattern in patterns)
    }
    wrong = [
        problem for path, (digest, name) in sorted(listed.items()) for problem in _output(folder, path, digest, name)
    ]
    listing = {path.partition("/")[0] for step in manifest["steps"].values() for path in step["outputs"]}
    there = {file.relative_to(folder).as_posix() for pattern in patterns for file in folder.glob(pattern)}
    unlisted = sorted(there - listed.keys())
    strange = [path for path in unlisted if verify.is_of_unknown_model(path, manifest) and listing & {*verify.GUARDED}]
    extra = [FileProblem(path, "extra", "no step of the run wrote it") for path in strange]
    return Integrity(
        intact=len(listed) - len(wrong),
        problems=(*verify.of_manifest(manifest), *wrong, *extra),
        unlisted=tuple(path for path in unlisted if path not in strange),
        sealed=manifests.SEAL in manifest,
    )


def require_unchanged(folder: Path, endings: Sequence[str] = ("json", "parquet", "safetensors")) -> list[str]:
    """Raise StoreError if a file of a trial's or a model's folder is not as its run wrote it; perf.data is not read.

    Only files with one of the `endings` are read. Return what could not be checked, one sentence each. A folder outside
    of a run has no hashes to compare with.
    """
    folder = folder.resolve()
    run, kind = folder.parent.parent, folder.parent.name
    if kind not in ("trials", "models") or not (run / manifests.NAME).is_file():
        return []
    try:
        manifest = manifests.read(run)
    except StoreError as error:
        return [f"{folder} was not compared with its SHA-256: {error.what}"]
    found = check(run, manifest, [f"{kind}/{folder.name}/*.{ending}" for ending in endings])
    for problem in found.of_files:
        raise _not_as_written(run, problem)
    unknown = [] if found.intact else [f"no finished step of its run wrote {folder}: no SHA-256 to compare it with"]
    return [*(f"{run}: {problem}" for problem in found.problems), *unknown]


def effect(path: str) -> str:
    """Say how much it matters that a file is not as it was written."""
    kind, name = path.partition("/")[0], PurePosixPath(path).name
    if path == manifests.NAME:
        return "what it says of the run, and the SHA-256 of the files, may be wrong"
    if kind == "models":
        return "the scores of this model are left out"
    if name.endswith(".parquet"):
        return "the figures of this trial are left out; scores that models got from it before stand"
    return "what it says is left out"


def _not_as_written(run: Path, problem: FileProblem) -> StoreError:
    name = PurePosixPath(problem.path).name
    again = "make its tables again: harness trace convert perf.data.zst --out FOLDER; or " * name.endswith(".parquet")
    return StoreError(
        f"{name} is not the file that the run wrote ({problem.kind}: {problem.detail})",
        where=str(run / problem.path),
        expected="the SHA-256 in manifest.json",
        hint=f"{again}restore it from a copy; `harness verify` lists all that has changed",
    )


def _output(folder: Path, path: str, digest: str, step: str) -> list[FileProblem]:
    return list(verify.of_output(folder / path, path, digest, step))


def _matches(path: str, pattern: str) -> bool:
    parts, patterns = path.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))
