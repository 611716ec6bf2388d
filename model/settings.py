"""The settings of every predictor: each with its type, default, range and meaning.

Nothing here needs torch or numpy, so a wrong setting is found in a moment. A setting that is not given, or is null
where that is allowed, gets a value that suits the data. The seed is no setting: a model is named after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from model.errors import SettingError

MAX_SEED = 2**31 - 1
LONGEST_CONTEXT = 8  # marks
HEADS = 4  # of the transformer
MIN_SWITCHES = 50  # contested switches that replay_residual learns from
SEQUENCES, MIN_SEQUENCES = 984, 34  # of the KernelOracle paper; of the fewest, one is held out


class Settings(BaseModel):
    """Base of all settings, and those of a predictor that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class RepeatSettings(Settings):
    """`repeat`."""

    lag: int | None = Field(None, ge=1, le=8, description="Events ago; null: the lag that is right most often.")


class MarkovSettings(Settings):
    """`markov`."""

    order: int | None = Field(
        None, ge=0, le=LONGEST_CONTEXT, description="Marks of history; null: validation chooses, up to max_order."
    )
    max_order: int = Field(5, ge=0, le=LONGEST_CONTEXT, description="The longest history that is tried.")


class CtwSettings(Settings):
    """`ctw`."""

    depth: int = Field(8, ge=1, le=16, description="Marks in the longest context.")


class SliceMarkovSettings(Settings):
    """`slice_markov`."""

    max_order: int = Field(
        LONGEST_CONTEXT, ge=1, le=LONGEST_CONTEXT, description="Events in the longest history that is tried."
    )
    bins: int | None = Field(None, ge=1, le=64, description="Classes of slice length; null: validation chooses.")
    strength: int | None = Field(
        None, ge=1, le=1_000_000, description="Weight of shorter histories; null: validation chooses."
    )


class DecisionTreeSettings(Settings):
    """`decision_tree`."""

    depth: int | None = Field(None, ge=1, le=64, description="Levels; null: validation chooses.")
    least_in_leaf: int = Field(20, ge=1, le=1_000_000, description="Fewest events in a leaf.")


class GradientBoostingSettings(Settings):
    """`gradient_boosting`."""

    rounds: int = Field(150, ge=1, le=10_000, description="Most rounds; validation ends them early.")
    learning_rate: float = Field(0.1, gt=0, le=1, description="Weight of a round.")
    leaves: int = Field(31, ge=2, le=1024, description="Most leaves of a tree.")


class NetworkSettings(Settings):
    """What all networks share."""

    hidden: int = Field(48, ge=1, le=1024, description="Units of a layer.")
    learning_rate: float = Field(2e-2, gt=0, le=1, description="The learning rate at first; it decreases.")
    lanes: int | None = Field(
        None, ge=1, le=4096, description="Batch size, at most an eighth of the events; null: one that suits."
    )
    steps: int = Field(64, ge=1, le=4096, description="Events of truncated back-propagation.")
    slice_weight: float = Field(0.3, ge=0, le=1000, description="Weight of slice lengths in the loss; marks have 1.")
    max_epochs: int = Field(120, ge=1, le=10_000, description="Most passes over the train part.")
    max_seconds: float | None = Field(
        None, ge=0, le=2_592_000, description="Training ends after the epoch that passes this; null: no limit."
    )
    patience: int = Field(6, ge=1, le=10_000, description="Epochs without a gain before the learning rate is cut.")


class GruSettings(NetworkSettings):
    """`gru`, and what the recurrent networks share."""

    regime: Literal["marks", "slices"] = Field(
        "slices", description="The inputs: marks alone, or marks, slices and end states."
    )
    layers: int = Field(1, ge=1, le=16, description="Layers.")


class LstmSettings(GruSettings):
    """`lstm`."""

    hidden: int = Field(40, ge=1, le=1024, description="Units of a layer.")
    learning_rate: float = Field(2.5e-2, gt=0, le=1, description="The learning rate at first; it decreases.")


