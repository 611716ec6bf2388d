"""Threads that run and sleep by a schedule: rt-app."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, JsonValue, StringConstraints, model_validator

from harness.loads.base import RECORDING_FILE, Limit, LoadModel, Metrics, Timing
from harness.loads.guest_scripts import script

LOG_MB = 4  # a thread, for its last 45,000 loops
LOOP_NS = 100  # how long a loop takes, until it is measured
MEASURED = {"once": {"loop": 1, "phases": {"some": {"loop": 10, "run": 20_000}}}}
KINDS = ("periodic", "bursty", "background")
BURST = 5  # runs in one burst
THREAD = re.compile(
    r"^thread \S+ loops ([0-9]+) timed ([0-9]+) missed ([0-9]+) span_us ([0-9]+)"
    r" wakeup_p50_us ([0-9]+) wakeup_p99_us ([0-9]+)$",
    re.MULTILINE,
)
ThreadName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,12}$")]


class RtApp(LoadModel):
    """`rt-app` runs threads that compute for a given time, sleep or wait for a timer, and begin again, without end.

    It leaves the CPU idle for the rest of `busy_percent`. A `periodic` thread wakes by its own timer and runs once, a
    `bursty` one runs five times with short sleeps between and then sleeps long, and a `background` one computes for
    several periods, so that the others preempt it; `mixed` has one of each in turn.
    """

    roles: ClassVar[tuple[str, ...]] = ("rt_app",)
    measures: ClassVar[tuple[str, ...]] = ("operations_per_s", "latency_p50_ms", "latency_p99_ms")

    kind: Literal["rt_app"] = "rt_app"
    workload: Literal["periodic", "bursty", "mixed"] = Field("mixed", description="what the threads do")
    threads: int = Field(6, ge=1, le=100, description="threads at the same time")
    busy_percent: int = Field(60, ge=1, le=90, description="share of one CPU that all threads together ask for")
    period_us: int = Field(
        20_000, ge=1000, le=10_000_000, description="period of the first thread, in microseconds; others have longer"
    )
    tasks: dict[ThreadName, JsonValue] | None = Field(
        None,
        description="your own threads and their phases, written as rt-app's `tasks`, in place of all of the above",
    )

    @model_validator(mode="after")
    def _own_tasks_run_alone_and_without_end(self) -> RtApp:
        """Refuse what rt-app would ignore, and threads that end before the recording does."""
        if self.tasks is None:
            return self
        for name in ("workload", "threads", "busy_percent", "period_us"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} says nothing where tasks are given; leave it out")
        for name, task in self.tasks.items():
            if not isinstance(task, dict) or task.get("loop", -1) != -1:
                raise ValueError(f"tasks.{name} must be a mapping without loop, or with loop: -1 (without end)")
        return self

    @property
    def keeps_cpu_busy(self) -> bool:
        """Return False: its threads sleep by design."""
        return False

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return that its threads must have looped."""
        return (Limit("operations", "rt-app logged no loop of its threads; see load.txt", at_least=1),)

    def command(self) -> list[str]:
        """Return the command that runs rt-app and then reads its logs."""
        return ["python3", "rt_app_loops.py", "run", RECORDING_FILE]

    def prepare(self) -> list[str] | None:
        """Return the command that measures the CPU, so that `run` means microseconds on it."""
        return ["python3", "rt_app_loops.py", "calibrate"]

    def files(self, timing: Timing) -> dict[str, str]:
        """Return rt-app's file and the program that reads its logs."""
        shared = {"duration": -1, "calibration": LOOP_NS, "log_size": LOG_MB, "logdir": "./"}
        tasks = self.tasks if self.tasks is not None else self._preset()
        return {
            "rt_app.json": json.dumps({"tasks": tasks, "global": {**shared, "log_basename": "rt_app"}}, indent=1),
            "rt_app_loops.py": script("rt_app_loops.py"),
            "calibrate.json": json.dumps({"tasks": MEASURED, "global": {**shared, "log_basename": "calibrate"}}),
            "seconds.txt": f"{timing.seconds:g}\n",
        }

    def parse(self, output: str, timing: Timing) -> Metrics:
        """Return the loops in the recording's seconds, how many missed their timer, and wakeup latencies.

        A latency counts from when a thread's timer expired until the thread ran; the worst thread's is given.
        """
        rows = [tuple(map(int, match.groups())) for match in THREAD.finditer(output)]
        loops, timed = sum(row[0] for row in rows), [row for row in rows if row[1]]
        if not loops:
            return {}
        seconds = max(row[3] for row in rows) / 1e6
        metrics: Metrics = {"operations": loops, "seconds": seconds}
        if seconds:
            metrics["operations_per_s"] = loops / seconds
        if timed:
            metrics["deadlines_missed_percent"] = 100 * sum(row[2] for row in timed) / sum(row[1] for row in timed)
            metrics["latency_p50_ms"] = max(row[4] for row in timed) / 1000
            metrics["latency_p99_ms"] = max(row[5] for row in timed) / 1000
        return metrics

    def _preset(self) -> dict[str, Any]:
        kinds = KINDS if self.workload == "mixed" else (self.workload,)
        share = self.busy_percent / 100 / self.threads
        return {
            f"{kinds[index % len(kinds)]}{index}": _task(
                kinds[index % len(kinds)], self.period_us * (index + 2) // 2, share
            )
            for index in range(self.threads)
        }


def _task(kind: str, period_us: int, share: float) -> dict[str, Any]:
    """Return a thread that asks for a share of a CPU, as rt-app's file has it."""
    run_us = max(1, round(share * period_us))
    if kind == "periodic":
        return {"run": run_us, "timer": {"ref": "unique", "period": period_us}}
    if kind == "bursty":
        pause_us = max(1, round(0.05 * period_us))
        rest_us = max(1, BURST * (period_us - run_us - pause_us))
        return {"phases": {"burst": {"loop": BURST, "run": run_us, "sleep": pause_us}, "rest": {"sleep": rest_us}}}
    return {"run": 5 * run_us, "sleep": 5 * (period_us - run_us)}
