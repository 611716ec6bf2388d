"""Reads the trial folders: verdict, load metrics, warnings and recording of each, or why it has none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.recorded_clock import RecordedClock
from harness.report.recording_summary import RecordingSummary, assign_colours, read_slices, summarise
from harness.report.text import number, plain
from harness.store import Integrity, json_file
from harness.store.trial_record import HINT
from harness.visible import visible


@dataclass(frozen=True)
class CheckResult:
    """One check of a verdict, as text."""

    name: str
    ok: bool
    value: str
    limit: str
    why: str

    @property
    def brief(self) -> str:
        """The check as one line: its name, value and limit."""
        return f"{self.name} {self.value}, limit {self.limit}"

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
    def host(self) -> dict[str, Any]:
        """What the host did meanwhile; empty for trials of versions before 0.3.0."""
        return mapping(self.record, "host")


def read_trials(folder: Path, integrity: Integrity) -> list[TrialFacts]:
    """Read every trial folder, without its files that are not believed; a task has the same colour in all of them."""
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
    trials = []
    for path in paths:
        frame = frames.get(path)
        summary = summarise(frame, slots) if frame is not None and len(frame) else None
        why = missing.get(path, "" if summary else "Its recording holds no slice.")
        trials.append(_trial(path, summary, why, integrity))
    return trials


def _trial(path: Path, recording: RecordingSummary | None, missing: str, integrity: Integrity) -> TrialFacts:
    facts, guest = (_believed(path / name, integrity) for name in ("trial.json", "guest.json"))
    verdict = mapping(facts, "verdict")
    ok = verdict.get("ok")
    attempts = number(facts.get("attempts"))
    return TrialFacts(
        name=visible(facts.get("name") or path.name),
        arm=visible(facts.get("arm") or path.name),
        ok=ok if isinstance(ok, bool) else None,
        attempts=int(attempts) if attempts is not None else None,
        checks=[_check(check) for check in verdict.get("checks") or () if isinstance(check, dict)],
        metrics=mapping(facts, "metrics"),
        warnings=_warnings(facts),
        guest=guest,
        record=facts,
        clock=RecordedClock.of(mapping(facts, "machine")),
        earlier=[_why_unusable(attempt, integrity) for attempt in _earlier_attempts(path)],
        recording=recording,
        missing=missing,
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


def _why_unusable(attempt: Path, integrity: Integrity) -> str:
    checks = mapping(_believed(attempt / "trial.json", integrity), "verdict").get("checks") or ()
    failed = [_check(check).brief for check in checks if isinstance(check, dict) and check.get("ok") is not True]
    return "; ".join(failed) or "it ended without a verdict"


def _believed(path: Path, integrity: Integrity) -> dict[str, Any]:
    """Return the content of a JSON file two folders below the run's; nothing if it is not as the run wrote it."""
    return _json(path) if integrity.believed("/".join(path.parts[-3:])) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        return as_mapping(json_file.load(path, HINT))
    except StoreError:
        return {}


def _check(check: dict[str, Any]) -> CheckResult:
    return CheckResult(
        name=visible(check.get("name", "")).replace("_", " "),
        ok=check.get("ok") is True,
        value=plain(check.get("value")),
        limit=plain(check.get("limit")),
        why=visible(check.get("why") or ""),
    )


def _warnings(facts: dict[str, Any]) -> list[str]:
    warnings: Iterable[Any] = mapping(facts, "quality").get("warnings") or ()
    return [visible(warnings)] if isinstance(warnings, str) else [visible(warning) for warning in warnings]


def mapping(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the mapping under a key; an empty one where there is none."""
    return as_mapping(holder.get(key))


def as_mapping(value: Any) -> dict[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}