class MinGruSettings(GruSettings):
    """`mingru`."""

    layers: int = Field(2, ge=1, le=16, description="Layers.")


class TransformerSettings(MinGruSettings):
    """`transformer`."""

    hidden: int = Field(
        48, ge=HEADS, le=1024, multiple_of=HEADS, description=f"Units of a layer, a multiple of the {HEADS} heads."
    )
    learning_rate: float = Field(2e-3, gt=0, le=1, description="The learning rate at first; it decreases.")


class PointProcessSettings(NetworkSettings):
    """`rmtpp` and `nhp`."""

    hidden: int = Field(32, ge=1, le=1024, description="Units of the layer.")
    slice_weight: float = Field(1.0, ge=0, le=1000, description="Weight of slice lengths in the loss; marks have 1.")
    max_epochs: int = Field(60, ge=1, le=10_000, description="Most passes over the train part.")
    patience: int = Field(4, ge=1, le=10_000, description="Epochs without a gain before the learning rate is cut.")


class CfsReplaySettings(Settings):
    """`cfs_replay`. What is null comes from the recording, or else from its kernel's defaults."""

    latency_ms: float | None = Field(None, ge=0.1, le=1000, description="sched_latency_ns, in milliseconds.")
    wakeup_granularity_ms: float | None = Field(
        None, ge=0, le=1000, description="sched_wakeup_granularity_ns, in milliseconds."
    )
    forget_buddies_when_picked: bool | None = Field(None, description="The rule up to Linux 5.13.")


class EevdfReplaySettings(Settings):
    """`eevdf_replay`. What is null comes from the recording, or else from the defaults of Linux 6.12."""

    base_slice_ms: float | None = Field(None, ge=0.1, le=1000, description="base_slice_ns, in milliseconds.")
    delay_dequeue: bool | None = Field(None, description="The scheduler feature DELAY_DEQUEUE, since Linux 6.12.")
    corrects: bool = Field(True, description="A wrong prediction moves the lags concerned.")


class ReplayResidualSettings(Settings):
    """`replay_residual`."""

    rounds: int = Field(80, ge=1, le=2000, description="Trees.")
    depth: int = Field(4, ge=1, le=32, description="Levels of a tree.")
    most: int = Field(
        20_000, ge=MIN_SWITCHES, le=10_000_000, description="Contested switches to learn from, about; others are left."
    )


class PaperSettings(Settings):
    """`paper_as_coded`, `paper_as_written` and `paper_corrected`; null is what the predictor's name stands for."""

    scrambled: bool | None = Field(None, description="Whether a training step mixes cells of rows far apart.")
    overlapping: bool | None = Field(None, description="Whether the test contains sequences that were trained on.")
    scaling: Literal["min_max", "z_score"] | None = Field(None, description="The scale of time.")
    outlier: Literal["zero", "drop", "keep"] | None = Field(None, description="What is done with the longest time.")
    steps: int | None = Field(None, ge=1, le=1000, description="Steps of the optimiser, 20 passes each.")
    sequences: int | None = Field(None, ge=MIN_SEQUENCES, le=100_000, description="Sequences, of 3 events or more.")
    max_events: int | None = Field(
        None, ge=3 * MIN_SEQUENCES + 1, le=100_000_000, description="Most events to train on; null: all."
    )

    @field_validator("max_events")
    @classmethod
    def _enough_events(cls, value: int | None, info: ValidationInfo) -> int | None:
        needed = 3 * (info.data.get("sequences") or SEQUENCES) + 1  # one may be dropped as an outlier
        if value is not None and value < needed:
            raise ValueError(f"at least {needed:,}, three for each sequence and one more; or fewer sequences")
        return value


