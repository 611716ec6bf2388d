"""The judgement that lies beside the tables of a recording, which `train`, `evaluate` and `predict` read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from harness.store.json_file import each, mapping, null_or, number, read, require, text, truth, wrong
from harness.trace.quality import TraceQuality, damage
from model.data import metadata

HINT = "convert the recording again: harness trace convert"
NOTHING_MISSING = TraceQuality(0, 0, 0, 0, False, False, 0, "perf", (), 0)


def _list(value: Any, key: str) -> None:
    if not isinstance(value, list):
        raise wrong(key, value, "a list")


CHECKS = {bool: truth, int: number, str: text, tuple: _list, dict: each(number)}
KNOWN = {  # the fields of TraceQuality, except those that are records themselves
    one.name: CHECKS[kind]
    for one in fields(TraceQuality)
    if (kind := type(getattr(NOTHING_MISSING, one.name))) in CHECKS
}
OF_TABLES = mapping({"quality": mapping({"whole": truth}, **KNOWN)})
OF_TRIAL = mapping(quality=null_or(mapping(whole=truth, **KNOWN)))  # 0.2.0 did not write whether it is whole


@dataclass(frozen=True)
class RecordedQuality:
    """`facts` are the fields of TraceQuality as some version wrote them; empty where it wrote none.

    `passed`: the recording is of a trial that passed its verdict, whose limits the experiment file sets. `named`: what
    the user named it by, if that is not the folder of its tables.
    """

    folder: Path
    facts: Mapping[str, Any]
    passed: bool = False
    named: Path | None = None

    @property
    def name(self) -> Path:
        """The path to show."""
        return self.named or self.folder

    @property
    def judged(self) -> bool:
        """Whether anything is known of the recording; tables of 0.2.0 without a trial were never judged."""
        return self.passed or bool(self.facts)

    @property
    def sound(self) -> bool:
        """Whether nothing speaks against the recording; one that was not judged counts as sound."""
        return self.passed or bool(self.facts.get("whole", self.quality.whole))

    @property
    def quality(self) -> TraceQuality:
        """The facts that this version knows; those that another did not write count as sound."""
        known = ((name, self.facts[name]) for name in KNOWN if name in self.facts)
        values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in known}
        return replace(NOTHING_MISSING, **values)

    @property
    def problem(self) -> str:
        """What is missing from the recording, and every warning about it; empty for one that passed its verdict."""
        if self.passed:
            return ""
        lost = [] if self.sound else [f"it is not whole: {damage(self.quality) or 'another version says no more'}"]
        return "; ".join([*lost, *map(str, self.quality.warnings)])

    def to_dict(self) -> dict[str, Any]:
        """Return the folder and everything known, for JSON; `sound` is null where nothing is known."""
        return {"recording": str(self.name), "sound": self.sound if self.judged else None, **self.facts}


def read_quality(folder: Path) -> RecordedQuality:
    """Read recording.json, or the trial.json of a trial. Raises StoreError or TableError if the file is damaged."""
    trial = metadata.trial(folder)
    verdict, path = trial.get("verdict"), folder / metadata.RECORDING
    if path.exists():
        facts = read(path, OF_TABLES, HINT)["quality"]
    else:
        require(trial, OF_TRIAL, folder / metadata.TRIAL, HINT)
        facts = trial.get("quality") or {}
    return RecordedQuality(folder, facts, isinstance(verdict, dict) and verdict.get("ok") is True)


def read_qualities(folders: Iterable[Path], names: Mapping[Path, Path] | None = None) -> list[RecordedQuality]:
    """Read those of several recordings, each once; `names` has what the user named some by."""
    return [replace(read_quality(folder), named=(names or {}).get(folder)) for folder in dict.fromkeys(folders)]
