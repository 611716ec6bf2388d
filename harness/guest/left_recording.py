"""A recording that a killed process left: complete in the trial's folder, or still on the guest.

The guest does not know that the harness is gone: it records on, and keeps its files until the next trial.
"""

from __future__ import annotations

import ast
import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import zstandard

from harness.errors import RemoteError, TrialError
from harness.files import sha256
from harness.guest.monitor import Monitor
from harness.guest.phases import OnPhase, Phases
from harness.guest.remote import Host
from harness.guest.trial import PULLED, SCRIPTS, TrialFiles, collect, files_in, stopped_on_error
from harness.guest.trial_script import BOOT_ID
from harness.loads import Load
from harness.progress import Watcher

BLOCK_BYTES = 1 << 20
ASK_LIMIT_S = 60.0


def config_of(folder: Path) -> dict[str, Any]:
    """Return the configuration of the guest script in a trial's folder. Raises TrialError when there is none."""
    with suppress(OSError, ValueError, SyntaxError, TypeError):
        for line in (folder / "trial.py").read_text(encoding="utf-8").splitlines():
            if line.startswith("CONFIG_JSON = "):
                config = json.loads(ast.literal_eval(line.partition(" = ")[2]))
                return dict(config)
    raise TrialError("the guest script was not sent yet", where=str(folder))


def attempt_of(config: dict[str, Any]) -> int:
    """Return the number of the attempt that a guest script is for; its label ends with it."""
    return int(config["label"].rpartition("-a")[2])


def complete_in(folder: Path) -> TrialFiles | None:
    """Return the files of a recording that was copied whole, with the hashes that its guest gave; None if none was."""
    try:
        guest = json.loads((folder / "guest.json").read_text(encoding="utf-8"))
        wanted = guest["sha256"]
        data = _recording_in(folder) if "perf.data" in wanted else None  # a trial without a tracer has none
        if (data and _content_sha256(data) != wanted["perf.data"]) or sha256(folder / "load.txt") != wanted["load.txt"]:
            return None
        return TrialFiles(data, folder / "load.txt", folder / "guest.json", guest, guest["metrics"], None)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, zstandard.ZstdError):
        return None


def remove_half_copied(folder: Path) -> None:
    """Remove what was copied of a recording that did not arrive whole, and a folder that holds only its scripts."""
    if complete_in(folder):
        return
    for name in (*PULLED, "guest.json"):
        for path in (folder / name, folder / f"{name}.pulled"):
            path.unlink(missing_ok=True)
    scripts = {"trial.py", SCRIPTS, "facts.py", "tasks.py", ".observation.json"}  # two lay beside it until version 0.2
    if {path.name for path in folder.iterdir()} <= scripts:
        shutil.rmtree(folder)


def fetch(host: Host, load: Load, folder: Path, watcher: Watcher, *, monitor: Monitor, on_phase: OnPhase) -> TrialFiles:
    """Copy the recording of the trial whose script is in `folder` from its guest; wait while it records.

    `on_phase` is called with the phases to come; when those before them came is not known any more. Raises TrialError
    when nothing was recorded yet, and what `harness.guest.trial.run` raises.
    """
    config = config_of(folder)
    if host.vigil is not None:
        host.vigil.tell = watcher.warn
    phases = Phases(monitor, config["label"], host.where, pace=host.clock, vigil=host.vigil, attach=True)
    missed = set(phases.missed)
    if "recording" not in missed:
        raise TrialError("the recording had not begun when its process was killed", where=host.where)
    with stopped_on_error(host, phases, folder):
        fresh: OnPhase = lambda phase, late_s: None if phase in missed else on_phase(phase, late_s)  # noqa: E731
        guest = collect(host, config, load, phases, folder, watcher, fresh)
        _require_same_boot(host, guest, folder)
    host.close()
    return files_in(folder, guest, None)


def _require_same_boot(host: Host, guest: dict[str, Any], folder: Path) -> None:
    try:
        boot_id = host.run(f"cat {BOOT_ID}", timeout_s=ASK_LIMIT_S).stdout.strip()
        if guest.get("boot_id") != boot_id:
            raise TrialError("the guest started again after the recording", where=host.where)
    except (RemoteError, TrialError):
        (folder / "guest.json").unlink()  # without it, no recording counts as copied
        raise


def _recording_in(folder: Path) -> Path:
    """Return the recording in a trial's folder, which is compressed once it was judged. Raises StopIteration."""
    return next(path for name in ("perf.data", "perf.data.zst") if (path := folder / name).is_file())


def _content_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, or of what a file compressed with zstd holds."""
    if path.suffix != ".zst":
        return sha256(path)
    digest = hashlib.sha256()
    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as source:
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
