"""Run folders: manifest, hashes, lock, states, events."""

from __future__ import annotations

from harness.store.folder import RunFolder
from harness.store.integrity import Integrity
from harness.store.manifest import SCHEMA_VERSION, STATES
from harness.store.runs import find_runs, readable, resolve
from harness.store.verify import FileProblem

__all__ = [
    "SCHEMA_VERSION",
    "STATES",
    "FileProblem",
    "Integrity",
    "RunFolder",
    "find_runs",
    "readable",
    "resolve",
]
