"""The predictors of an experiment file: what is wrong is found at once, by the file's reader and by the JSON Schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from json_schema import fits
from locations import EXPERIMENTS, ROOT

from harness import boxes, spec
from harness.errors import MissingExtraError, SpecError
from harness.spec.document import parse
from model import predictors
from model.settings import SETTINGS

HEAD = "name: e\nmachine: {box: debian-12}\nload: {kind: nginx_ab}\n"
SCHEMA = spec.schema()
HUGE = 10**200

# Values of `model` that are wrong, and that the schema can refuse too.
WRONG: list[dict[str, Any]] = [
    {"mark": "slices"},
    {"mark": None},
    {"predictors": ["lstmm"]},
    {"predictors": ["lstm", "lstm"]},
    {"predictors": "lstm"},
    {"predictors": [True]},
    {"predictors": [None]},
    {"inputs": "marks"},
    {"seeds": []},
    {"seeds": [-1]},
    {"seeds": [HUGE]},
    {"seeds": [True]},
    {"seeds": [1.5]},
    {"seeds": [1, 1]},
    {"split": [0.7, 0.3]},
    {"split": [1, 0, 0]},
    {"split": [0.9, 0.0999, 0.0001]},
    {"split": [True, 0.5, 0.5]},
    {"split": [1.2, -0.1, -0.1]},
    {"params": []},
    {"params": {"lstmm": {}}},
    {"params": {"lstm": []}},
    {"params": {"lstm": None}},
    {"params": {"lstm": {"hiden": 8}}},
    {"params": {"lstm": {"seed": 1}}},
    {"params": {"fifo": {"latency_ms": 1}}},
    {"params": {"lstm": {"hidden": {"a": 1}}}},
    {"params": {"lstm": {"regime": "runqueue"}}},
    {"params": {"rmtpp": {"layers": 1}}},
    {"params": {"transformer": {"hidden": 6}}},
    {"params": {"paper_as_coded": {"scaling": "log"}}},
    {"params": {"paper_as_coded": {"outlier": 0}}},
    {"params": {"paper_as_coded": {"max_events": 0}}},
]
RIGHT: list[dict[str, Any]] = [
    {},
    {"predictors": []},
    {"predictors": sorted(SETTINGS)},
    {"predictors": ["lstm"], "params": {"markov": {"order": 0}}},
    {"seeds": [0, 2**31 - 1]},
    {"split": [0.98, 0.01, 0.01]},
    {"params": {"lstm": {"max_seconds": None, "learning_rate": 1}}},
    {"params": {"transformer": {"hidden": 8}}},
    {"params": {"paper_as_coded": {"max_events": 400, "sequences": 100, "outlier": "drop", "scaling": None}}},
]
# What the schema cannot say: values that do not go together.
BEYOND: list[dict[str, Any]] = [
    {"split": [0.5, 0.5, 0.5]},
    {"params": {"paper_as_coded": {"max_events": 1000}}},
    {"params": {"paper_as_coded": {"max_events": 300, "sequences": 100}}},
]


def wrong_values_of(kind: str) -> list[dict[str, Any]]:
    """For every setting of a predictor: values just outside of its range, and of other types."""
    described = SETTINGS[kind].model_json_schema()["properties"]
    return [
        {"params": {kind: {name: value}}}
        for name, setting in described.items()
        for choice in setting.get("anyOf", [setting])
        for value in _wrong_values(choice)
    ]


def _wrong_values(choice: dict[str, Any]) -> list[Any]:
    if choice["type"] not in ("integer", "number"):
        return ["yes", 2, [True]] if choice["type"] == "boolean" else ["", 1] if choice["type"] == "string" else []
    step = choice.get("multipleOf", 1) if choice["type"] == "integer" else 1e-3
    least = choice.get("minimum", choice.get("exclusiveMinimum"))
    below = [least - step, *([least] if "exclusiveMinimum" in choice else [])]
    between = [least + 0.5] if choice["type"] == "integer" else []
    return [*below, choice["maximum"] + step, -HUGE, HUGE, -1e300, 1e300, True, False, "8", [8], {}, *between]


def load(model: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(f"{HEAD}model: {json.dumps(model)}\n")
    spec.load(path)


def in_schema(model: dict[str, Any]) -> bool:
    return fits({**parse(HEAD, "e").data, "model": model}, SCHEMA, SCHEMA)


@pytest.mark.parametrize("kind", SETTINGS)
def test_every_setting_refuses_what_is_out_of_its_range_or_of_another_type(kind: str, tmp_path: Path) -> None:
    for model in wrong_values_of(kind):
        test_a_wrong_value_is_refused_at_its_place_in_the_file_and_by_the_schema(model, tmp_path)


@pytest.mark.parametrize("model", WRONG, ids=json.dumps)
def test_a_wrong_value_is_refused_at_its_place_in_the_file_and_by_the_schema(
    model: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(SpecError) as caught:
        load(model, tmp_path)
    assert str(caught.value.where).startswith(f"{tmp_path}/e.yaml:4:")
    assert not in_schema(model)


@pytest.mark.parametrize("model", RIGHT, ids=json.dumps)
def test_a_right_value_is_accepted_by_the_loader_and_by_the_schema(model: dict[str, Any], tmp_path: Path) -> None:
    if "predictors" in model and not all(map(predictors.installed, model["predictors"])):
        model = {"predictors": [name for name in model["predictors"] if predictors.installed(name)]}
    load(model, tmp_path)
    assert in_schema(model)


@pytest.mark.parametrize("model", BEYOND, ids=json.dumps)
def test_values_that_do_not_go_together_are_refused_by_the_loader_alone(model: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(SpecError):
        load(model, tmp_path)
    assert in_schema(model)


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_experiment_of_the_project_fits_the_schema(path: Path) -> None:
    assert fits(parse(path.read_text(), path.name).data, SCHEMA, SCHEMA)


def test_every_predictor_has_settings_and_every_setting_says_what_it_means() -> None:
    assert set(SETTINGS) == set(predictors.KINDS)
    for settings in SETTINGS.values():
        assert all(field.description for field in settings.model_fields.values())


def test_a_missing_library_is_an_error_at_the_predictor_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(MissingExtraError) as caught:
        load({"predictors": ["markov", "gradient_boosting"]}, tmp_path)
    assert caught.value.where == f"{tmp_path}/e.yaml:4:34"
    assert caught.value.hint.endswith(f"-m pip install -e '{ROOT}[boosting]'")
    load({"predictors": ["markov"], "params": {"gradient_boosting": {"leaves": 7}}}, tmp_path)


def test_predictors_of_an_experiment_that_records_nothing_are_an_error_at_their_place(tmp_path: Path) -> None:
    path = tmp_path / "e.yaml"
    for untraced in ("record: {tracer: none}\n", "sweep: {record.tracer: [none]}\n"):
        path.write_text(f"{HEAD}{untraced}model:\n  predictors: [markov]\n")
        with pytest.raises(SpecError, match="nothing is recorded to train them on") as caught:
            spec.load(path)
        assert caught.value.where == f"{path}:6:15"
    path.write_text(f"{HEAD}sweep: {{record.tracer: [perf, none]}}\nmodel:\n  predictors: [markov]\n")
    assert spec.load(path).sweep == {"record.tracer": ("perf", "none")}
    path.write_text(f"{HEAD}record: {{tracer: none}}\n")
    stored = spec.load(path)
    with pytest.raises(SpecError, match="nothing is recorded"):  # as a run goes on with other models
        spec.changed(stored, {"model.predictors": "[markov]"})


FITTING = [("cfs_replay", "debian-12"), ("eevdf_replay", "debian-13"), ("replay_residual", "debian-13")]
MISFITTING = [("eevdf_replay", "debian-11"), ("cfs_replay", "debian-13"), ("eevdf_replay", "ubuntu-18.04")]


def replay_of(machine: str, predictor: str, tmp_path: Path, more: str = "") -> None:
    path = tmp_path / "e.yaml"
    path.write_text(f"name: e\nmachine: {machine}\nload: {{kind: idle}}\nmodel: {{predictors: [{predictor}]}}\n{more}")
    spec.load(path, kernel_of=boxes.kernel_version)


@pytest.mark.parametrize(("predictor", "box"), FITTING)
def test_a_replay_of_the_scheduler_of_the_box_is_right(predictor: str, box: str, tmp_path: Path) -> None:
    replay_of(f"{{box: {box}}}", predictor, tmp_path)


@pytest.mark.parametrize(("predictor", "box"), MISFITTING)
def test_a_replay_of_another_scheduler_than_that_of_the_box_is_an_error(
    predictor: str, box: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=f"{predictor} cannot replay the kernel of {box}") as caught:
        replay_of(f"{{box: {box}}}", predictor, tmp_path)
    assert caught.value.where == f"{tmp_path}/e.yaml:4:22"


def test_the_kernel_of_a_ready_made_box_is_what_the_file_says_or_unknown(tmp_path: Path) -> None:
    for predictor in ("cfs_replay", "eevdf_replay"):
        replay_of("{box: bento/ubuntu-18.04}", predictor, tmp_path)
    replay_of("{box: bento/ubuntu-18.04, kernel: 4.15.0-58-generic}", "cfs_replay", tmp_path)
    with pytest.raises(SpecError, match=r"Linux 4\.15 has CFS"):
        replay_of("{box: bento/ubuntu-18.04, kernel: 4.15.0-58-generic}", "eevdf_replay", tmp_path)


def test_the_fallback_is_checked_too(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot replay the kernel of the fallback debian-13") as caught:
        replay_of("{box: debian-12, fallback: debian-13}", "cfs_replay", tmp_path)
    assert caught.value.where == f"{tmp_path}/e.yaml:2:37"


def test_a_swept_box_is_checked_and_the_one_it_replaces_is_not(tmp_path: Path) -> None:
    replay_of("{box: debian-13}", "cfs_replay", tmp_path, "sweep: {machine.box: [debian-11, debian-12]}\n")
    with pytest.raises(SpecError, match=r"in sweep: cfs_replay cannot replay the kernel of debian-13") as caught:
        replay_of("{box: debian-12}", "cfs_replay", tmp_path, "sweep: {machine.box: [debian-12, debian-13]}\n")
    assert caught.value.where == f"{tmp_path}/e.yaml:5:34"


def test_settings_are_checked_without_the_libraries_that_train(tmp_path: Path) -> None:
    (tmp_path / "e.yaml").write_text(HEAD + "model: {predictors: [lstm], params: {lstm: {hidden: 0}}}\n")
    code = (
        "import sys\nfrom harness import spec\nfrom harness.errors import SpecError\n"
        "try: spec.load('e.yaml')\nexcept SpecError as error: print(error.where)\n"
        "print(sorted({'torch', 'sklearn', 'numpy', 'pyarrow'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines() == ["e.yaml:4:53", "[]"]
