"""sysbench's tests of CPU, threads, mutexes and memory."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness.loads.base import Limit, LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

LIMIT_S = 1_000_000  # sysbench's own limit, which never passes
OPTIONS: dict[str, dict[str, str]] = {  # of each test: parameter of the load -> option of sysbench
    "cpu": {"cpu_max_prime": "--cpu-max-prime={}"},
    "threads": {"thread_yields": "--thread-yields={}", "thread_locks": "--thread-locks={}"},
    "mutex": {"mutexes": "--mutex-num={}", "mutex_locks": "--mutex-locks={}", "mutex_loops": "--mutex-loops={}"},
    "memory": {"memory_block_kb": "--memory-block-size={}K"},
}
EVENTS = re.compile(r"^\s+total number of events:\s+([0-9]+)$", re.MULTILINE)
SECONDS = re.compile(r"^\s+total time:\s+([0-9]+(?:\.[0-9]+)?)s$", re.MULTILINE)
MEAN_MS = re.compile(r"^\s+avg:\s+([0-9]+(?:\.[0-9]+)?)$", re.MULTILINE)
P99_MS = re.compile(r"^\s+99th percentile:\s+([0-9]+(?:\.[0-9]+)?)$", re.MULTILINE)


class Sysbench(LoadModel):
    """`sysbench` with one of its tests: the threads of one process.

    `cpu` looks for prime numbers and only ever leaves the CPU when its slice is over; `threads` locks, yields and
    unlocks a few mutexes, so that who may run changes all the time; `mutex` fights for mutexes between short
    computations; `memory` writes blocks of memory, slices like those of `cpu`.
    """

    roles: ClassVar[tuple[str, ...]] = ("sysbench",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s", "latency_mean_ms", "latency_p99_ms")
    stop_signal: ClassVar[str] = "SIGALRM"  # that of its own time limit: it then prints its statistics, and only then

    kind: Literal["sysbench"] = "sysbench"
    test: Literal["cpu", "threads", "mutex", "memory"] = Field("threads", description="what the threads do")
    threads: int = Field(4, ge=1, le=1024, description="threads at the same time")
    cpu_max_prime: int = Field(1000, ge=3, le=1_000_000, description="test cpu: one event finds the primes up to this")
    thread_yields: int = Field(100, ge=1, le=100_000, description="test threads: yields in one event, each with a lock")
    thread_locks: int = Field(4, ge=1, le=10_000, description="test threads: mutexes that the threads share")
    mutexes: int = Field(4, ge=1, le=100_000, description="test mutex: mutexes that the threads share")
    mutex_locks: int = Field(50_000, ge=1, le=100_000_000, description="test mutex: locks of a thread in one round")
    mutex_loops: int = Field(500, ge=0, le=100_000_000, description="test mutex: additions between two locks")
    memory_block_kb: int = Field(64, ge=1, le=65_536, description="test memory: kilobytes that one event writes")

    @model_validator(mode="after")
    def _other_tests_are_not_set(self) -> Sysbench:
        """Refuse a parameter that this test would ignore."""
        for test, options in OPTIONS.items():
            for name in options:
                if test != self.test and getattr(self, name) != type(self).model_fields[name].default:
                    raise ValueError(f"{name} is a parameter of test {test}, not of {self.test}")
        return self

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that it must have completed events."""
        return (Limit("operations", "sysbench reported no events; see load.txt", at_least=1),)

    def command(self) -> list[str]:
        """Return the command; the test mutex, which has one event a thread, is run again and again."""
        values: dict[str, Any] = self.model_dump()
        options = [option.format(values[name]) for name, option in OPTIONS[self.test].items()]
        if self.test == "memory":
            options.append("--memory-total-size=1000000T")
        until = [f"--time={LIMIT_S}", f"--forced-shutdown={LIMIT_S}", "--percentile=99"]
        argv = ["sysbench", self.test, f"--threads={self.threads}", *until, *options, "run"]
        return ["python3", "rounds.py", *argv] if self.test == "mutex" else argv

    def files(self, timing: Timing) -> dict[str, str]:
        """Return the program that repeats the test mutex."""
        return {"rounds.py": script("rounds.py")} if self.test == "mutex" else {}

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the events of all rounds, their rate and their latency; in the test mutex a thread is one event."""
        events, seconds = [int(count) for count in EVENTS.findall(output)], map(float, SECONDS.findall(output))
        total_s, means, p99s = sum(seconds), MEAN_MS.findall(output), P99_MS.findall(output)
        if not sum(events) or not total_s:
            return {}
        metrics: Metrics = {"operations": sum(events), "seconds": total_s, "operations_per_s": sum(events) / total_s}
        if len(means) == len(events):
            summed_ms = sum(float(mean) * count for mean, count in zip(means, events, strict=True))
            metrics["latency_mean_ms"] = summed_ms / sum(events)
        if len(p99s) == 1:
            metrics["latency_p99_ms"] = float(p99s[0])
        return metrics
