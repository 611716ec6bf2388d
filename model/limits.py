"""The range that a predictor's setting must be in; what is outside would end in a library's message, or in nonsense."""

from __future__ import annotations

from model.errors import SettingError


def demand(setting: str, value: float, least: float, most: float | None = None) -> None:
    """SettingError where a number is below `least`, above `most`, or none at all; `setting` is named as --set does."""
    if not (value >= least and (most is None or value <= most)):
        expected = f"at least {least:,}" if most is None else f"{least:,} to {most:,}"
        raise SettingError(f"{setting} {value!r}: expected {expected}")
