"""The files that an experiment names: hashed when a run begins, the small ones copied into its folder.

What a run does later, it does with its copies. A file that was too large for a copy has to be the same as before.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HostError, StoreError
from harness.files import as_host_error, tree_sha256
from harness.store.clock import now

if TYPE_CHECKING:
    from harness.spec import Experiment

KEY = FOLDER = STEP = "files"  # in the manifest, of the copies in the run folder, of the step that made these
MAX_COPY_BYTES = 16 * 2**20
HINT = "put the old content there, or begin a new run"

Entries = dict[str, dict[str, Any]]


def record(folder: Path, experiment: Experiment) -> Entries:
    """Hash what the experiment names, and copy small files; return the manifest's entry of each, by its keys.

    Raises HostError if one cannot be read any more, or its copy cannot be written.
    """
    from harness import spec

    return {one.name: _entry(folder, Path(one.text)) for one in spec.named_files(experiment)}


def step(entries: Entries) -> dict[str, Any]:
    """Return the step of the manifest that lists the copies, by its name; without a copy, none."""
    outputs = {entry["copy"]: entry["sha256"] for entry in entries.values() if entry["copy"]}
    done = {"state": "done", "started": now(), "seconds": 0.0, "outputs": outputs, "detail": {}, "error": None}
    return {STEP: done} if outputs else {}


def in_run(values: dict[str, Any], entries: Entries, folder: Path | None) -> dict[str, Any]:
    """Return the values of an experiment with the copies in the place of the originals.

    They are in the run folder `folder`; with None their paths are relative to it.
    """
    from harness.spec import file_paths

    copies = {name: entry["copy"] for name, entry in entries.items() if entry["copy"]}
    places = {one.keys: copies[one.name] for one in file_paths.named(values) if one.name in copies}
    return file_paths.replaced(values, {keys: str(folder / copy) if folder else copy for keys, copy in places.items()})


def require_unchanged(folder: Path, manifest: Mapping[str, Any], paths: Collection[str] | None = None) -> None:
    """Raise StoreError if a file that the experiment of a run names is not as it was when the run began.

    With `paths`, only these files are looked at.
    """
    for name, entry in manifest.get(KEY, {}).items():
        path = folder / entry["copy"] if entry["copy"] else Path(entry["path"])
        if paths is not None and str(path) not in paths:
            continue
        try:
            actual = tree_sha256(path)
        except OSError as error:
            raise StoreError(
                f"{name} of this run cannot be read: {error.strerror}",
                where=str(path),
                expected=_expected(entry),
                hint=HINT,
            ) from None
        if actual != entry["sha256"]:
            what = f"{name} has changed since the run {folder.name} began: its SHA-256 is {actual}"
            raise StoreError(what, where=str(path), expected=_expected(entry), hint=HINT)


def _expected(entry: Mapping[str, Any]) -> str:
    return f"SHA-256 {entry['sha256']}"


def _entry(folder: Path, path: Path) -> dict[str, Any]:
    from harness.named_files import own_path  # which needs pydantic

    try:
        digest, is_small = tree_sha256(path), path.is_file() and path.stat().st_size <= MAX_COPY_BYTES
    except OSError as error:
        raise HostError(f"a file of the experiment cannot be read: {error.strerror}", where=str(path)) from None
    copy = f"{FOLDER}/{digest[:12]}/{own_path(path)}" if is_small else None
    if copy:
        with as_host_error(folder / copy):
            (folder / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / copy)
    return {"path": str(path), "sha256": digest, "copy": copy}
