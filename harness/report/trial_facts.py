"""Reads the trial folders: verdict, load metrics, warnings and recording of each, or why it has none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.recorded_clock import RecordedClock
from harness.report.recording_summary import RecordingSummary, assign_colours, read_slices, summarise
from harness.report.text import number, plain
from harness.store import Integrity
from harness.store.trial_record import read_guest, read_trial
from harness.visible import visible


@dataclass(frozen=True)
class CheckResult:
    """One check of a verdict; its value and limit are numbers or texts."""

    name: str
    ok: bool
    value: Any
    limit: Any
    why: str

    @property
    def brief(self) -> str:
        """The check as one line: its name, value and limit."""
        return f"{self.name} {plain(self.value)}, limit {plain(self.limit)}"

    @property
    def text(self) -> str:
        """The same with the reason why it failed."""
        return self.brief + f" ({self.why})" * bool(self.why)


@dataclass(frozen=True)
class TrialFacts:
    """One trial: its verdict (`ok` is None where there is none), load metrics, warnings, and recording or `missing`.

    `record` is the content of trial.json; `earlier` says of each attempt before the last why it may not be used.
    """

    name: str
    arm: str
    ok: bool | None
    attempts: int | None
    checks: list[CheckResult]
    metrics: dict[str, Any]
    warnings: list[str]
    guest: dict[str, Any]
    record: dict[str, Any]
    clock: RecordedClock
    earlier: list[str]
    recording: RecordingSummary | None
    missing: str

    @property
    def untraced(self) -> bool:
        """Whether it was recorded without a tracer: then nothing is missing."""
        return self.record.get("tracer") == "none"

    @property
    def not_judged(self) -> list[str]:
        """The checks that nothing is known for."""
        return [visible(name) for name in mapping(self.record, "verdict").get("left_out") or ()]

    @property
    def host(self) -> dict[str, Any]:
        """What the host did meanwhile; empty for trials of versions before 0.3.0."""
        return mapping(self.record, "host")


def read_trials(folder: Path, integrity: Integrity) -> tuple[list[TrialFacts], list[str]]:
    """Read every trial folder, without its files that are not believed; a task has the same colour in all of them.

    Return the trials, and one sentence for each file that cannot be read.
    """
    paths = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    frames, missing = {}, {}
    for path in paths:
        if not integrity.believed(f"trials/{path.name}/slices.parquet"):
            missing[path] = "Its slices.parquet is not the file that the run wrote, so its figures are left out."
            continue
        try:
            frames[path] = read_slices(path)
        except FileNotFoundError:
            missing[path] = "It has no slices.parquet: nothing was recorded, or the recording was not read."
        except (OSError, ValueError, KeyError) as error:
            missing[path] = f"Its slices.parquet cannot be read: {visible(error)}"
    slots = assign_colours(list(frames.values()))
    trials, problems = list[TrialFacts](), list[str]()
    for path in paths:
        frame = frames.get(path)
        summary = summarise(frame, slots) if frame is not None and len(frame) else None
        why = missing.get(path, "" if summary else "Its recording holds no slice.")
        trials.append(_trial(path, summary, why, integrity, problems))
    return trials, problems


def _trial(
    path: Path, recording: RecordingSummary | None, missing: str, integrity: Integrity, problems: list[str]
) -> TrialFacts:
    facts = _believed(path, "trial.json", read_trial, integrity, problems)
    guest = _believed(path, "guest.json", read_guest, integrity, problems)
    verdict = mapping(facts, "verdict")
    ok = verdict.get("ok")
    attempts = number(facts.get("attempts"))
    return TrialFacts(
        name=visible(facts.get("name") or path.name),
        arm=visible(facts.get("arm") or path.name),
        ok=ok if isinstance(ok, bool) else None,
        attempts=int(attempts) if attempts is not None else None,
        checks=[_check(check) for check in verdict.get("checks") or ()],
        metrics=mapping(facts, "metrics"),
        warnings=[visible(warning) for warning in mapping(facts, "quality").get("warnings") or ()],
        guest=guest,
        record=facts,
        clock=RecordedClock.of(mapping(facts, "machine")),
        earlier=[_why_unusable(attempt, integrity, problems) for attempt in _earlier_attempts(path)],
        recording=recording,
        missing="" if facts.get("tracer") == "none" else missing,
    )


def _earlier_attempts(trial: Path) -> list[Path]:
    """Return the folders of the attempts that were set aside, oldest first."""
    attempts = trial.parent.parent / "attempts"
    numbered = [
        (int(number), path)
        for path in (attempts.iterdir() if attempts.is_dir() else ())
        for name, _, number in [path.name.rpartition("-")]
        if name == trial.name and number.isdecimal()
    ]
    return [path for _, path in sorted(numbered)]


def _why_unusable(attempt: Path, integrity: Integrity, problems: list[str]) -> str:
    facts = _believed(attempt, "trial.json", read_trial, integrity, problems)
    checks = [_check(check) for check in mapping(facts, "verdict").get("checks") or ()]
    failed = [check.brief for check in checks if not check.ok]
    return "; ".join(failed) or "it ended without a verdict"


def _believed(
    folder: Path, name: str, read: Callable[[Path], dict[str, Any]], integrity: Integrity, problems: list[str]
) -> dict[str, Any]:
    """Return the content of a JSON file; nothing if there is none, or it is not as the run wrote it, or damaged."""
    path = folder / name
    if not os.path.lexists(path) or not integrity.believed("/".join(path.parts[-3:])):
        return {}
    try:
        return read(folder)
    except StoreError as error:
        problems.append(f"{visible(folder.name)}: {visible(error.what)}")
        return {}


def _check(check: dict[str, Any]) -> CheckResult:
    return CheckResult(
        name=visible(check.get("name", "")).replace("_", " "),
        ok=check.get("ok") is True,
        value=check.get("value"),
        limit=check.get("limit"),
        why=visible(check.get("why") or ""),
    )


def mapping(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping under a key; an empty one where there is none."""
    return as_mapping(holder.get(key))


def as_mapping(value: Any) -> dict[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
