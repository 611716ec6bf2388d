"""What `--track` takes: wrong kinds and addresses are refused in words before anything starts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from command_line import harness

from harness import extras, tracking
from harness.errors import MissingExtraError, UsageError
from harness.tracking import target as target_module

WRONG = {
    "mlfow": "did you mean mlflow?",
    "": "there is no such tracker",
    "mlflow=": "the address is empty",
    "mlflow=mlruns": "this is no address of MLflow",
    "mlflow=file:///srv/mlruns": "this is no address of MLflow",
    "mlflow=http://": "this is no address of MLflow",
    "mlflow=http://host:99999": "Port out of range",
    "mlflow=http://[::1": "this is no address",
    "mlflow=sqlite://": "this is no address of MLflow",
    "mlflow=sqlite:///": "this is no address of MLflow",
    "mlflow=sqlite:///:memory:": "this is no address of MLflow",
    "mlflow=sqlite:///a.db?timeout=1": "this is no address of MLflow",
    "mlflow=sqlite:////srv/a%41.db": "because of % in its path",
    "mlflow=https://host/x?token=secret": "this is no address of MLflow",
}


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.mark.parametrize(("text", "words"), WRONG.items())
def test_a_wrong_kind_or_address_is_refused(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        tracking.parse(text, tmp_path)
    assert words in str(caught.value)
    assert caught.value.expected or caught.value.hint


def test_without_an_address_it_is_an_sqlite_file_in_a_folder_beside_the_runs(tmp_path: Path) -> None:
    target = tracking.parse("mlflow", tmp_path / "runs")
    assert str(target) == f"mlflow=sqlite:///{tmp_path}/runs/mlflow/mlflow.db"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_runs_whose_path_mlflow_cannot_open_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="because of # and % in its path"):
        tracking.parse("mlflow", tmp_path / "100%" / "#1")


def test_the_variable_of_mlflow_is_the_default_and_an_address_that_is_given_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracker:5000/")
    assert tracking.parse("mlflow", tmp_path).uri == "http://tracker:5000"
    assert tracking.parse("mlflow=https://other/mlflow", tmp_path).uri == "https://other/mlflow"


def test_a_relative_path_is_made_absolute_for_commands_of_later_from_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert tracking.parse("mlflow=sqlite:///own.db", Path("runs")).uri == f"sqlite:///{tmp_path}/own.db"


@pytest.mark.parametrize("given", [True, False])
def test_a_password_in_an_address_is_refused_and_not_repeated(
    given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = "https://me:s3cret@tracker:5000/x"
    if not given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError) as caught:
        tracking.parse(f"mlflow={uri}" if given else "mlflow", tmp_path)
    assert "s3cret" not in str(caught.value)
    assert "MLFLOW_TRACKING_PASSWORD" in str(caught.value)


@pytest.mark.parametrize("given", [True, False])
def test_an_sqlite_file_in_a_folder_that_is_missing_is_refused_and_nothing_is_made(
    given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/new/dir/t.db"
    if not given:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UsageError, match=f"there is no folder {tmp_path}/new/dir") as caught:
        tracking.parse(f"mlflow={uri}" if given else "mlflow", tmp_path / "runs")
    assert str(caught.value.where).endswith(f"={uri}")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "new" / "dir").mkdir(parents=True)
    assert tracking.parse(f"mlflow={uri}", tmp_path / "runs").uri == uri


def test_the_text_of_a_target_means_the_same_target_again(tmp_path: Path) -> None:
    (tmp_path / "mlflow").mkdir()
    for text in ("mlflow", "mlflow=http://tracker:5000"):
        target = tracking.parse(text, tmp_path)
        assert tracking.parse(str(target), tmp_path / "elsewhere") == target
        assert tracking.stored({"tracking": {str(target): {}}}) == [target]


@pytest.mark.parametrize("package", ["mlflow", "sqlalchemy", "alembic"])
def test_a_package_that_is_not_installed_is_named_with_its_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> Any:
        return None if name == package else importlib.util.find_spec(name)

    monkeypatch.setattr(target_module, "find_spec", found)
    with pytest.raises(MissingExtraError) as caught:
        tracking.parse("mlflow", tmp_path)
    assert extras.MODULES[package] == ("tracking", caught.value.what.partition(" ")[0])


@pytest.mark.parametrize("command", [["run", "smoke", "--track"], ["track", "--to"]])
@pytest.mark.parametrize("address", ["mlflow=nowhere", "mlflow=sqlite:///new/t.db"])
def test_commands_refuse_a_wrong_address_before_they_make_anything(
    command: list[str], address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = harness(*command, address, "--runs", tmp_path / "runs", code=2)
    assert "mlflow" in result.stderr or "there are no runs yet" in result.stderr
    assert list(tmp_path.iterdir()) == []