SETTINGS: dict[str, type[Settings]] = {
    "most_frequent": Settings,
    "repeat": RepeatSettings,
    "markov": MarkovSettings,
    "ctw": CtwSettings,
    "slice_markov": SliceMarkovSettings,
    "decision_tree": DecisionTreeSettings,
    "gradient_boosting": GradientBoostingSettings,
    "lstm": LstmSettings,
    "gru": GruSettings,
    "mingru": MinGruSettings,
    "transformer": TransformerSettings,
    "rmtpp": PointProcessSettings,
    "nhp": PointProcessSettings,
    "fifo": Settings,
    "cfs_replay": CfsReplaySettings,
    "eevdf_replay": EevdfReplaySettings,
    "replay_residual": ReplayResidualSettings,
    "paper_as_coded": PaperSettings,
    "paper_as_written": PaperSettings,
    "paper_corrected": PaperSettings,
}


@dataclass(frozen=True)
class WrongSetting:
    """A setting that a predictor does not have (`known` names those it has), or cannot use (`expected` says what)."""

    name: str
    value: Any
    expected: str
    known: tuple[str, ...] = ()


class WithSettings:
    """Gives a predictor its `settings`, if it keeps each of them in an attribute of that name."""

    settings_type: ClassVar[type[Settings]] = Settings
    seeded: bool = False

    def settings(self) -> dict[str, object]:
        """Return the constructor's arguments, fit for JSON."""
        names = [*self.settings_type.model_fields, *(["seed"] if self.seeded else [])]
        return {name: getattr(self, name) for name in names}


def wrong_settings(kind: str, settings: Mapping[str, Any]) -> list[WrongSetting]:
    """Return what is wrong with the settings of the predictor named `kind`."""
    fields = SETTINGS[kind].model_fields
    try:
        SETTINGS[kind].model_validate(dict(settings))
    except ValidationError as error:
        wrong = {str(detail["loc"][0]): detail for detail in error.errors(include_url=False)}
    else:
        return []
    return [
        WrongSetting(name, settings[name], _expected(kind, name, detail["type"], detail["msg"]))
        if name in fields
        else WrongSetting(name, settings[name], "", tuple(fields))
        for name, detail in wrong.items()
    ]


def check(kind: str, settings: Mapping[str, Any]) -> None:
    """Raise SettingError if the predictor named `kind` has no such setting, or it has another type or range."""
    for wrong in wrong_settings(kind, settings):
        if not wrong.expected:
            raise SettingError(f"predictor {kind!r} has no setting {wrong.name!r}: it has {_listed(wrong.known)}")
        raise SettingError(f"{kind}.{wrong.name} {wrong.value!r}: expected {wrong.expected}")


def check_seed(seed: object) -> None:
    """Raise SettingError unless this is a seed."""
    if type(seed) is not int or not 0 <= seed <= MAX_SEED:
        raise SettingError(f"seed {seed!r}: expected a whole number from 0 to {MAX_SEED:,}")


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def _expected(kind: str, name: str, error: str, message: str) -> str:
    """Say in words what a setting may be, such as `a whole number from 1 to 64, or null`."""
    if error == "value_error":  # of a validator above, which says it itself
        return message.removeprefix("Value error, ")
    described = SETTINGS[kind].model_json_schema()["properties"][name]
    return ", or ".join(_in_words(choice) for choice in described.get("anyOf", [described]))


def _in_words(choice: Mapping[str, Any]) -> str:
    if "enum" in choice:
        return ", ".join(map(repr, choice["enum"]))
    if choice["type"] in ("boolean", "null"):
        return {"boolean": "true or false", "null": "null"}[choice["type"]]
    number = "a whole number" if choice["type"] == "integer" else "a number"
    least = f"from {choice['minimum']:,}" if "minimum" in choice else f"above {choice['exclusiveMinimum']:,}"
    multiple = f", a multiple of {choice['multipleOf']}" if "multipleOf" in choice else ""
    return f"{number} {least} to {choice['maximum']:,}{multiple}"
