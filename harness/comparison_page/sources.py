"""Names what a comparison was made of: the runs with their hashes and versions, and every trial that was used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.comparison.measured.observation import Observation
from harness.errors import StoreError
from harness.store import RunFolder

if TYPE_CHECKING:
    from harness.comparison.comparison import Comparison


@dataclass(frozen=True)
class RunSource:
    """One run: its question, and the hashes and versions that its manifest holds."""

    name: str
    question: str
    state: str
    hashes: tuple[tuple[str, str], ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TrialSource:
    """One trial that was used, and the SHA-256 of its recording and tables."""

    side: str
    trial: Observation
    hashes: tuple[tuple[str, str], ...]


def run_sources(comparison: Comparison) -> list[RunSource]:
    """Return the runs of both sides, each once."""
    return [_run_source(path) for path in _paths(comparison)]


def trial_sources(comparison: Comparison) -> list[TrialSource]:
    """Return the trials of both sides in the order of their recording."""
    outputs = {path: _outputs(path) for path in _paths(comparison)}
    trials = [
        TrialSource(side.label, one, tuple(outputs[one.folder.parents[1]].get(one.trial, {}).items()))
        for side in (comparison.first, comparison.second)
        for one in side.observations
    ]
    return sorted(trials, key=lambda source: source.trial.recorded_at)


def _paths(comparison: Comparison) -> list[Path]:
    sides = (comparison.first, comparison.second)
    return list(dict.fromkeys(one.folder.parents[1] for side in sides for one in side.observations))


def _run_source(path: Path) -> RunSource:
    manifest = _manifest(path)
    spec = manifest.get("spec") or {}
    hashes = {
        "manifest, SHA-256": manifest.get("sha256"),
        "experiment file, SHA-256": manifest.get("spec_sha256"),
        "box digest": (manifest.get("box") or {}).get("digest"),
    }
    return RunSource(
        path.name,
        str(spec.get("question") or ""),
        str(manifest.get("state") or "unknown"),
        tuple((name, str(value)) for name, value in hashes.items() if value),
        tuple((name, str(value)) for name, value in (manifest.get("versions") or {}).items() if value is not None),
    )


def _outputs(path: Path) -> dict[str, dict[str, str]]:
    """Return by trial the hashes of its recording and of its slices."""
    found: dict[str, dict[str, str]] = {}
    for name, step in (_manifest(path).get("steps") or {}).items():
        if name.startswith(("trial:", "tables:")):
            for file, sha256 in (step.get("outputs") or {}).items():
                if Path(file).name in ("perf.data", "slices.parquet"):
                    found.setdefault(Path(file).parent.name, {})[Path(file).name] = str(sha256)
    return found


def _manifest(path: Path) -> Mapping[str, Any]:
    try:
        return RunFolder.open(path).manifest
    except StoreError:  # it was read for the comparison a moment ago; the page says what it knows
        return {}
