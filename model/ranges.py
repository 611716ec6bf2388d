"""Settings of the right type that no predictor can do anything with."""

from __future__ import annotations

import math

from model.errors import SettingError


def at_least(least: float, **settings: float | None) -> None:
    """SettingError names the first setting that is below `least`, or no number; None stands for the default."""
    for name, value in settings.items():
        if value is not None and not least <= value < math.inf:
            raise SettingError(f"{name} {value}: expected {least:g} or more")


def positive(**settings: float | None) -> None:
    """SettingError names the first setting that is not above 0, or no number; None stands for the default."""
    for name, value in settings.items():
        if value is not None and not 0 < value < math.inf:
            raise SettingError(f"{name} {value}: expected a number above 0")
