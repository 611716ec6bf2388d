"""perf.data to tables: what the kernel's scheduler did, and whether the recording can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.trace.converter import convert, ingest
    from harness.trace.quality import TraceQuality
    from harness.trace.reader import Trace, read
    from harness.trace.runqueue.slicer import slices
    from harness.trace.summary import summarize

__all__ = ["Trace", "TraceQuality", "convert", "ingest", "read", "slices", "summarize"]

_MODULES = {
    "Trace": "reader",
    "TraceQuality": "quality",
    "convert": "converter",
    "ingest": "converter",
    "read": "reader",
    "slices": "runqueue.slicer",
    "summarize": "summary",
}


def __getattr__(name: str) -> Any:
    """Import on first use: numpy and pyarrow take a third of a second, which `harness --help` should not pay."""
    if name not in _MODULES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"harness.trace.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
