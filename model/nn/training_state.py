"""The last whole epoch of a training on disk, so that one that was killed goes on where it stood. Never a pickle.

`progress.json` names the tensor file that belongs to it and its hash, and is replaced last: whenever the writing is
cut short, the epoch before is still whole.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import safetensors.torch
import torch

from model.files import WEIGHT_ERRORS, write_atomic

SCHEMA = 3  # raised when trainings come to keep something else
FOLDER, PROGRESS = "training", "progress.json"


@dataclass(frozen=True)
class Entry:
    """Where a training stands: numbers fit for JSON, and tensors by name."""

    epoch: int
    numbers: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]


class Journal:
    """`job` says whose training it is, fit for JSON; what was kept of another one is never gone on with.

    `went_on_after` is the epoch that `read` gave, `seconds_before` what it had taken to get there, and `set_aside` the
    reason why `read` gave none though there was one.
    """

    def __init__(self, model_folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = Path(model_folder) / FOLDER
        self.job = json.loads(json.dumps({"torch": torch.__version__, "version": _version(), **job}, default=str))
        self.went_on_after: int | None = None
        self.seconds_before = 0.0
        self.set_aside: str | None = None

    def read(self) -> Entry | None:
        """The last epoch of this very job; what is there of another job, or damaged, is renamed, and None is given."""
        if not (self.folder / PROGRESS).exists():
            return None
        try:
            found = self._read()
            if isinstance(found, Entry):
                self.went_on_after, self.seconds_before = found.epoch, float(found.numbers.get("seconds", 0))
        except (*WEIGHT_ERRORS, OSError) as error:
            found = f"what was kept is damaged ({error})"
        if isinstance(found, Entry):
            return found
        self.put_aside(found)
        return None

    def put_aside(self, reason: str) -> None:
        """Make room for a training from the start; what was kept can be looked at until that is over."""
        place = self._aside()
        shutil.rmtree(place, ignore_errors=True)
        self.folder.rename(place)
        self.went_on_after, self.seconds_before, self.set_aside = None, 0.0, f"{self.folder}: {reason}"

    def write(self, entry: Entry) -> None:
        """Keep this epoch, and then drop the one before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{entry.epoch:05}.safetensors"
        content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in entry.tensors.items()})
        write_atomic(self.folder / name, content)
        told = {"schema": SCHEMA, "job": self.job, "epoch": entry.epoch, "numbers": dict(entry.numbers)}
        told |= {"tensors": name, "sha256": hashlib.sha256(content).hexdigest()}
        write_atomic(self.folder / PROGRESS, json.dumps(told, indent=1).encode())
        for old in self.folder.glob("epoch-*"):
            if old.name != name:
                old.unlink()

    def clear(self) -> None:
        """The training is over, and what it led to is stored; nothing of its folder is needed or looked at any more."""
        for folder in (self.folder, self._aside()):
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self) -> Entry | str:
        told = json.loads((self.folder / PROGRESS).read_bytes())
        if told["schema"] != SCHEMA:
            return f"it is of schema {told['schema']}, this version writes {SCHEMA}"
        other = sorted(key for key in {*told["job"], *self.job} if told["job"].get(key) != self.job.get(key))
        if other:
            return f"it is of another job, whose {', '.join(other)} differ"
        content = (self.folder / told["tensors"]).read_bytes()
        if hashlib.sha256(content).hexdigest() != told["sha256"]:
            return f"{told['tensors']} is not the file that was written"
        return Entry(int(told["epoch"]), dict(told["numbers"]), safetensors.torch.load(content))

    def _aside(self) -> Path:
        return self.folder.with_name(f"{FOLDER}.set-aside")


@runtime_checkable
class Resumable(Protocol):
    """A predictor whose `fit` writes each epoch to a journal, if there is one, and resumes from it."""

    journal: Journal | None


def _version() -> str:
    """That of this package; a training is a matter of its code too."""
    try:
        return importlib.metadata.version("harness")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
