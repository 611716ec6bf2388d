"""Whether a recording may be used, and why not: its facts against the limits of the experiment. Touches no file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from harness.loads import Limit
from harness.noise.clocks import CLOCK_STEPS
from harness.noise.host_use import name_busiest
from harness.noise.observation import MISSED
from harness.spec import VerdictSpec

UNTRACED = ("whole", "lost events", "chain breaks", "recorded share", "sshd share", "tracer share")  # need a trace
TRACER = re.compile(r"perf(?:[_-][0-9.]+)?")  # Debian 11 names it perf_5.10
SSHD = re.compile(r"sshd.*")  # newer versions give each session its own name, such as sshd-session
IDLE = re.compile(r"swapper(?:/[0-9]+)?")
HOST_SHARE = "host share"
MAX_HOST_SHARE = 0.02  # on the host's clock
MAX_STEP_S = 0.1  # NTP slews smaller differences; a daemon that steps the clock steps it by more
MAX_PAUSE_S, MAX_PAUSE_SHARE = 0.2, 0.01  # the host sees the phases of a recording some 50 ms late
WAIT_SHARE = 0.1  # measured: a guest that waited for 8.5 s of 11.3 s seemed paused for 0.12 s


class Quality(Protocol):
    """The part of a trace's quality that the verdict needs."""

    @property
    def lost_events(self) -> int:
        """Events that perf reports as lost."""

    @property
    def chain_breaks(self) -> int:
        """Switches whose previous task is not the one that their CPU last switched to."""

    @property
    def truncated(self) -> bool:
        """Whether the recording ends before the size in its header or within a record, or a part is unreadable."""

    @property
    def span_ns(self) -> int:
        """Time from the first event to the last, in ns."""


@dataclass(frozen=True)
class VerdictCheck:
    """One check of a recording. `why`: what a failure means and what to do; empty if the check is met.

    `retryable`: another attempt may meet it.
    """

    name: str
    ok: bool
    value: float | int | str | bool | None
    limit: float | int | str | bool | None
    why: str = ""
    retryable: bool = True


@dataclass(frozen=True)
class Verdict:
    """All checks of one recording; it may be used if every check is met."""

    checks: list[VerdictCheck]
    left_out: tuple[str, ...] = ()  # checks that nothing is known for, without a tracer

    @property
    def ok(self) -> bool:
        """Whether the recording may be used."""
        return not self.failed

    @property
    def failed(self) -> list[VerdictCheck]:
        """The checks that were not met."""
        return [check for check in self.checks if not check.ok]

    @property
    def retryable(self) -> bool:
        """Whether recording again may help: every failed check is retryable."""
        return bool(self.failed) and all(check.retryable for check in self.failed)

    def to_dict(self) -> dict[str, Any]:
        """Return what trial.json has of it."""
        left_out = {"left_out": [*self.left_out]} if self.left_out else {}
        return {"ok": self.ok, "checks": [asdict(check) for check in self.checks], **left_out}

    @property
    def reason(self) -> str:
        """Why it may not be used, in one line; empty if it may."""
        return "; ".join(f"{check.name} {check.value} (limit {check.limit}): {check.why}" for check in self.failed)


def judge(
    guest: Mapping[str, Any],
    quality: Quality | None,
    usage: Mapping[str, float],
    limits: VerdictSpec,
    expected: Mapping[str, Any],
    host: Mapping[str, Any],
) -> Verdict:
    """Judge one recording, or one trial without a tracer: `quality` is None then.

    `guest`: the content of guest.json. `usage`: the share of CPU time by task name, idle included; the shares of all
    tasks on all CPUs add up to 1; without a tracer only that of the idle tasks, if it is known. `expected`: the result
    of `harness.guest.trial_config.expectations`, and the machine's `clock` and `accelerator`. `host`: the facts of
    `harness.noise.observation`.
    """
    checks = [
        *_machine(guest, expected),
        *_kernel_settings(guest),
        *(_recording(quality, limits, expected) if quality else [_window_share(guest, limits, expected)]),
        _visitors(guest),
        *_load(guest, limits, expected),
        *(_tracer_and_sshd(usage, limits) if quality else ()),
        *_idle(usage, limits, expected),
        *_host_share(host, limits, expected),
        _clock_steps(host, expected),
    ]
    return Verdict(checks, () if quality else UNTRACED)


