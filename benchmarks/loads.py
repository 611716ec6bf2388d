"""What each load of a run did to the CPU and got from it, as a table for docs/loads.md.

    harness run experiments/loads.yaml
    python benchmarks/loads.py runs/RUN

A row is one load; of several trials it has the first usable one. A slice is a stay on the CPU of a task, idle aside.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import harness
from harness.api.trial import Trial
from harness.load_results import results
from harness.report import text

HEAD = ("load", "busy CPU", "switches/s", "contested", "median slice", "rate", "p99 latency")


def row(trial: Trial) -> tuple[str, ...]:
    """Return the cells of one trial."""
    slices, facts = trial.frame("slices", ["tid", "slice_ns"]), trial.facts
    median_us = slices.slice_ns[slices.tid != 0].median() / 1e3
    seconds = facts["quality"]["span_ns"] / 1e9
    found = results({"metrics": trial.metrics})
    rates = ", ".join(f"{text.plain(result.mean)} {result.name}" for result in found if result.is_rate)
    latest = ", ".join(f"{text.plain(result.mean)} ms" for result in found if result.key.endswith("latency_p99_ms"))
    shares = (f"{100 * (1 - facts['idle_share']):.1f} %", f"{len(slices) / seconds:,.0f}")
    contested = f"{100 * facts['contested_share']:.0f} %"
    return (f"`{trial.load['kind']}`", *shares, contested, f"{median_us:,.0f} µs", rates or "-", latest or "-")


def rows(run: Any) -> Iterator[tuple[str, ...]]:
    """Yield a row for each arm that has a usable trial."""
    usable = {trial.arm: trial for trial in reversed(run.trials) if trial.usable}
    yield from (row(usable[arm]) for arm in sorted(usable))


def main() -> None:
    """Print the table of the run that is named."""
    for cells in (HEAD, ("---",) * len(HEAD), *rows(harness.open_run(sys.argv[1]))):
        print("|", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
