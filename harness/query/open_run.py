"""A run that is queried: its name in the query, its manifest, and the JSON files of its trials and models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.store import RunFolder, verify
from harness.store.trial_record import read_scores, read_trial


@dataclass
class OpenRun:
    """A run; `problems` collects a sentence for each file that could not be read, or is not as the run wrote it."""

    name: str
    folder: RunFolder
    problems: list[str] = field(default_factory=list)

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest, copied once."""
        return self.folder.manifest

    @property
    def edited(self) -> bool:
        """Whether another program changed the manifest."""
        return self.folder.is_edited

    def reopen(self) -> None:
        """Read the manifest again."""
        self.folder = RunFolder.open(self.folder.path)
        vars(self).pop("manifest", None)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    def steps(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what follows the colon of each step of a kind, and the step, by name."""
        for name, step in sorted(self.manifest["steps"].items()):
            first, colon, rest = name.partition(":")
            if colon and first == kind:
                yield rest, step

    @cached_property
    def trials(self) -> dict[str, Mapping[str, Any]]:
        """The content of trial.json of each trial that has one to be read."""
        known: dict[str, Mapping[str, Any]] = {}
        for name, step in self.steps("trial"):
            path = f"trials/{name}/trial.json"
            if (self.path / path).exists() and self._is_as_written(path, step):
                try:
                    known[name] = read_trial(self.path / "trials" / name)
                except StoreError as error:
                    self._note(f"{path}: {error.what}")
        return known

    @cached_property
    def scores(self) -> dict[str, Mapping[str, Any]]:
        """The content of scores.json of each model that was trained and scored."""
        known: dict[str, Mapping[str, Any]] = {}
        for name, step in self.steps("model"):
            path = f"models/{name}/scores.json"
            if step["state"] == "done" and self._is_as_written(path, step):
                try:
                    known[name] = read_scores(self.path / "models" / name)
                except StoreError as error:
                    self._note(f"{path}: {error.what}")
        return known

    def _is_as_written(self, path: str, step: Mapping[str, Any]) -> bool:
        """Compare a file with its SHA-256; that of a step which is not done has none, and is believed."""
        if path not in step["outputs"]:
            return True
        found = list(verify.of_output(self.path / path, path, step["outputs"][path], "that made it"))
        for problem in found:
            self._note(f"{problem}: what it says is left out")
        return not found

    def _note(self, sentence: str) -> None:
        self.problems.append(f"{self.name}: {sentence}")
