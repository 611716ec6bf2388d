"""An experiment file with each load, and the parameters of a load as a table has them."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from harness import spec
from harness.loads import KINDS, LoadModel
from harness.loads.example import example_of, experiment_file
from harness.loads.parameters import parameters


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_example_of_a_load_is_an_experiment_with_its_defaults(kind: str) -> None:
    text = experiment_file(kind, KINDS[kind], f"{kind}.yaml")
    experiment = spec.load_bytes(text.encode(), f"{kind}.yaml")
    assert (experiment.name, experiment.load) == (kind, example_of(KINDS[kind]))
    assert max(map(len, text.splitlines())) <= 120
    assert f"harness run {kind}.yaml" in text


class Poisson(BaseModel):
    rate_per_s: float = Field(gt=0, description="mean rate")


class Arrivals(BaseModel):
    """When requests arrive."""

    closed: int | None = Field(None, ge=1, description="clients")
    poisson: Poisson | None = Field(None, description="an open loop")


class Made(LoadModel):
    """Runs a script.

    It does to a CPU what the script does.
    """

    kind: Literal["made"] = "made"
    script: str = Field(max_length=100, description="what runs", examples=["while :; do\n  true\ndone\n"])
    arrivals: Arrivals = Field(Arrivals(closed=3), description="when requests arrive")
    size: Literal["small", "large"] = Field("small", description="how much")
    marks: tuple[Literal["a", "b"], ...] = Field(("a",), min_length=1, description="which")


def test_parameters_inside_of_parameters_have_their_paths() -> None:
    shown = {each.path: (each.type, each.default, each.bounds) for each in parameters(Made)}
    assert shown == {
        "load.script": ("text", None, "at most 100 letters"),
        "load.arrivals": ("mapping", {"closed": 3, "poisson": None}, ""),
        "load.arrivals.closed": ("whole number", None, "at least 1"),
        "load.arrivals.poisson": ("mapping", None, ""),
        "load.arrivals.poisson.rate_per_s": ("number", None, "above 0"),
        "load.size": ("one of small, large", "small", ""),
        "load.marks": ("list: one of a, b", ["a"], "at least 1 of them"),
    }
    assert [each.path for each in parameters(Made) if each.required] == [
        "load.script",
        "load.arrivals.poisson.rate_per_s",
    ]


def test_a_parameter_without_a_default_has_its_example_and_a_script_stays_readable() -> None:
    assert example_of(Made).script == "while :; do\n  true\ndone\n"
    text = experiment_file("made", Made, "mine.yaml")
    assert "  # what runs\n  script: |\n    while :; do\n      true\n    done\n" in text
    assert "# Runs a script.\n#\n# It does to a CPU what the script does.\n#\n#     harness run mine.yaml\n" in text
