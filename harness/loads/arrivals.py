"""When requests arrive at a server: as a closed loop of clients, or in an open loop that waits for no answer.

The times of an open loop are drawn on the host, with the seed of the trial, before anything runs. They count from the
moment at which the recording begins, less the warm-up, so that every recording of a block has the same. In the
guest, wrk sends each request when it is due; `arrivals.lua` is its script. Latency counts from the moment a request was
due, and only what was due in the recording counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import count, pairwise, repeat, takewhile
from math import cos, isfinite, log1p, nan, pi
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from harness.errors import SpecError
from harness.loads.base import RECORDING_FILE, Limit, Metrics, Timing
from harness.named_files import ExistingFile

SCRIPT = Path(__file__).with_suffix(".lua")
SCHEDULE = "arrivals.txt"
CONNECTIONS = 200  # so many requests of an open loop may wait for an answer before one that is due has to wait
MOST_PER_S = 5000
CLOSED_REQUESTS = 10_000  # of a closed loop, which then begins again
SLOW = "the machine cannot answer so many requests: lower rate_per_s of its arrivals"
IN_TIME = (
    Limit("oldest_unanswered_s", f"the server fell behind its arrivals; {SLOW}", at_most=2.0, retryable=False),
    Limit("late_p99_ms", f"requests were sent long after they were due; {SLOW}", at_most=1000.0, retryable=False),
)

COUNTS = re.compile(
    r"^arrivals: (?P<due>\d+) due in (?P<seconds>[\d.]+) s, (?P<answered>\d+) answered, (?P<non_2xx>\d+) non-2xx,"
    r" (?P<failed>\d+) failed, oldest unanswered (?P<oldest>[\d.]+) s$",
    re.MULTILINE,
)
QUANTILES = r" ms: mean (?P<mean>[\d.]+) p50 (?P<p50>[\d.]+) p90 [\d.]+ p99 (?P<p99>[\d.]+) max [\d.]+$"
LATE = re.compile("^late" + QUANTILES, re.MULTILINE)
LATENCY = re.compile("^latency from the arrival" + QUANTILES, re.MULTILINE)


class Process(BaseModel):
    """Base of the random processes; `Random.random` is the only method whose numbers Python keeps over its versions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate_per_s: float = Field(gt=0, le=MOST_PER_S, description="mean arrivals per second")

    def times(self, random: Random) -> Iterator[float]:
        """Yield the times of the arrivals in seconds from 0 on, in order, without end."""
        raise NotImplementedError


class Poisson(Process):
    """Independent arrivals: exponential gaps."""

    def times(self, random: Random) -> Iterator[float]:
        """Yield times with exponential gaps."""
        return poisson(random, self.rate_per_s)


class Bursts(Process):
    """Arrivals in bursts, which begin at random: a Poisson cluster process."""

    requests: float = Field(10.0, ge=1, le=1000, description="mean arrivals in a burst; the number is geometric")
    burst_ms: float = Field(50.0, ge=0, le=60_000, description="milliseconds over which the arrivals of a burst spread")

    def times(self, random: Random) -> Iterator[float]:
        """Yield the arrivals of all bursts, merged in time."""
        pending: list[float] = []
        for begin in poisson(random, self.rate_per_s / self.requests):
            while pending and pending[0] <= begin:
                yield heappop(pending)
            for _ in range(geometric(random, self.requests)):
                heappush(pending, begin + random.random() * self.burst_ms / 1000)


class Diurnal(Process):
    """A rate that rises and falls as over a day, compressed into seconds; it begins at the quietest moment."""

    day_s: float = Field(30.0, gt=0, le=86_400, description="seconds that a day lasts")
    swing: float = Field(
        0.6, ge=0, le=1, description="how far the rate swings, as a share of its mean: from 1 - swing to 1 + swing"
    )

    def times(self, random: Random) -> Iterator[float]:
        """Yield a Poisson process of the highest rate, thinned to the rate of each moment."""
        for time in poisson(random, self._noon_per_s):
            rate = self.rate_per_s * (1 - self.swing * cos(2 * pi * time / self.day_s))
            if random.random() * self._noon_per_s < rate:
                yield time

    @property
    def _noon_per_s(self) -> float:
        return self.rate_per_s * (1 + self.swing)


