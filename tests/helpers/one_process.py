"""What worker processes do, done in the process of the test: workers take seconds to start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


def one_after_the_other(
    jobs: Iterable[tuple[str, Any]],
    work: Callable[..., Any],
    *,
    processes: int | None,
    on_progress: Callable[..., None],
) -> Iterator[tuple[str, Any]]:
    """Do what `workers.run_in_processes` does, one job after the other."""
    for name, job in jobs:
        yield name, work(job, lambda *report, name=name: on_progress(name, *report))
