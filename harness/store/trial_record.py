"""trial.json and scores.json: the values that the program reads back from them, as typed as it relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import StoreError
from harness.recorded_clock import RecordedClock
from harness.store.json_file import (
    Check,
    both,
    each,
    items,
    mapping,
    null_or,
    number,
    pair_of,
    plain,
    read,
    text,
    truth,
    wrong,
)

HINT = "`harness verify` lists what has changed; restore the folder from a copy"
NUMBER, TEXT, TEXTS = null_or(number), null_or(text), null_or(each(text))
INTERVAL = null_or(pair_of(NUMBER))


def _maybe(**keys: Check) -> Check:
    return null_or(mapping(**keys))


def _numbers(*names: str) -> dict[str, Check]:
    return dict.fromkeys(names, NUMBER)


MACHINE = _maybe(clock=TEXT, accelerator=TEXT, cpu_speed=NUMBER)
HOST = _maybe(
    share_reason=TEXT,
    clock_step_s=null_or(each(NUMBER)),
    suspended_s=null_or(each(NUMBER)),
    loadavg_before=null_or(items(NUMBER)),
    loadavg_after=null_or(items(NUMBER)),
    frequency_before=_maybe(governor=TEXT, **_numbers("mhz_min", "mhz_max")),
    frequency_after=_maybe(governor=TEXT, **_numbers("mhz_min", "mhz_max")),
    **_numbers("share", "steal_share", "pressure_share", "taken_share", "stolen_share"),
    **_numbers("seconds", "guest_seconds", "paused_s"),
)
CHECK = mapping(name=text, ok=truth, why=TEXT)
TRIAL = mapping(
    name=text,
    arm=text,
    settings=_maybe(),
    attempts=NUMBER,
    tracer=TEXT,
    verdict=_maybe(ok=truth, checks=null_or(items(CHECK)), left_out=null_or(items(text))),
    load=_maybe(kind=TEXT),
    metrics=_maybe(),
    quality=_maybe(span_ns=NUMBER, warnings=null_or(items(text))),
    noise=null_or(each(NUMBER)),
    machine=MACHINE,
    host=HOST,
    host_conditions=_maybe(mitigations=TEXTS),
    **_numbers("switches", "contested_share", "idle_share", "tracer_share", "requests_per_s"),
    **_numbers("guest_idle_share", "guest_switches_per_s", "guest_connections_per_s", "block", "repetition"),
    **dict.fromkeys(("host_id", "boot_id", "recorded_at"), TEXT),
)
GUEST = mapping(
    facts=_maybe(
        scheduler=TEXTS,
        packages=TEXTS,
        mitigations=TEXTS,
        kernel_config=_maybe(sha256=TEXT, options=TEXTS),
        **dict.fromkeys(("kernel_cmdline", "cpu_flags"), TEXT),
    )
)


def _split(value: Any, key: str) -> None:
    """Accept the scores of one part of the switches: intervals, lists, and numbers."""
    mapping()(value, key)
    for name, item in value.items():
        check = INTERVAL if name.endswith("_ci") else items(NUMBER) if isinstance(item, list) else NUMBER
        check(item, f"{key}.{name}")


def _rollout(value: Any, key: str) -> None:
    """Accept the marks of a rollout, each a position in `names`."""
    mapping(names=items(text), **_numbers(*DISTANCES))(value, key)
    known = len(value.get("names", ()))
    for name in ("marks", "real_marks") if value.get("marks") else ():
        if not isinstance(value.get(name), list):
            raise wrong(f"{key}.{name}", value.get(name), "a list")
        for mark in value[name]:
            if not (isinstance(mark, int) and 0 <= mark < known):
                raise wrong(f"{key}.{name}", mark, f"positions in {key}.names, 0 to {known - 1}")


DISTANCES = [f"{whose}{kind}_distance" for whose in ("", "real_") for kind in ("mark", "pair", "triple", "slice")]
SPLITS = dict.fromkeys(("overall", "forced", "contested", "open"), null_or(_split))
TRIAL_SCORES = ("top1", "top1_se", "blocks", "contested_top1", "contested_top1_se", "contested_blocks")
SCORES = mapping(
    {"predictor": text},
    **SPLITS,
    **_numbers("test_events", "fit_seconds", "parameters", "interval_trials", "cpu_speed"),
    **dict.fromkeys(("regime", "mark", "caveat", "clock"), TEXT),
    seed=NUMBER,
    trials=items(text),
    online=_maybe(**SPLITS),
    valid=_maybe(**SPLITS),
    baseline=truth,
    by_trial=null_or(each(mapping(**_numbers(*TRIAL_SCORES, "bits_per_switch")))),
    rollout=null_or(_rollout),
)


def read_trial(folder: Path) -> dict[str, Any]:
    """Read trial.json of a trial's folder. Raises StoreError when it is missing or damaged."""
    return read(folder / "trial.json", both(TRIAL, plain), HINT)


def read_guest(folder: Path) -> dict[str, Any]:
    """Read guest.json of a trial's folder. Raises StoreError when it is missing or damaged."""
    return read(folder / "guest.json", both(GUEST, plain), HINT)


def read_scores(folder: Path) -> dict[str, Any]:
    """Read scores.json of a model's folder. Raises StoreError when it is missing or damaged."""
    return read(folder / "scores.json", both(SCORES, plain), HINT)


def clock_beside(recording: Path) -> dict[str, str]:
    """Return the clock of the machine, as tables keep it, if a recording lies beside its trial.json; else nothing."""
    try:
        return RecordedClock.of(read_trial(recording.parent)["machine"]).about()
    except (StoreError, LookupError, AttributeError):
        return {}
