"""trial.json and scores.json: the values that the program reads back from them, as typed as it relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.store.json_file import Check, each, mapping, null_or, number, read, text, truth

HINT = "`harness verify` lists what has changed; restore the folder from a copy"
NUMBER = null_or(number)


def _maybe(**keys: Check) -> Check:
    return null_or(mapping(**keys))


MACHINE = _maybe(clock=null_or(text), accelerator=null_or(text))
TRIAL = mapping(
    name=text,
    arm=text,
    verdict=_maybe(ok=truth),
    quality=_maybe(span_ns=NUMBER),
    noise=null_or(each(NUMBER)),
    machine=MACHINE,
    host=_maybe(share=NUMBER),
    **dict.fromkeys(("switches", "contested_share", "idle_share", "tracer_share", "requests_per_s"), NUMBER),
)
SCORED = mapping(**dict.fromkeys(("top1", "contested_top1", "bits_per_switch"), NUMBER))
SCORES = mapping({"predictor": text}, by_trial=null_or(each(SCORED)))


def read_trial(folder: Path) -> dict[str, Any]:
    """Read trial.json of a trial's folder. Raises StoreError when it is missing or damaged."""
    return read(folder / "trial.json", TRIAL, HINT)


def read_scores(folder: Path) -> dict[str, Any]:
    """Read scores.json of a model's folder. Raises StoreError when it is missing or damaged."""
    return read(folder / "scores.json", SCORES, HINT)
