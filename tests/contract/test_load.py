"""The contract of every load."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from harness.loads import KINDS, Timing
from harness.paths import data_dir


@pytest.fixture(params=sorted(KINDS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_load_is_listed_under_its_own_kind(kind: str) -> None:
    assert KINDS[kind]().kind == kind


def test_a_load_is_frozen_and_refuses_unknown_keys(kind: str) -> None:
    load = KINDS[kind]()
    with pytest.raises(ValidationError):
        load.kind = "other"  # type: ignore[misc,assignment]
    with pytest.raises(ValidationError):
        KINDS[kind](nonsense=1)  # type: ignore[call-arg]


def test_a_load_runs_without_a_shell(kind: str) -> None:
    load = KINDS[kind]()
    for argv in (load.command(), load.ready() or ["true"]):
        assert argv
        assert all(isinstance(word, str) and word for word in argv)


def test_a_load_names_roles_that_exist(kind: str) -> None:
    folders = [data_dir("ansible") / "roles", *KINDS.role_folders()]
    for role in KINDS[kind].roles:
        assert any((folder / role / "tasks" / "main.yml").is_file() for folder in folders), role


def test_a_load_without_output_reports_nothing(kind: str) -> None:
    assert KINDS[kind]().parse("", Timing(1, 5.0, 50.0)) == {}


def test_every_parameter_has_a_description(kind: str) -> None:
    model: type[BaseModel] = KINDS[kind]
    unexplained = [name for name, about in model.model_fields.items() if name != "kind" and not about.description]
    assert unexplained == []


def test_a_load_stays_the_same_when_dumped_and_read_again(kind: str) -> None:
    load = KINDS[kind]()
    assert KINDS[kind].model_validate(load.model_dump()) == load
