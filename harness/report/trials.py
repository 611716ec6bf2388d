"""What each trial left: its verdict, load metrics, warnings, and recording; or why there is none."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.report import recordings
from harness.report.recordings import Recording
from harness.report.text import number, plain, visible


@dataclass(frozen=True)
class Check:
    """One check of a verdict, as text."""

    name: str
    ok: bool
    value: str
    limit: str
    why: str


@dataclass(frozen=True)
class Trial:
    """One trial: its verdict (`ok` is None where there is none), load metrics, warnings, and recording or `missing`."""

    name: str
    arm: str
    ok: bool | None
    attempts: int | None
    checks: list[Check]
    metrics: dict[str, Any]
    warnings: list[str]
    guest: dict[str, Any]
    recording: Recording | None
    missing: str


def read_trials(folder: Path) -> list[Trial]:
    """Every trial folder; colours are shared, so that a task looks the same in all of them."""
    paths = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    frames, missing = {}, {}
    for path in paths:
        try:
            frames[path] = recordings.read_slices(path)
        except FileNotFoundError:
            missing[path] = "It has no slices.parquet: nothing was recorded, or the recording was not read."
        except (OSError, ValueError, KeyError) as error:
            missing[path] = f"Its slices.parquet cannot be read: {visible(error)}"
    slots = recordings.palette(list(frames.values()))
    trials = []
    for path in paths:
        frame = frames.get(path)
        summary = recordings.summarise(frame, slots) if frame is not None and len(frame) else None
        why = missing.get(path, "" if summary else "Its recording holds no slice.")
        trials.append(_trial(path, summary, why))
    return trials


def _trial(path: Path, recording: Recording | None, missing: str) -> Trial:
    facts, guest = _json(path / "trial.json"), _json(path / "guest.json")
    verdict = mapping(facts, "verdict")
    ok = verdict.get("ok")
    attempts = number(facts.get("attempts"))
    return Trial(
        name=visible(facts.get("name") or path.name),
        arm=visible(facts.get("arm") or path.name),
        ok=ok if isinstance(ok, bool) else None,
        attempts=int(attempts) if attempts is not None else None,
        checks=[_check(check) for check in verdict.get("checks") or () if isinstance(check, dict)],
        metrics=mapping(facts, "metrics"),
        warnings=_warnings(facts),
        guest=guest,
        recording=recording,
        missing=missing,
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _check(check: dict[str, Any]) -> Check:
    return Check(
        name=visible(check.get("name", "")).replace("_", " "),
        ok=check.get("ok") is True,
        value=plain(check.get("value")),
        limit=plain(check.get("limit")),
        why=visible(check.get("why") or ""),
    )


def _warnings(facts: dict[str, Any]) -> list[str]:
    quality = mapping(facts, "quality")
    found: Iterable[Any] = quality.get("warnings") or ()
    return [visible(found)] if isinstance(found, str) else [visible(warning) for warning in found]


def mapping(holder: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The mapping under a key; an empty one where there is none."""
    found = holder.get(key)
    return found if isinstance(found, dict) else {}
