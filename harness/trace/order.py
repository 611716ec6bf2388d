"""The order of rows by time. A recording is nearly in order: each CPU's rows are, and perf writes them in turn."""

from __future__ import annotations

from ctypes import c_int64, c_void_p

import numpy as np

from harness.trace.gather import Array
from harness.trace.native import Signatures, functions

_FUNCTIONS: Signatures = {"time_order": (c_int64, [c_void_p, c_int64, c_void_p])}


def time_order(times: Array) -> Array | None:
    """The places of rows sorted by `times` (ns), stable; None where they are in order as they are."""
    native = functions(_FUNCTIONS)
    if native is None:
        return None if (times[1:] >= times[:-1]).all() else np.argsort(times, kind="stable")
    times = np.ascontiguousarray(times, np.int64)
    order = np.empty(len(times), np.int64)
    runs = native.time_order(times.ctypes.data, len(times), order.ctypes.data)
    if runs < 0:
        raise MemoryError(f"no room to sort {len(times)} rows")
    return order if runs > 1 else None
