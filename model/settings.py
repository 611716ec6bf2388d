"""The settings of a predictor: the arguments of its constructor, each annotated with its type and range.

`hidden: Annotated[int, Range(1)] = 48` is a setting. `model.predictors.create` checks what a user asked for.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from model.errors import SettingError


@dataclass(frozen=True)
class Range:
    """Numbers from `least` to `most`, both included; without `most` every finite one; `above` leaves out `least`."""

    least: float
    most: float = math.inf
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return self.least <= value <= self.most and value < math.inf and not (self.above and value == self.least)

    def __str__(self) -> str:
        if self.most < math.inf:
            return f"{self.least:,} to {self.most:,}"
        return f"a number above {self.least:,}" if self.above else f"at least {self.least:,}"


class WithSettings:
    """Gives a predictor its `settings`, if it keeps each argument of its constructor in an attribute of that name."""

    def settings(self) -> dict[str, object]:
        """Return the constructor's arguments, fit for JSON."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}


def check(kind: str, predictor: type[Any], settings: Mapping[str, Any]) -> None:
    """Raise SettingError if the predictor named `kind` has no such setting, or it has another type or range."""
    known = list(inspect.signature(predictor).parameters)
    hints = get_type_hints(predictor.__init__, include_extras=True)
    for name, value in settings.items():
        if name not in known:
            raise SettingError(f"predictor {kind!r} has no setting {name!r}: it has {', '.join(known)}")
        if expected := _expected_instead(hints[name], value):
            raise SettingError(f"{kind}.{name} {value!r}: expected {expected}")


def _expected_instead(hint: Any, value: Any) -> str | None:
    """Return what `value` should have been; None if it is right."""
    bare, *ranges = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    types = get_args(bare) or (bare,)
    if type(value) not in types and not (type(value) is int and float in types):
        return " or ".join("none" if kind is type(None) else kind.__name__ for kind in types)
    return next((str(limits) for limits in ranges if value is not None and value not in limits), None)
