"""What the host did while each trial was recorded: in one line for the head of the page, and trial by trial."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.noise.clocks import CLOCK_STEPS
from harness.recorded_clock import RecordedClock
from harness.report.text import NO_VALUE, count, number, percent, plain, seconds
from harness.report.trial_facts import TrialFacts, mapping
from harness.visible import visible

NOT_MEASURED = "not measured"
LEAST_STEP_S = 0.01
COLUMNS = (
    "host share", "steal", "pressure", "taken by others", "load average", "CPU MHz", "host s / guest s",
    "clock steps, pauses", "busiest beside it, CPUs",
)  # fmt: skip
Row = tuple[str, list[str]]


def by_clock(trials: Sequence[TrialFacts]) -> dict[RecordedClock, list[TrialFacts]]:
    """Group trials by the clock they were recorded with."""
    groups: dict[RecordedClock, list[TrialFacts]] = {}
    for trial in trials:
        groups.setdefault(trial.clock, []).append(trial)
    return groups


def conditions(trials: Sequence[TrialFacts]) -> list[tuple[str, str]]:
    """Return, for each clock, its name and a sentence on the host's share of the trials recorded with it.

    A trial that ended before trial.json was written has no clock.
    """
    groups = by_clock([trial for trial in trials if trial.record])
    return [
        (_clock_name(clock, group, len(groups) > 1), _share(clock, group) + _pauses(clock, group))
        for clock, group in groups.items()
    ]


def _clock_name(clock: RecordedClock, trials: Sequence[TrialFacts], several: bool) -> str:
    arms = ", ".join(dict.fromkeys(trial.arm for trial in trials))
    return clock.name + (f", in {arms}" if several else "")


def _share(clock: RecordedClock, trials: Sequence[TrialFacts]) -> str:
    """How long the host kept the guest's CPU waiting: the range over the trials, or why it is not known."""
    known = [share for trial in trials if (share := host_share(trial)) is not None]
    if not known:
        reasons = dict.fromkeys(reason for trial in trials if (reason := _reason(trial)))
        why = f": {'; '.join(reasons)}" if reasons else " (versions before 0.3.0 did not)"
        return f"How long the host kept the guest’s CPU waiting was {NOT_MEASURED}{why}."  # noqa: RUF001
    meaning = "which a counted clock does not see" if clock.counted else "while the guest’s clock ran on"  # noqa: RUF001
    unknown = len(trials) - len(known)
    rest = f" In {unknown} of {len(trials)} trials it was {NOT_MEASURED}." if unknown else ""
    return (
        f"The host kept the guest’s CPU waiting for {_range(known)} of the recorded time, {meaning}."  # noqa: RUF001
        + rest
    )


def _pauses(clock: RecordedClock, trials: Sequence[TrialFacts]) -> str:
    """In how many trials the machine was paused; empty where that was not seen."""
    paused = [known for trial in trials if (known := number(trial.host.get("paused_s")))]
    if not paused:
        return ""
    effect = ", which a counted clock does not see" if clock.counted else ""
    return (
        f" In {len(paused)} of {len(trials)} trials the machine was paused, for up to {seconds(max(paused))}{effect}."
    )


def _range(shares: Sequence[float]) -> str:
    low, high = percent(min(shares)), percent(max(shares))
    return low if low == high else f"{low[:-2]} to {high}"  # without the first unit


def host_share(trial: TrialFacts) -> float | None:
    """Return the share of the recorded time in which the guest's CPU waited for the host's; None if not measured."""
    return number(trial.host.get("share"))


def _reason(trial: TrialFacts) -> str:
    return visible(trial.host.get("share_reason") or "")


def meanwhile(trials: Sequence[TrialFacts]) -> list[Row]:
    """Return (trial, one text for each of COLUMNS) for every trial in which the host was watched."""
    return [(trial.name, _row(trial)) for trial in trials if trial.host]