class Arrivals(BaseModel):
    """When requests arrive: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    closed: int | None = Field(
        None, ge=1, le=500, description="a closed loop: so many clients, each of which waits for its answer"
    )
    poisson: Poisson | None = Field(None, description="an open loop of independent arrivals")
    bursts: Bursts | None = Field(None, description="an open loop of bursts")
    diurnal: Diurnal | None = Field(None, description="an open loop whose rate rises and falls")
    times: ExistingFile | None = Field(
        None,
        description="an open loop with the arrivals of a file: a time in seconds on each line, rising; they count from "
        "the first one, and begin again after the last",
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Arrivals:
        named = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"exactly one of {', '.join(type(self).model_fields)}; here are {len(named)}")
        return self

    @model_serializer(mode="wrap")
    def _without_the_others(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in dump(self).items() if value is not None}

    @property
    def is_open(self) -> bool:
        """Whether requests are sent while earlier ones are unanswered."""
        return self.closed is None

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return what the requests must keep in a usable trial."""
        answered = Limit("requests_completed", "no request was answered; see load.txt", at_least=1)
        return (answered, *(IN_TIME if self.is_open else ()))

    def draw(self, timing: Timing) -> Iterator[float]:
        """Yield the times of an open loop in seconds of the warm-up and the recording, in order, until it ends."""
        random, process = Random(timing.seed), self.poisson or self.bursts or self.diurnal
        times = process.times(random) if process else recorded(Path(self.times or ""))
        return takewhile(lambda time: time < timing.warmup_s + timing.seconds, times)

    def schedule(self, timing: Timing, requests: Iterable[str] = repeat("")) -> dict[str, str]:
        """Return the files that `sender` needs: the script of wrk, and the schedule that it reads.

        `requests` has one for each arrival: its path and, if it is a POST, a tab and the form; "" is the URL's path.
        """
        times = (time - timing.warmup_s for time in self.draw(timing)) if self.is_open else repeat(0.0, CLOSED_REQUESTS)
        lines = (f"{time * 1e6:.0f}\t{request}".rstrip() for time, request in zip(times, requests, strict=False))
        return {SCRIPT.name: SCRIPT.read_text(encoding="ascii"), SCHEDULE: "".join(f"{line}\n" for line in lines)}

    def sender(self, url: str, *, keepalive: bool = True) -> list[str]:
        """Return the command that sends the requests of the schedule in the work folder."""
        close = [] if keepalive else ["--header", "Connection: close"]
        sizes = ["--threads", "1", "--connections", str(self.closed or CONNECTIONS), "--duration", "24h"]
        loop = [RECORDING_FILE] if self.is_open else ["closed"]
        return ["wrk", *sizes, *close, "--script", SCRIPT.name, url, "--", SCHEDULE, *loop]

    def measured(self, output: str, timing: Timing) -> Metrics:
        """Return what the script of wrk printed, empty where it was not done; of an open loop in the recording."""
        counts = COUNTS.search(output)
        seconds = float(counts["seconds"]) if counts else 0.0
        if self.is_open:
            seconds = min(seconds, timing.seconds)
        if not counts or seconds <= 0:
            return {}
        return _measured(output, counts, seconds)


def poisson(random: Random, rate_per_s: float) -> Iterator[float]:
    """Yield the times of a Poisson process, without end."""
    time = 0.0
    while True:
        time -= log1p(-random.random()) / rate_per_s
        yield time


def geometric(random: Random, mean: float) -> int:
    """Draw a number from 1 on, of which each is less likely than the last by the same factor."""
    return 1 + (int(log1p(-random.random()) / log1p(-1 / mean)) if mean > 1 else 0)


def recorded(path: Path) -> Iterator[float]:
    """Yield the times of a file, from 0 on, again and again; a mean gap lies between its last and its first.

    Raises SpecError for a line that is no time, or an earlier one than the line before, and for too many a second.
    """
    times = [_time(line, f"{path}:{number}") for number, line in enumerate(_lines(path), 1)]
    falls = next((number for number, (one, other) in enumerate(pairwise(times), 2) if other < one), None)
    if falls or len(times) < 2 or times[0] == times[-1]:
        where = f"{path}:{falls}" if falls else str(path)
        raise SpecError("these are no times of arrivals", where=where, expected="a later time on each line, in seconds")
    gap_s = (times[-1] - times[0]) / (len(times) - 1)
    if 1 / gap_s > MOST_PER_S:
        what = f"{1 / gap_s:,.0f} arrivals per second"
        raise SpecError(what, where=str(path), expected=f"at most {MOST_PER_S}; the times are in seconds")
    period = gap_s * len(times)
    for turn in count():
        yield from (turn * period + time - times[0] for time in times)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the times of arrivals: {error}", where=str(path)) from None


def _time(text: str, where: str) -> float:
    try:
        time = float(text)
    except ValueError:
        time = nan
    if not isfinite(time):
        raise SpecError(f"{text[:40]!r} is no time", where=where, expected="seconds, such as 12.345")
    return time


def _measured(output: str, counts: re.Match[str], seconds: float) -> Metrics:
    answered = int(counts["answered"])
    metrics: Metrics = {
        "requests_completed": answered,
        "requests_failed": int(counts["failed"]),
        "responses_non_2xx": int(counts["non_2xx"]),
        "requests_per_s": answered / seconds,
        "seconds": seconds,
        "arrivals": int(counts["due"]),
        "arrivals_unanswered": int(counts["due"]) - answered,
        "oldest_unanswered_s": float(counts["oldest"]),
    }
    if late := LATE.search(output):
        metrics["late_p99_ms"] = float(late["p99"])
    if latency := LATENCY.search(output):
        metrics |= {f"latency_{name}_ms": float(latency[name]) for name in ("mean", "p50", "p99")}
    return metrics
