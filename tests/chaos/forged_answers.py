"""Answers that a hostile guest may give instead of the guest script's: each is taken with the right types, or refused.

`answers()` yields every forgery, `carry_out()` hands one to a trial as the guest does and reads what the trial left as
the verdict, the report and the models do. Anything but `accepted` or `refused` is a defect.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fake_host import RESULT, FakeHost, Planned
from fake_host import carry_out as carry_out_on

from harness.campaign import verdict
from harness.errors import RemoteError, TraceError, TrialError
from harness.guest import trial, trial_config
from harness.guest.remote import Result
from harness.noise.observation import Observation
from harness.report import fact_tables
from harness.spec import VerdictSpec
from harness.store.manifest import plain
from harness.visible import visible_lines
from model.data.task_groups import groups_of
from model.replay import kernel

ACCEPTED, REFUSED = "accepted", "refused"
REFUSALS = (TrialError, RemoteError, TraceError)  # after which a trial gets another attempt
DEEP = "@DEEP@"  # written as a thousand lists in each other
NAN, INFINITE, HUGE = "@NAN@", "@INFINITE@", "@HUGE@"
RAW = {
    f'"{DEEP}"': "[" * 100_000 + "]" * 100_000,
    f'"{NAN}"': "NaN",
    f'"{INFINITE}"': "-Infinity",
    f'"{HUGE}"': "9" * 5000,
}
VALUES: dict[str, Any] = {
    "null": None, "true": True, "false": False, "zero": 0, "one": 1, "minus one": -1, "2^31": 2**31, "2^63": 2**63,
    "2^64": 2**64, "-2^63": -(2**63), "a googol": 10**100, "huge": HUGE, "half": 0.5, "1e308": 1e308, "-1e308": -1e308,
    "NaN": NAN, "infinite": INFINITE, "empty": "", "text": "x", "number as text": "1", "superscript": "²",
    "escape": "\x1b]52;c;aGk=\x07\x1b[2J", "C1": "\x9b31m", "bidi": "\u202eevil\u2066", "NUL": "a\0b",
    "lines": "a\nerror: forged\r\n", "high surrogate": "\ud800", "byte": "\udcff",
    "markup": "[red]<svg onload=x>{{x}}%s",
    "long": "y" * 100_000, "many digits": "9" * 4999, "list": [], "list of nulls": [None, None], "object": {},
    "object with a key": {"x": 1}, "hostile key": {"\x1b[2J\ud800": 1}, "deep": DEEP, "many": [0] * 20_000,
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of a forgery: accepted, or refused with an error's text."""

    state: str
    message: str = ""


def answers() -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes of each forged result.json."""
    real = {**json.loads(RESULT.read_bytes()), "sha256": FakeHost().digests}
    yield "unchanged", _written(real)
    for path in _places(real):
        for name, value in VALUES.items():
            yield f"{_shown(path)} = {name}", _written(_replaced(real, path, value))
        yield f"without {_shown(path)}", _written(_without(real, path))
        yield f"{_shown(path)} and more", _written(_with_more(real, path))
    yield from _texts(real)


def _texts(real: Any) -> Iterator[tuple[str, bytes]]:
    """Yield what is not JSON, or not quite, or too much of it."""
    whole = _written(real)
    yield "nothing", b""
    yield "not UTF-8", b"\xff\xfe{}"
    yield "UTF-16", whole.decode().encode("utf-16")
    yield "twice", whole + whole
    yield "a key twice", whole[:-1] + b', "ok": true}'
    yield "deep objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    yield "many keys", b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}"
    yield "many tasks", _written(_replaced(real, ("facts", "tasks", "before"), [{}] * 100_000))
    for size in range(0, len(whole), len(whole) // 40):
        yield f"cut after {size} bytes", whole[:size]


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = _replaced(value[path[0]], path[1:], new)
    return changed


def _without(real: Any, path: tuple[Any, ...]) -> Any:
    if not path:
        return {}
    changed = copy.deepcopy(real)
    del _at(changed, path[:-1])[path[-1]]
    return changed


def _with_more(real: Any, path: tuple[Any, ...]) -> Any:
    changed = copy.deepcopy(real)
    place = _at(changed, path)
    if isinstance(place, dict):
        place["\x1b[2J more"] = 1
    elif isinstance(place, list):
        place.append("\x1b[2J more")
    return changed


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _written(value: Any) -> bytes:
    text = json.dumps(value)
    for marker, raw in RAW.items():
        text = text.replace(marker, raw)
    return text.encode()


def _shown(path: tuple[Any, ...]) -> str:
    return ".".join(map(str, path)) or "the whole"


def carry_out(forged: bytes, folder: Path, host: FakeHost | None = None) -> Outcome:
    """Carry out a trial whose guest leaves `forged` as its result.json, and read the trial as its readers do.

    Raises whatever is a defect.
    """
    host = host or QuickHost()
    answer = forged.decode("utf-8", "replace")  # as an SSH client has it
    host.broken["result.json"] = Result("", 0, answer, "", 0.0)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        files = carry_out_on(host, folder)
    except REFUSALS as error:
        _require_harmless(str(error))
        return Outcome(REFUSED, str(error))
    _read(files, folder)
    return Outcome(ACCEPTED)


def _read(files: trial.TrialFiles, folder: Path) -> None:
    """Read the result as the verdict, trial.json, the report and the replays do."""
    observation = Observation(FakeHost(), 1)
    for phase in ("recording", "recorded"):
        observation.phase(phase)
    host = observation.facts(files.guest["recording"])
    expected = {**trial_config.expectations(Planned(), "6.1.0-x", 1), "clock": "host"}
    judged = verdict.judge(files.guest, _Quality(), {"nginx": 1.0}, VerdictSpec(), expected, host)
    checks = [asdict(check) for check in judged.checks]
    json.dumps(plain({"verdict": {"checks": checks}, "host": host, "metrics": files.metrics}), allow_nan=False)
    for name, value in fact_tables._guest_rows(json.loads(files.guest_json.read_bytes())):
        _require_harmless(name + value)
    groups_of(folder)
    for read in (kernel.release, kernel.cfs_rules, kernel.eevdf_rules):
        read(folder)


class QuickHost(FakeHost):
    """A guest that has written all phases when it is looked at for the first time."""

    def console_size(self) -> int:
        while self.follows and self.phases:
            super().console_size()
        return super().console_size()


class _Quality:
    lost_events = chain_breaks = 0
    truncated = False
    span_ns = 200_000_000


def _require_harmless(text: str) -> None:
    if visible_lines(text) != text or "\t" in text:
        raise AssertionError(f"this reaches a terminal as it is: {text!a}")
