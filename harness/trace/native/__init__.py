"""The inner loops of the trace engine in C, compiled on the machine they run on.

Every `.c` file of this folder goes into one shared library (`build`), which is made at first use and kept in the
cache, and loaded with ctypes (`library`). Nothing needs it: where it cannot be made the same work is done with numpy,
more slowly and with the same results. `HARNESS_NATIVE=0` forbids it, `HARNESS_NATIVE=1` demands it.

A module that uses it lists its functions with the types of their arguments, and asks when it needs them:

    _FUNCTIONS: Signatures = {"chain_met": (c_int32, [c_void_p, c_void_p])}
    native = functions(_FUNCTIONS)
    if native is not None:
        native.chain_met(...)
"""

from __future__ import annotations

from harness.trace.native.library import Signatures, State, functions, state

__all__ = ["Signatures", "State", "functions", "state"]
