"""manifest.json: the experiment of a run, its software and host, and the state of each step."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness import files
from harness.errors import StoreError
from harness.store import block_record, json_file
from harness.store.clock import now
from harness.store.json_file import anything, each, items, mapping, null_or, number, one_of, text, truth
from harness.store.software import versions as versions

if TYPE_CHECKING:
    from harness.plan import Trial
    from harness.spec import Experiment

NAME = "manifest.json"
SCHEMA_VERSION = 1
STATES = ("running", "interrupted", "failed", "done")
HINT = "restore it from a copy, or start a new run"
KILLED = "its process was killed"
MAX_NAME = 255  # bytes of one part of a path
CLEANED = "cleaned"  # the key of the tables that may be absent, by their paths
_TABLE = re.compile(r"trials/([^/]+)/(switches|wakeups|slices|runtimes)\.parquet")
SEAL = files.SEAL

TEXT, NUMBER, ANY = null_or(text), null_or(number), mapping()
MACHINE = mapping(clock=TEXT, accelerator=TEXT)
BOX = mapping(
    {"name": text},
    asked=TEXT,
    digest=TEXT,
    kernel_source=TEXT,
    fallback_reason=TEXT,
    provisioned=null_or(mapping(digest=TEXT, image_sha256=TEXT)),
)
SHOWN = (
    *("switches", "contested_share", "idle_share", "tracer_share", "requests_per_s", "host_share"),
    *("guest_idle_share", "guest_switches_per_s", "guest_connections_per_s"),  # as the guest's kernel counted them
)
VERSIONS = mapping(harness=text, commit=TEXT, dirty=null_or(truth), packages=ANY)
STEP = mapping(
    {
        "state": one_of(*STATES),
        "seconds": NUMBER,
        "outputs": each(text),
        "detail": mapping(
            arm=text, clock=TEXT, tracer=TEXT, conclusion=text, metrics=null_or(ANY), **dict.fromkeys(SHOWN, NUMBER)
        ),
        "error": TEXT,
    },
    versions=null_or(VERSIONS),
)
SPEC_CHANGE = mapping(
    {
        "when": text,
        "changes": each(mapping({"old": anything, "new": anything})),
        "old_sha256": text,
        "new_sha256": text,
    },
    set_aside=items(text),
)
MANIFEST = mapping(
    {
        "name": text,
        "state": one_of(*STATES),
        "spec": mapping({"name": text}),
        "spec_text": text,
        "spec_sha256": text,
        "steps": each(STEP),
    },
    spec_source=TEXT,
    spec_file=TEXT,
    spec_file_sha256=TEXT,
    error=TEXT,
    sha256=TEXT,
    edited=TEXT,
    trials_planned=NUMBER,
    versions=VERSIONS,
    load_packages=each(text),
    host=ANY,
    box=null_or(BOX),
    machine=null_or(MACHINE),
    arms=each(mapping({"box": BOX, "machine": MACHINE}, packages=ANY)),
    blocks=null_or(block_record.BLOCKS),
    repeats=mapping({"run": text}),
    spec_changes=items(SPEC_CHANGE),
    files=each(mapping({"path": text, "sha256": text, "copy": TEXT})),
    tracking=each(mapping(run=TEXT, sent=TEXT, missing=TEXT)),
    cleaned=each(mapping({"content_sha256": text, "modified_ns": number})),
)


def new(name: str, experiment: Experiment, command: Sequence[str]) -> dict[str, Any]:
    """Return the manifest of a new run. `spec_text` is the file as it was read, `spec` all resolved values."""
    from harness import plan, spec  # slow to import, and reading a manifest does not need them

    trials = plan.trials(experiment)
    return {
        "schema_version": SCHEMA_VERSION,
        "name": name,
        "state": "running",
        "created": now(),
        "command": list(command),
        "spec": spec.to_dict(experiment),
        "spec_source": str(experiment.source) if experiment.source else None,
        "spec_text": experiment.text,
        "spec_sha256": text_sha256(experiment.text),
        "trials_planned": len(trials),
        block_record.KEY: block_record.new(experiment),
        "versions": versions(),
        "load_packages": _load_packages(trials),
        "host": host_facts(),
        "box": None,
        "machine": None,
        "arms": {},
        "steps": {},
    }


def _load_packages(trials: Sequence[Trial]) -> dict[str, str]:
    """Return name and version of the package that each load comes from; those of harness come from none."""
    from harness.loads import KINDS

    kinds = {part.kind for trial in trials for part in trial.load.parts}
    return {kind: package for kind in sorted(kinds) if (package := KINDS.package_of(kind))}


def read(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run folder. Raises StoreError when it is missing, damaged or of an unknown schema."""
    path = folder / NAME
    try:
        folder.stat()
        path.lstat()
    except OSError as error:
        nothing = isinstance(error, (FileNotFoundError, NotADirectoryError)) and not folder.is_symlink()
        why = f"this is no run folder: it has no {NAME}" if nothing else f"this folder cannot be read: {error.strerror}"
        raise StoreError(why, where=str(folder), hint="`harness ls` lists the runs") from None
    manifest = json_file.read(path, mapping(), HINT)
    check(manifest, path)
    return manifest


