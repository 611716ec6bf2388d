"""perf.data to tables: what the kernel's scheduler did, and whether the recording can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.trace.quality import TraceQuality
    from harness.trace.reader import Trace, read
    from harness.trace.runqueue.slicer import slices
    from harness.trace.tables.parquet import Ingested, ingest, load_tables

__all__ = ["Ingested", "Trace", "TraceQuality", "ingest", "load_tables", "read", "slices"]

_HOMES = {
    "Ingested": "tables.parquet",
    "ingest": "tables.parquet",
    "load_tables": "tables.parquet",
    "TraceQuality": "quality",
    "Trace": "reader",
    "read": "reader",
    "slices": "runqueue.slicer",
}


def __getattr__(name: str) -> Any:
    """Import on first use: numpy and pyarrow take a third of a second, which `harness --help` should not pay."""
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"harness.trace.{_HOMES[name]}"), name)