def _machine(guest: Mapping[str, Any], expected: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    facts = guest.get("facts", {})
    for name in ("kernel", "cpus"):
        wanted, actual = expected.get(name), facts.get(name)
        yield _check(
            name,
            wanted is None or actual == wanted,
            actual,
            wanted,
            "this is not the requested machine; rebuild the box, or change the machine's settings",
            retryable=False,
        )


def _kernel_settings(guest: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    """Judge whether the kernel settings of the experiment, which were set before the recording, held until after it."""
    for setting in guest.get("kernel_settings", ()):
        why = "something on the guest changed it during the trial; it was as wanted when the trial began"
        yield _check(setting["name"], setting["actual"] == setting["wanted"], setting["actual"], setting["wanted"], why)


def _recording(quality: Quality, limits: VerdictSpec, expected: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    share = quality.span_ns / (expected["seconds"] * 1e9)
    yield _check("whole", not quality.truncated, not quality.truncated, True, "the recording was cut off")
    why = "perf could not keep up; raise record.buffer_kb"
    yield _at_most("lost events", quality.lost_events, limits.max_lost_events, why)
    why = "switches are missing that perf did not report as lost; raise record.buffer_kb"
    yield _at_most("chain breaks", quality.chain_breaks, limits.max_chain_breaks, why)
    yield _check(
        "recorded share",
        share >= limits.min_recorded_share,
        round(share, 4),
        limits.min_recorded_share,
        "the recording does not cover the requested time",
    )


def _window_share(guest: Mapping[str, Any], limits: VerdictSpec, expected: Mapping[str, Any]) -> VerdictCheck:
    """Judge how long the guest waited in place of a recording, by its own clock."""
    ends = [guest["recording"][name]["monotonic_s"] for name in ("clock_before", "clock_after")]
    share = (ends[1] - ends[0]) / expected["seconds"]
    why = "the wait in place of the recording does not cover the requested time"
    return _check("window share", share >= limits.min_recorded_share, round(share, 4), limits.min_recorded_share, why)


def _visitors(guest: Mapping[str, Any]) -> VerdictCheck:
    visitors = max(guest.get("ssh_connections_before", 0), guest.get("ssh_connections_after", 0))
    why = "an SSH connection was open, which disturbs the scheduler"
    return _check("SSH connections", visitors == 0, visitors, 0, why)


def _load(guest: Mapping[str, Any], limits: VerdictSpec, expected: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    """Judge whether each part of the load, and each service, still ran at the end, and what the load says of itself."""
    own = list(_own_limits(guest.get("metrics", {}), limits, expected["limits"]))
    states = guest.get("loads") or {"": guest.get("load", {})}  # one nameless part, in recordings until version 0.2
    for name, state in states.items():
        yield _still_running(f"{name} at the end" if len(states) > 1 else "load at the end", state, own)
    yield from own


def _still_running(name: str, state: Mapping[str, str], own: Sequence[VerdictCheck]) -> VerdictCheck:
    """Judge whether a unit ran at the end of the recording. One that did all it had to do would do so again."""
    actual, status = state.get("ActiveState", "unknown"), state.get("ExecMainStatus", "0")
    finished = actual == "inactive" and status == "0" and all(check.ok for check in own)
    why = f"it ended early, with exit status {status}; see load.txt"
    if finished:
        why = "it was done before the recording was; give it more to do, such as a larger load.requests"
    return _check(name, actual == "active", actual, "active", why, retryable=not finished)


def _own_limits(metrics: Mapping[str, Any], limits: VerdictSpec, own: Sequence[Limit]) -> Iterator[VerdictCheck]:
    """Yield what the load says of itself, and the requests that failed, where it counts any."""
    for limit in own:
        yield _within(limit, metrics.get(limit.metric))
    if any(limit.metric.endswith("requests_completed") for limit in own) or _lost_keys(metrics):
        why = "the server refused or failed requests; see load.txt"
        lost = sum(int(metrics[key]) for key in _lost_keys(metrics))
        yield _at_most("requests failed", lost, limits.max_failed_requests, why)


def _within(limit: Limit, value: Any) -> VerdictCheck:
    """Judge one metric. Of a load that did not print it nothing is known: another attempt may."""
    number = isinstance(value, int | float)
    low = limit.at_least is not None and (not number or value < limit.at_least)
    high = limit.at_most is not None and (not number or value > limit.at_most)
    bounds = [("at least", limit.at_least), ("at most", limit.at_most)]
    wanted = ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
    missing = value is None
    why = "the load did not print it; see load.txt" if missing and limit.at_least is None else limit.why
    retryable = limit.retryable or missing
    return _check(limit.metric.replace("_", " "), not low and not high, value, wanted, why, retryable)


def _lost_keys(metrics: Mapping[str, Any]) -> list[str]:
    """Return the metrics, also those of a part, that count requests which failed or were answered with an error."""
    return [key for key in metrics if key.rpartition(".")[2] in ("requests_failed", "responses_non_2xx")]


def _tracer_and_sshd(usage: Mapping[str, float], limits: VerdictSpec) -> Iterator[VerdictCheck]:
    tracer, sshd = _share(usage, TRACER), _share(usage, SSHD)
    yield _check(
        "sshd share", sshd == 0, round(sshd, 6), 0, "sshd ran during the recording, which disturbs the scheduler"
    )
    why = "recording took so much CPU time that it distorts what it records"
    yield _at_most("tracer share", tracer, limits.max_tracer_share, why)


def _idle(usage: Mapping[str, float], limits: VerdictSpec, expected: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    if not expected["keeps_cpu_busy"]:
        return
    if not usage:
        yield _check("idle share", False, None, limits.max_idle_share, "the guest's kernel counted no CPU time")
        return
    why = "the load did not keep the CPUs busy; raise its concurrency, or ask for fewer CPUs"
    yield _at_most("idle share", _share(usage, IDLE), limits.max_idle_share, why)


def _host_share(host: Mapping[str, Any], limits: VerdictSpec, expected: Mapping[str, Any]) -> Iterator[VerdictCheck]:
    """Judge how long the guest's CPU waited for one of the host: always on the host's clock, else if there is a limit.

    A share that this host does not show meets the default limit, and its reason stands in the facts; it cannot meet a
    limit that the experiment file sets. One that was not measured this time meets none.
    """
    on_host_clock, share, limit = expected.get("clock", "host") == "host", host.get("share"), limits.max_host_share
    if limit is None and not on_host_clock:
        return
    if share is None and (reason := host.get("share_reason")) in MISSED:
        yield _check(HOST_SHARE, False, None, MAX_HOST_SHARE if limit is None else limit, reason)
        return
    if share is None:
        why = f"{host.get('share_reason') or 'it was not measured'}; leave out verdict.max_host_share to go without"
        yield _check(HOST_SHARE, limit is None, None, MAX_HOST_SHARE if limit is None else limit, why, retryable=False)
        return
    busiest = name_busiest(host.get("top") or [])
    cause = f"; busiest: {busiest}" if busiest else ""
    way_out = "run on a quiet host" + (", or with machine.clock: counted" if _may_count(expected) else "")
    why = f"the host kept the guest's CPU waiting{cause}; {way_out}"
    yield _at_most(HOST_SHARE, share, MAX_HOST_SHARE if limit is None else limit, why)


def _may_count(expected: Mapping[str, Any]) -> bool:
    """Return whether the machine could have run on a counted clock and did not."""
    emulated = expected.get("accelerator", "tcg") == "tcg"
    return expected.get("clock", "host") == "host" and emulated and expected.get("cpus") in (None, 1)


def _clock_steps(host: Mapping[str, Any], expected: Mapping[str, Any]) -> VerdictCheck:
    """Judge whether a clock was set, or the guest or the host stood still, while the guest was recorded.

    With a counted clock the guest does not notice what becomes of the host's.
    """
    steps, suspends = host.get("clock_step_s") or {}, host.get("suspended_s") or {}
    gaps = [
        (steps.get("guest"), MAX_STEP_S, "the guest's clock was set"),
        (suspends.get("guest"), MAX_STEP_S, "the guest was suspended"),
    ]
    if expected.get("clock", "host") == "host":
        gaps += [
            (steps.get("host"), MAX_STEP_S, "the host's clock was set"),
            (suspends.get("host"), MAX_STEP_S, "the host was suspended"),
            (*_pause(host), "the guest's seconds are not the host's: the machine was paused"),
            *_standing_still(host),
        ]
    known = [(abs(gap), limit, why) for gap, limit, why in gaps if gap is not None]
    gap, limit, why = max(known, key=lambda entry: entry[0] / entry[1], default=(None, MAX_STEP_S, ""))
    return _check(CLOCK_STEPS, gap is None or gap <= limit, None if gap is None else round(gap, 3), limit, why)


def _pause(host: Mapping[str, Any]) -> tuple[float | None, float]:
    """Return by how much the guest's seconds differ from the host's, and the limit; None without one of them.

    A guest that waits for a CPU reaches its phases late: the limit grows by a tenth of what it waited. Where the host
    sees the console late, it does so at both ends.
    """
    seconds, guest_seconds = host.get("seconds"), host.get("guest_seconds")
    late_s = WAIT_SHARE * (host.get("vcpu_wait_s") or 0.0) + 2 * (host.get("phases_late_s") or 0.0)
    limit = round(MAX_PAUSE_S + MAX_PAUSE_SHARE * (seconds or 0.0) + late_s, 3)
    return (None if seconds is None or guest_seconds is None else seconds - guest_seconds), limit


def _standing_still(host: Mapping[str, Any]) -> Iterator[tuple[float | None, float, str]]:
    """Yield how long the machine stood still, by its threads and by the hypervisor's word, each with its limit.

    The clock of a guest whose QEMU was stopped by a signal goes on, so that its seconds are the host's.
    """
    _, limit = _pause(host)
    yield host.get("paused_s"), limit, "the machine stood still"
    for state, why, seconds in host.get("troubles") or []:
        if state == "paused":
            yield seconds, limit, why


def _share(usage: Mapping[str, float], pattern: re.Pattern[str]) -> float:
    return float(sum(share for comm, share in usage.items() if pattern.fullmatch(comm)))


def _at_most(name: str, value: float, limit: float, why: str) -> VerdictCheck:
    return _check(name, value <= limit, round(value, 4), limit, why)


def _check(name: str, ok: bool, value: Any, limit: Any, why: str, retryable: bool = True) -> VerdictCheck:
    return VerdictCheck(name, ok, value, limit, "" if ok else why, retryable)
