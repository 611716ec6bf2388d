"""The state of a training on disk after each epoch, so that a training that was killed can resume. Never a pickle.

`progress.json` names the tensor file that belongs to it and its hash, and is replaced last: if writing is interrupted,
the previous epoch is still complete.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from model.files import WEIGHT_ERRORS, read_bytes, read_json, write_atomic

SCHEMA = 4  # raise it when a state holds other things, or the same state leads to another end
FOLDER, PROGRESS = "training", "progress.json"


@dataclass(frozen=True)
class TrainingState:
    """The state of a training after `epoch`: numbers that JSON can hold, and tensors by name."""

    epoch: int
    numbers: Mapping[str, Any]
    tensors: Mapping[str, torch.Tensor]


class StateFolder:
    """The folder with the state of one training. `job` identifies the training and must be JSON-serialisable.

    After `read`: `resumed_after` is the epoch of the state, `seconds_before` the training time up to it, and
    `set_aside` the reason for which a state was not used.
    """

    def __init__(self, model_folder: Path, job: Mapping[str, Any]) -> None:
        self.folder = Path(model_folder) / FOLDER
        self.job = json.loads(json.dumps({"torch": torch.__version__, "version": _version(), **job}, default=str))
        self.resumed_after: int | None = None
        self.seconds_before = 0.0
        self.set_aside: str | None = None

    def read(self) -> TrainingState | None:
        """Return the last state of this job, if any. A damaged state, or that of another job, is set aside."""
        if not (self.folder / PROGRESS).exists():
            return None
        try:
            state = self._read()
            if isinstance(state, TrainingState):
                self.resumed_after, self.seconds_before = state.epoch, float(state.numbers.get("seconds", 0))
        except (*WEIGHT_ERRORS, OSError) as error:
            state = f"the stored state is damaged ({error})"
        if isinstance(state, TrainingState):
            return state
        self.put_aside(state)
        return None

    def put_aside(self, reason: str) -> None:
        """Rename the folder, so that training can start over; `clear` removes both."""
        aside = self._aside()
        shutil.rmtree(aside, ignore_errors=True)
        self.folder.rename(aside)
        self.resumed_after, self.seconds_before, self.set_aside = None, 0.0, f"{self.folder}: {reason}"

    def write(self, state: TrainingState) -> None:
        """Write this state, then delete the previous one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch-{state.epoch:05}.safetensors"
        content = safetensors.torch.save({key: tensor.contiguous() for key, tensor in state.tensors.items()})
        write_atomic(self.folder / name, content)
        progress = {"schema": SCHEMA, "job": self.job, "epoch": state.epoch, "numbers": dict(state.numbers)}
        progress |= {"tensors": name, "sha256": hashlib.sha256(content).hexdigest()}
        write_atomic(self.folder / PROGRESS, json.dumps(progress, indent=1).encode())
        for old in self.folder.glob("epoch-*"):
            if old.name != name:
                old.unlink()

    def clear(self) -> None:
        """Remove every state: the training is over and its result is stored."""
        for folder in (self.folder, self._aside()):
            shutil.rmtree(folder, ignore_errors=True)

    def _read(self) -> TrainingState | str:
        """Return the state, or the reason why it cannot be used."""
        progress = read_json(self.folder / PROGRESS)
        if progress["schema"] != SCHEMA:
            return f"the stored state has schema {progress['schema']}, this version writes {SCHEMA}"
        other = sorted(key for key in {*progress["job"], *self.job} if progress["job"].get(key) != self.job.get(key))
        if other:
            return f"the stored state belongs to another job: different {', '.join(other)}"
        content = read_bytes(self.folder / progress["tensors"])
        if hashlib.sha256(content).hexdigest() != progress["sha256"]:
            return f"{progress['tensors']} is not the file that was written"
        return TrainingState(int(progress["epoch"]), dict(progress["numbers"]), safetensors.torch.load(content))

    def _aside(self) -> Path:
        return self.folder.with_name(f"{FOLDER}.set-aside")


def _version() -> str:
    """Return the release of this package: a training depends on its code too, and goes on after other commits."""
    try:
        installed = importlib.metadata.version("sched-harness")
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
    return installed.partition(".dev")[0].partition("+")[0]
