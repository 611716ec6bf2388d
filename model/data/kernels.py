"""The kernel that was recorded. Recordings of different kernels are never pooled, for they schedule differently.

`clocks` does the same for the guest's clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from model.data import metadata
from model.data.provenance import Provenance, unknown_kernels
from model.errors import StreamError

FLAG = "--across-kernels"


def require_one_kernel(folders: Sequence[Path]) -> None:
    """Raise StreamError if several kernels were recorded."""
    kernels = {kernel: Path(folder) for folder in folders if (kernel := metadata.kernel(folder))}
    if len(kernels) > 1:
        mixed = "; ".join(f"{kernel} in {folder.name}" for kernel, folder in sorted(kernels.items()))
        hint = "a predictor is trained on one scheduler at a time; name those of one kernel"
        raise StreamError(f"recordings of several kernels ({mixed}): {hint}")


def require_same(
    learned: tuple[str, Sequence[Provenance]], tested: tuple[str, Sequence[Provenance]], across: bool
) -> None:
    """Raise StreamError if two sides, each a name and its recordings, are of different kernels; `across` allows that.

    A side whose kernel is not known is not refused: its scores carry a caveat.
    """
    if _differ(learned[1], tested[1]) and not across:
        sides = f"{learned[0]} is of Linux {_releases(learned[1])}, {tested[0]} of Linux {_releases(tested[1])}"
        hint = f"they may schedule differently; name recordings of one kernel, or give {FLAG} to go on nevertheless"
        raise StreamError(f"{sides}: {hint}")


def caveat(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> str | None:
    """Return the warning beside a score across kernels, or where it is not known whether it is one; else None.

    `learned` and `tested` are the recordings of both sides; the same list where one side was cut into both.
    """
    if _differ(learned, tested):
        sides = f"trained on Linux {_releases(learned)}, scored on Linux {_releases(tested)}"
        return f"Across kernels: {sides}; the two may schedule differently."
    if not learned:
        return "The kernel that the model was trained on is not known: an older version trained it; train it again."
    if learned == tested and len(tested) == 1:
        return None
    return unknown_kernels([*learned, *tested])


def _differ(learned: Sequence[Provenance], tested: Sequence[Provenance]) -> bool:
    sides = [{one.kernel for one in side if one.kernel} for side in (learned, tested)]
    return all(sides) and sides[0] != sides[1]


def _releases(side: Sequence[Provenance]) -> str:
    return " and ".join(sorted({one.kernel for one in side if one.kernel}))
