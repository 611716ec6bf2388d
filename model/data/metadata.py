"""Reads what lies in a recording's folder beside its tables: its facts, and its run's manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.errors import TableError
from model.files import read_json

GUEST, TRIAL, RECORDING, MANIFEST = "guest.json", "trial.json", "recording.json", "manifest.json"


def guest_facts(folder: Path) -> dict[str, Any]:
    """Return the facts of the guest that made the recording; empty where they are not known."""
    return mapping(_read_or_empty(Path(folder) / GUEST), "facts")


def kernel_settings(folder: Path) -> list[dict[str, Any]]:
    """Return the kernel settings of the trial: name, file, and the values before, wanted, and after it; may be none."""
    rows = _read_or_empty(Path(folder) / GUEST).get("kernel_settings")
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def guest_sha256(folder: Path) -> str | None:
    """Return the SHA-256 of perf.data as the guest took it; None where it did not."""
    digest = mapping(_read_or_empty(Path(folder) / GUEST), "sha256").get("perf.data")
    return digest if isinstance(digest, str) else None


def header(folder: Path) -> dict[str, Any]:
    """Return what perf wrote about the recorded machine and itself; empty where it is not known."""
    return mapping(_read_or_empty(Path(folder) / RECORDING), "header")


def recording_file(folder: Path) -> dict[str, Any]:
    """Return name, bytes and SHA-256 of the file that the tables were made of; empty where they are not known."""
    return mapping(_read_or_empty(Path(folder) / RECORDING), "recording")


def harness_version(folder: Path) -> str | None:
    """Return the version that made the tables; None where it is not known."""
    version = _read_or_empty(Path(folder) / RECORDING).get("harness_version")
    return version if isinstance(version, str) else None


def damage(folder: Path) -> str:
    """Return in words what is missing from the recording; empty where nothing is, or where it was not kept."""
    words = _read_or_empty(Path(folder) / RECORDING).get("damage")
    return words if isinstance(words, str) else ""


def kernel(folder: Path) -> str:
    """Return the release of the recorded kernel, as the guest or the header of perf.data names it; "" if unknown."""
    return str(guest_facts(folder).get("kernel") or header(folder).get("os_release") or "")


def cpus(folder: Path) -> int | None:
    """Return the number of CPUs of the recorded machine, as the guest or the header of perf.data has it."""
    count = guest_facts(folder).get("cpus") or header(folder).get("nrcpus")
    return count if isinstance(count, int) and count > 0 else None


def quality(folder: Path) -> dict[str, Any]:
    """Return the judgement of the recording, as TraceQuality of `harness.trace` has it; empty where it is not known."""
    recorded = mapping(_read_or_empty(Path(folder) / RECORDING), "quality")
    return recorded or mapping(_read_or_empty(Path(folder) / TRIAL), "quality")


def trial(folder: Path) -> dict[str, Any]:
    """Return the trial that made the recording; empty for tables that no trial made. TableError if it is not JSON."""
    path = Path(folder) / TRIAL
    try:
        return read(path)
    except ValueError as error:
        raise TableError(f"{path}: not JSON ({error}): record the trial again") from error


def run_of(folder: Path) -> Path | None:
    """Return the folder of the run that the recording is a trial of, or None."""
    run = Path(folder).resolve().parent.parent
    return run if (run / MANIFEST).is_file() else None


def manifest(run: Path) -> dict[str, Any]:
    """Return the manifest of a run; empty where it cannot be read."""
    return _read_or_empty(run / MANIFEST)


def mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping under a key; empty where there is none."""
    value = content.get(key)
    return value if isinstance(value, dict) else {}


def _read_or_empty(path: Path) -> dict[str, Any]:
    try:
        return read(path)
    except (OSError, ValueError):
        return {}


def read(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file; empty where there is none. Raises OSError, ValueError."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    return content if isinstance(content, dict) else {}