def sealed(content: Mapping[str, Any], read: Mapping[str, Any]) -> dict[str, Any]:
    """Return `content` with its SHA-256; `edited` keeps when it was first noticed that something else changed it.

    `read` is the manifest as it was read. A change in it must not become valid by being written again.
    """
    unsealed = {key: value for key, value in content.items() if key not in (SEAL, "edited")}
    if edited := content.get("edited") or (now() if is_edited(read) else None):
        unsealed["edited"] = edited
    return files.sealed(unsealed)


def is_edited(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest differs from its own SHA-256; one of a version before 0.3.0 has none."""
    return bool(manifest.get("edited")) or files.is_changed(manifest)


def without_process(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest of a run in which no process works: what it calls running was interrupted."""
    steps = {name: _interrupted_if_running(step) for name, step in manifest["steps"].items()}
    return {**_interrupted_if_running(manifest), "steps": steps}


def _interrupted_if_running(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "state": "interrupted", "error": KILLED} if entry["state"] == "running" else entry


def cleaned(manifest: Mapping[str, Any], folder: Path) -> list[str]:
    """Return the paths of the tables that are absent because `harness clean` removed them."""
    steps = manifest["steps"]
    listed = (
        path
        for path in manifest.get(CLEANED, {})
        if path in steps.get(f"trial:{trial_of(path)}", {}).get("outputs", ())
    )
    return [path for path in listed if not os.path.lexists(folder / path)]


def trial_of(path: str) -> str | None:
    """Return the trial of which a path in a run folder is a table; None for any other path."""
    table = _TABLE.fullmatch(path)
    return table[1] if table else None


def check(manifest: dict[str, Any], path: Path) -> None:
    """Raise StoreError unless `manifest` has the shape this version writes."""
    schema = manifest.get("schema_version")
    if schema != SCHEMA_VERSION:
        expected = f"schema_version {SCHEMA_VERSION}"
        hint = "use the version of harness that wrote it"
        what = f"the manifest has schema_version {json_file.shown(schema)}"
        raise StoreError(what, where=str(path), expected=expected, hint=hint)
    json_file.require(manifest, _check, path, HINT)


def host_facts() -> dict[str, Any]:
    """Return CPU model, number of CPUs, memory and kernel of the host, and `id`, but not its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "id": host_id(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_mb": memory // 2**20,
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "python": sys.implementation.name,
    }


def host_id(machine_id: Path = Path("/etc/machine-id")) -> str | None:
    """Return 16 hexadecimal digits that differ from host to host; None where the host has no machine-id.

    machine-id(5) asks that the id itself is kept secret, and that a hash of it is used.
    """
    try:
        secret = machine_id.read_text("ascii").strip()
    except (OSError, ValueError):
        return None
    return text_sha256(f"harness host{secret}")[:16] if secret else None


def plain(value: Any) -> Any:
    """Convert `value` to JSON types: paths to text, numpy scalars to numbers, NaN and infinity to null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return plain(value.item()) if hasattr(value, "item") else str(value)


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text as UTF-8, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _check(manifest: dict[str, Any], key: str) -> None:
    json_file.plain(manifest, key)
    MANIFEST(manifest, key)
    for name, step in manifest["steps"].items():
        kind, _, rest = name.partition(":")
        paths = [*step["outputs"], *([rest] if kind in ("trial", "model") else [])]
        for path in paths:
            if not _is_inside(path):
                raise json_file.wrong(f"a path of step {name}", path, "a path inside of the run folder")
    for name, entry in manifest.get("files", {}).items():
        if entry["copy"] and not _is_inside(entry["copy"]):
            raise json_file.wrong(f"the copy of {name}", entry["copy"], "a path inside of the run folder")
    for path in manifest.get(CLEANED, {}):
        if not (_is_inside(path) and trial_of(path)):
            raise json_file.wrong(f"a path of {CLEANED}", path, "trials/TRIAL/TABLE.parquet")


def _is_inside(path: str) -> bool:
    """Return whether a path stays inside of the run folder, and is one that a file can have."""
    pure = PurePosixPath(path)
    short = all(len(part.encode()) <= MAX_NAME for part in pure.parts)
    return bool(path) and short and "\0" not in path and not pure.is_absolute() and ".." not in pure.parts


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