def meanwhile_data(trials: Sequence[TrialFacts]) -> str:
    """Return, as JSON, a head and a row for each watched trial: all that is known of the host, by its path."""
    rows = {trial.name: dict(_values("", trial.host)) for trial in trials if trial.host}
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    return json.dumps([["trial", *names], *([trial, *map(row.get, names)] for trial, row in rows.items())])


def _values(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the path and the value of each number and text in nested mappings and lists."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _values(f"{path}.{visible(key)}".lstrip("."), inner)
    else:
        yield path, value if value is None or number(value) is not None else visible(value)


def _row(trial: TrialFacts) -> list[str]:
    host, share = trial.host, host_share(trial)
    return [
        percent(share, 2) if share is not None else f"{NOT_MEASURED}{': ' * bool(_reason(trial))}{_reason(trial)}",
        percent(number(host.get("steal_share")), 2),
        percent(number(host.get("pressure_share"))),
        _taken(host),
        _change(_load(host.get("loadavg_before")), _load(host.get("loadavg_after"))),
        _change(_frequency(mapping(host, "frequency_before")), _frequency(mapping(host, "frequency_after"))),
        f"{_seconds(host.get('seconds'))} / {_seconds(host.get('guest_seconds'))}",
        _interruptions(trial),
        _top(host.get("top")),
    ]


def _taken(host: Mapping[str, Any]) -> str:
    """What others took of the host's CPUs, and what a hypervisor below the host kept of that."""
    stolen = number(host.get("stolen_share"))
    below = f", {percent(stolen)} of it below the host" if stolen and stolen >= 0.001 else ""
    return percent(number(host.get("taken_share"))) + below


def _change(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


def _load(averages: Any) -> str:
    """The load average of the last minute."""
    value = number(averages[0]) if isinstance(averages, list) and averages else None
    return NO_VALUE if value is None else f"{value:.1f}"


def _frequency(facts: Mapping[str, Any]) -> str:
    """The lowest and highest clock rate of the host's CPUs, and their governor, as far as the host shows them."""
    rates = [rate for name in ("mhz_min", "mhz_max") if (rate := number(facts.get(name))) is not None]
    shown = "–".join(dict.fromkeys(map(count, rates)))  # noqa: RUF001
    governor = visible(facts.get("governor") or "")
    turbo = {"True": "turbo", "False": "no turbo"}.get(str(facts.get("turbo")), "")
    return " ".join(part for part in (shown, governor, turbo) if part) or NO_VALUE


def _seconds(value: Any) -> str:
    known = number(value)
    return NO_VALUE if known is None else f"{known:.1f}"


def _interruptions(trial: TrialFacts) -> str:
    """Clock steps, suspensions and pauses; `none` only where it is known that there was no pause."""
    paused = number(trial.host.get("paused_s"))
    failed = [check.text for check in trial.checks if check.name == CLOCK_STEPS and not check.ok]
    shown = [*_steps(trial.host), *([f"machine paused {seconds(paused)}"] if paused else failed)]
    if not shown and paused is None and not _clocks_agree(trial):
        return f"pauses {NOT_MEASURED}"
    return "; ".join(shown) or "none"


def _clocks_agree(trial: TrialFacts) -> bool:
    """Whether the seconds of host and guest were compared: on the host's clock a pause makes them differ."""
    both = [number(trial.host.get(name)) for name in ("seconds", "guest_seconds")]
    return not trial.clock.counted and None not in both


def _steps(host: Mapping[str, Any]) -> Iterator[str]:
    """Clock steps and suspensions of guest and host, without what the reading of two clocks takes."""
    for name, words in (("clock_step_s", "clock stepped"), ("suspended_s", "suspended")):
        for side, value in mapping(host, name).items():
            known = number(value)
            if known is not None and abs(known) >= LEAST_STEP_S:
                yield f"{visible(side)} {words} {seconds(known)}"


def _top(processes: Any) -> str:
    """The busiest other processes with the CPUs that each took."""
    if not isinstance(processes, list):
        return NO_VALUE
    pairs = [pair for pair in processes if isinstance(pair, list) and len(pair) == 2]
    return ", ".join(f"{visible(name)} {plain(cpus)}" for name, cpus in pairs) or "nothing"
