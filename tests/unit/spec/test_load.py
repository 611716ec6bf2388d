"""Reading good experiment files, changing values from the command line, and the round trip through a manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from locations import EXPERIMENTS
from pydantic import ValidationError

from harness import boxes, spec
from harness.errors import SpecError

SMALL = "name: small\nmachine: {box: debian-12, fallback: debian-11, kernel: 6.1.0-37-amd64}\nload: {kind: nginx_ab}\n"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize("path", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda path: path.name)
def test_every_experiment_of_the_project_loads_and_survives_the_manifest(path: Path) -> None:
    experiment = spec.load(path, kernel_of=boxes.kernel_version)
    assert experiment.name == path.stem
    assert experiment.question.endswith("?")
    stored = json.loads(json.dumps(spec.to_dict(experiment), allow_nan=False))
    assert spec.from_dict(stored, experiment.source, experiment.text) == experiment


def test_nginx_ab_has_the_load_and_the_machine_of_the_paper() -> None:
    experiment = spec.load(EXPERIMENTS / "nginx_ab.yaml")
    assert experiment.machine.box == "ubuntu-18.04"
    assert (experiment.machine.fallback, experiment.machine.cpus) == ("debian-12", 1)
    assert experiment.load.model_dump() | {"requests": 1_000_000, "concurrency": 5} == experiment.load.model_dump()
    assert (experiment.record.seconds, experiment.trials.repeat) == (50, 3)


def test_an_experiment_cannot_be_changed_in_place(small: Path) -> None:
    experiment = spec.load(small)
    with pytest.raises(ValidationError, match="frozen"):
        experiment.record.seconds = 1  # type: ignore[misc]


def test_the_text_of_the_file_is_kept_unchanged(small: Path) -> None:
    experiment = spec.load(small, {"record.seconds": "7"})
    assert experiment.text == SMALL
    assert experiment.source == small


def test_set_replaces_one_value_and_reads_it_as_yaml(small: Path) -> None:
    experiment = spec.load(small, {"load.concurrency": "1_000", "load.keepalive": "true", "model.seeds": "[4, 5]"})
    assert experiment.load.model_dump()["concurrency"] == 1000
    assert experiment.load.model_dump()["keepalive"] is True
    assert experiment.model.seeds == (4, 5)


def test_setting_another_kind_of_load_drops_the_parameters_of_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(SMALL.replace("{kind: nginx_ab}", "{kind: nginx_ab, requests: 7}"))
    assert spec.load(path, {"load.kind": "idle"}).load.model_dump() == {"kind": "idle"}
    assert spec.load(path, {"load.kind": "nginx_ab"}).load.model_dump()["requests"] == 7


def test_another_load_starts_from_its_own_defaults(tmp_path: Path) -> None:
    path, text = tmp_path / "a.yaml", SMALL.replace("{kind: nginx_ab}", "{kind: nginx_ab, concurrency: 50}")
    path.write_text(text)
    experiment = spec.load(path, load_kind="idle")
    assert experiment.load.model_dump() == {"kind": "idle"}
    assert (experiment.source, experiment.text) == (path, text)


def test_another_box_has_neither_the_fallback_nor_the_kernel_of_the_old_one(small: Path) -> None:
    machine = spec.load(small, box="debian-13").machine
    assert (machine.box, machine.fallback, machine.kernel) == ("debian-13", None, None)


def test_an_experiment_in_memory_is_changed_as_a_file_is(small: Path) -> None:
    changes = {"record.seconds": "7"}
    from_file = spec.load(small, changes, load_kind="stress_ng", box="debian-13")
    stored = spec.from_dict(spec.to_dict(spec.load(small)), small, small.read_text())
    assert spec.changed(stored, changes, load_kind="stress_ng", box="debian-13") == from_file
    with pytest.raises(SpecError, match="secconds") as caught:
        spec.changed(stored, {"record.secconds": "7"})
    assert "--set record.secconds=7" in str(caught.value)


def test_an_unknown_load_on_the_command_line_is_an_error_that_suggests_the_nearest(small: Path) -> None:
    with pytest.raises(SpecError) as caught:
        spec.load(small, load_kind="nginx_abb")
    assert caught.value.where == "--load nginx_abb"
    assert "nginx_ab" in (caught.value.hint or "")


def test_an_invalid_box_name_on_the_command_line_is_refused(small: Path) -> None:
    with pytest.raises(SpecError, match=r"--machine \.\./etc"):
        spec.load(small, box="../etc")


def test_overrides_apply_to_the_new_load_and_box(small: Path) -> None:
    changed = {"load.groups": "3", "machine.kernel": "5.10.0-1-amd64"}
    experiment = spec.load(small, changed, load_kind="perf_bench_messaging", box="debian-11")
    assert experiment.load.model_dump()["kind"] == "perf_bench_messaging"
    assert experiment.load.model_dump()["groups"] == 3
    machine = experiment.machine
    assert (machine.box, machine.fallback, machine.kernel) == ("debian-11", None, "5.10.0-1-amd64")


def test_an_unknown_load_and_an_invalid_box_are_reported_together(small: Path) -> None:
    with pytest.raises(SpecError) as caught:
        spec.load(small, load_kind="nope", box="../x")
    assert {line.partition(":")[0] for line in str(caught.value).splitlines() if line.startswith("--")} == {
        "--load nope",
        "--machine ../x",
    }


@pytest.mark.parametrize(
    ("sweep", "option"),
    [
        ("load.kind: [idle, nginx_ab]", {"load_kind": "idle"}),
        ("machine.box: [debian-11, debian-12]", {"box": "debian-11"}),
    ],
)
def test_a_swept_load_or_box_cannot_be_replaced_by_an_option(small: Path, sweep: str, option: dict[str, str]) -> None:
    with pytest.raises(SpecError, match=r"(load\.kind|machine\.box) is swept"):
        spec.load(small, {"sweep": "{" + sweep + "}"}, **option)  # type: ignore[arg-type]


def test_the_experiment_of_an_arm_has_no_sweep(small: Path) -> None:
    experiment = spec.load(small, {"sweep": "{load.concurrency: [1, 9]}"})
    arm = spec.apply(experiment, {"load.concurrency": 9})
    assert arm.load.model_dump()["concurrency"] == 9
    assert arm.sweep == {}


def test_the_schema_describes_every_key_and_every_load() -> None:
    schema = json.loads(json.dumps(spec.schema()))
    assert set(schema["properties"]) == set(spec.Experiment.model_fields)
    kinds = schema["properties"]["load"]["discriminator"]["mapping"]
    assert set(kinds) == set(spec.load_kinds())
    for part in [schema, *schema["$defs"].values()]:
        for name, key in part.get("properties", {}).items():
            assert key.get("description") or name == "kind", name
    for reference in kinds.values():
        assert "kind" in schema["$defs"][reference.rpartition("/")[2]]["required"]
