"""What a load measured: its rates and latencies, known by the ends of their names, in one or more trials."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

Record = Mapping[str, Any]  # the content of trial.json, or what the manifest keeps of it
RATE = "_per_s"
LATENCY = re.compile(r"latency_(\w+)_ms")


@dataclass(frozen=True)
class LoadResult:
    """A rate (`requests_per_s`) or a latency (`latency_p99_ms`) of a load, with its value in each trial that has it."""

    key: str
    values: tuple[float, ...]

    @property
    def part(self) -> str:
        """The load of a mix that measured it; empty where there is only one."""
        return self.key.rpartition(".")[0]

    @property
    def is_rate(self) -> bool:
        """Whether it is a rate, and not a latency."""
        return self.key.endswith(RATE)

    @property
    def kind(self) -> str:
        """What it is, whichever load of a mix it is of: `requests/s`, `p99 latency`."""
        key = self.key.rpartition(".")[2]
        if self.is_rate:
            return f"{key.removesuffix(RATE).replace('_', ' ')}/s"
        return f"{key.removeprefix('latency_').removesuffix('_ms')} latency"

    @property
    def name(self) -> str:
        """The same with the load of a mix: `web requests/s`."""
        return f"{self.part} {self.kind}".lstrip()

    @property
    def unit(self) -> str:
        """`/s` or `ms`."""
        return "/s" if self.is_rate else "ms"

    @property
    def mean(self) -> float:
        """The mean over the trials."""
        return fmean(self.values)

    @property
    def sd(self) -> float | None:
        """The standard deviation over the trials; None of one."""
        return stdev(self.values) if len(self.values) > 1 else None

    def value_text(self, spell: Callable[[float], str]) -> str:
        """Return its mean, as `spell` writes it, with its unit: `478 requests/s`, `web 31.2 ms`."""
        return f"{self.part} {spell(self.mean)} {self.kind if self.is_rate else self.unit}".lstrip()

    def text(self, spell: Callable[[float], str]) -> str:
        """Return it in words: `478 requests/s`, `web p99 latency 31.2 ms`."""
        return self.value_text(spell) if self.is_rate else f"{self.name} {spell(self.mean)} {self.unit}"


def results(*trials: Record) -> list[LoadResult]:
    """Return what the loads of these trials measured: of each part of a mix first its rates, then its latencies."""
    metrics = [metrics_of(trial) for trial in trials]
    keys = dict.fromkeys(key for known in metrics for key in known if _is_result(key))
    parts = list(dict.fromkeys(key.rpartition(".")[0] for key in keys))
    ordered = sorted(keys, key=lambda key: (parts.index(key.rpartition(".")[0]), not key.endswith(RATE)))
    found = [
        LoadResult(key, tuple(v for known in metrics if (v := _number(known.get(key))) is not None)) for key in ordered
    ]
    return [result for result in found if result.values]


def latency_kinds(rows: Iterable[Sequence[LoadResult]]) -> list[str]:
    """Return the kinds of latency that any row has, without the mean where there are percentiles, which say more."""
    kinds = sorted({result.kind for row in rows for result in row if not result.is_rate})
    return [kind for kind in kinds if not kind.startswith("mean")] or kinds


def metrics_of(trial: Record) -> dict[str, Any]:
    """Return the metrics of a trial's load; before 0.3.0 the manifest kept only its requests/s."""
    metrics = trial.get("metrics")
    if isinstance(metrics, Mapping):
        return dict(metrics)
    rate = trial.get("requests_per_s")
    return {} if rate is None else {"requests_per_s": rate}


def _is_result(key: str) -> bool:
    own = key.rpartition(".")[2]
    return own.endswith(RATE) or LATENCY.fullmatch(own) is not None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
