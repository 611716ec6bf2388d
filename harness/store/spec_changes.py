"""The changes of a run's models after its trials were recorded: what and when, with the SHA-256 before and after."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.store.clock import now

ABSENT = "not given"


def change(old: Mapping[str, Any], new: Mapping[str, Any], command: Sequence[str]) -> dict[str, Any]:
    """Return the record of a change of the models of an experiment, which is given as resolved values.

    Its `changes` are old and new values by path; null stands for a setting that was not given.
    """
    changed = differences(old["model"], new["model"], "model")
    return {
        "when": now(),
        "command": list(command),
        "changes": {path: {"old": before, "new": after} for path, before, after in changed},
        "old_sha256": sha256(old),
        "new_sha256": sha256(new),
    }


def sha256(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a resolved experiment, in a form that does not depend on spaces and order."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def problem(manifest: Mapping[str, Any]) -> str | None:
    """Return where the history of the changes does not lead to the experiment in the manifest; None if it does."""
    hashes = [(each["old_sha256"], each["new_sha256"]) for each in manifest.get("spec_changes", ())]
    following = [old for old, _ in hashes[1:]] + [sha256(manifest["spec"])]
    for number, ((_, new), expected) in enumerate(zip(hashes, following, strict=False), 1):
        if new != expected:
            return f"spec is not the experiment that change {number} of {len(hashes)} made"
    return None


def in_words(manifest: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each change, such as `2026-01-01T12:00:00: model.params.gru.hidden: 0, now 16`."""
    return [
        f"{each['when']}: "
        + "; ".join(
            f"{path}: {shown(values['old'])}, now {shown(values['new'])}" for path, values in each["changes"].items()
        )
        for each in manifest.get("spec_changes", ())
    ]


def shown(value: Any) -> str:
    """Return a value as text; null stands for a setting that was not given."""
    return ABSENT if value is None else json.dumps(value, ensure_ascii=False)


def differences(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield the path, the old and the new value of all that differs; None for a key that one side lacks."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        if old != new:
            yield path, old, new
        return
    for key in {**old, **new}:
        yield from differences(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
