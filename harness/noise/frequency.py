"""At which frequency the host's CPUs run, as far as it shows: a virtual host shows nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SYS = Path("/sys")


def read_frequency(sys: Path = SYS) -> dict[str, Any]:
    """Return `governor` (several are joined by commas), `mhz_min` and `mhz_max` over all CPUs, and `turbo`.

    Whatever the host does not show is None.
    """
    base = sys / "devices" / "system" / "cpu"
    folders = sorted(base.glob("cpu[0-9]*/cpufreq"))
    governors = {text for folder in folders if (text := _read(folder / "scaling_governor"))}
    khz = [int(text) for folder in folders if (text := _read(folder / "scaling_cur_freq") or "").isdigit()]
    return {
        "governor": ", ".join(sorted(governors)) or None,
        "mhz_min": round(min(khz) / 1000) if khz else None,
        "mhz_max": round(max(khz) / 1000) if khz else None,
        "turbo": _turbo(base),
    }


def _turbo(base: Path) -> bool | None:
    """Return whether the CPUs may run faster than their nominal frequency."""
    no_turbo, boost = _read(base / "intel_pstate" / "no_turbo"), _read(base / "cpufreq" / "boost")
    if no_turbo in ("0", "1"):
        return no_turbo == "0"
    return boost == "1" if boost in ("0", "1") else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
