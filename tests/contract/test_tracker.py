"""What every tracker does: a run is there once however often it is sent, with all that was sent. Each is a real one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import TrackingError
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.tracker import Point, SentFile, SentRun

pytestmark = pytest.mark.slow  # importing MLflow and making its database take seconds

ARM = SentRun("key arm", "arm", "levels", "running", 1_000, None, parameters={"load.concurrency": "2"})
RUN = SentRun(
    key="key",
    name="2026-11-30T18-47-31_levels",
    experiment="levels",
    state="running",
    began_ms=1_000,
    ended_ms=None,
    question="Which is faster?",
    commit="c0ffee",
    tags={"box": "debian-12", "empty": ""},
    parameters={f"value.{number}": str(number) for number in range(250)},
    points=(Point("load/requests_per_s", 471.7, 2_000), Point("trial/requests_per_s", 1.0, 1_500, 3)),
    arms=(replace(ARM, points=(Point("trial/switches", 5.0, 1_600, 7),)),),
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'mlflow.db'}"


@pytest.fixture
def of_this_test(request: pytest.FixtureRequest) -> Callable[..., SentRun]:
    """Return RUN in an experiment of the test's own, so that one database serves all tests."""
    name = request.node.name[:100]

    def make(run: SentRun = RUN, **changes: Any) -> SentRun:
        arms = tuple(replace(arm, experiment=name, key=f"{name} arm") for arm in run.arms)
        return replace(run, **{"experiment": name, "key": name, "arms": arms, **changes})

    return make


def client(uri: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(uri)


def all_runs(uri: str, experiment: str) -> list[Any]:
    there = client(uri)
    return list(there.search_runs([there.get_experiment_by_name(experiment).experiment_id]))


def test_everything_that_is_sent_is_there(uri: str, tmp_path: Path, of_this_test: Callable[..., SentRun]) -> None:
    (tmp_path / "index.html").write_text("page")
    run = of_this_test(state="done", ended_ms=9_000, files=(SentFile(tmp_path / "index.html", "report"),))
    sent = MlflowTracker(uri).send(run, None)
    got = client(uri).get_run(sent.run)
    assert got.info.run_name == run.name
    assert (got.info.start_time, got.info.end_time, got.info.status) == (1_000, 9_000, "FINISHED")
    assert got.data.params == run.parameters
    assert got.data.metrics == {"load/requests_per_s": 471.7, "trial/requests_per_s": 1.0}
    assert got.data.tags["box"] == "debian-12"
    assert "empty" not in got.data.tags
    assert got.data.tags["mlflow.note.content"] == "Which is faster?"
    assert got.data.tags["mlflow.source.git.commit"] == "c0ffee"
    assert [file.path for file in client(uri).list_artifacts(sent.run, "report")] == ["report/index.html"]
    (arm,) = [other for other in all_runs(uri, run.experiment) if other.info.run_id != sent.run]
    assert arm.data.tags["mlflow.parentRunId"] == sent.run
    assert arm.data.params == {"load.concurrency": "2"}
    (point,) = client(uri).get_metric_history(arm.info.run_id, "trial/switches")
    assert (point.value, point.timestamp, point.step) == (5.0, 1_600, 7)


@pytest.mark.parametrize("known", [True, False])
def test_sending_again_changes_nothing_also_from_another_process_that_knows_nothing(
    uri: str, of_this_test: Callable[..., SentRun], known: bool
) -> None:
    run, tracker = of_this_test(state="done", ended_ms=9_000), MlflowTracker(uri)
    first = tracker.send(run, None)
    before = [(got.info.run_id, got.data.to_dictionary(), got.info.end_time) for got in all_runs(uri, run.experiment)]
    assert tracker.send(run, first.run) == first
    assert MlflowTracker(uri).send(run, first.run if known else None) == first
    after = [(got.info.run_id, got.data.to_dictionary(), got.info.end_time) for got in all_runs(uri, run.experiment)]
    assert after == before
    assert len(client(uri).get_metric_history(first.run, "load/requests_per_s")) == 1


def test_a_run_that_goes_on_gets_what_is_new(uri: str, of_this_test: Callable[..., SentRun]) -> None:
    run, tracker = of_this_test(), MlflowTracker(uri)
    sent = tracker.send(run, None)
    more = (*run.points, Point("load/requests_per_s", 480.0, 3_000, 1))
    tracker.send(replace(run, points=more, tags={"box": "debian-13"}), sent.run)
    got = client(uri).get_run(sent.run)
    assert got.data.metrics["load/requests_per_s"] == 480.0
    assert got.data.tags["box"] == "debian-13"
    assert len(client(uri).get_metric_history(sent.run, "load/requests_per_s")) == 2


def test_states_are_those_of_mlflow_and_a_resumed_run_runs_again(
    uri: str, of_this_test: Callable[..., SentRun]
) -> None:
    tracker, seen = MlflowTracker(uri), []
    for state in ("running", "interrupted", "running", "failed", "running", "done"):
        ended = None if state == "running" else 9_000
        sent = tracker.send(of_this_test(state=state, ended_ms=ended), None)
        seen.append(client(uri).get_run(sent.run).info.status)
    assert seen == ["RUNNING", "KILLED", "RUNNING", "FAILED", "RUNNING", "FINISHED"]
    assert len(all_runs(uri, of_this_test().experiment)) == 2


def test_long_values_are_cut_visibly_and_strange_names_are_made_allowed_ones(
    uri: str, of_this_test: Callable[..., SentRun]
) -> None:
    points = (Point("trial/a;b(c)_per_s", 1.0, 1_500),)
    run = of_this_test(parameters={"load.command": "x" * 7_312, "a;b" + "n" * 300: "1"}, points=points)
    got = client(uri).get_run(MlflowTracker(uri).send(run, None).run)
    assert len(got.data.params["load.command"]) == 500
    assert got.data.params["load.command"].endswith("xxx... (cut: 7,312 characters)")
    assert set(got.data.metrics) == {"trial/a_b_c__per_s"}
    assert any(name.startswith("a_bnn") and len(name) == 250 for name in got.data.params)


def test_a_parameter_that_changed_is_a_tag_because_mlflow_keeps_the_first_value(
    uri: str, of_this_test: Callable[..., SentRun]
) -> None:
    tracker = MlflowTracker(uri)
    sent = tracker.send(of_this_test(parameters={"model.seeds": "[0]"}), None)
    tracker.send(of_this_test(parameters={"model.seeds": "[0, 1]"}), sent.run)
    got = client(uri).get_run(sent.run)
    assert got.data.params == {"model.seeds": "[0]"}
    assert got.data.tags["changed.model.seeds"] == "[0, 1]"


def test_a_run_that_was_deleted_there_is_made_anew(uri: str, of_this_test: Callable[..., SentRun]) -> None:
    sent = MlflowTracker(uri).send(of_this_test(), None)
    client(uri).delete_run(sent.run)
    again = MlflowTracker(uri).send(of_this_test(), sent.run)
    assert again.run != sent.run
    assert client(uri).get_run(again.run).data.params == RUN.parameters


def test_a_deleted_experiment_is_an_error_that_says_how_to_restore_it(
    uri: str, of_this_test: Callable[..., SentRun]
) -> None:
    run = of_this_test()
    sent = MlflowTracker(uri).send(run, None)
    experiment = client(uri).get_experiment_by_name(run.experiment).experiment_id
    client(uri).delete_experiment(experiment)
    with pytest.raises(TrackingError) as caught:
        MlflowTracker(uri).send(run, sent.run)
    assert caught.value.hint == f"mlflow experiments restore --experiment-id {experiment}"


def test_a_run_in_an_experiment_that_was_renamed_there_is_still_known(
    uri: str, of_this_test: Callable[..., SentRun]
) -> None:
    run = of_this_test()
    sent = MlflowTracker(uri).send(run, None)
    experiment = client(uri).get_experiment_by_name(run.experiment).experiment_id
    client(uri).rename_experiment(experiment, "renamed")
    assert MlflowTracker(uri).send(run, sent.run) == sent
    assert client(uri).get_experiment_by_name(run.experiment) is None


def test_a_database_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow.tracking import MlflowClient

    def end(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(MlflowClient, "search_experiments", end)
        with pytest.raises(KeyboardInterrupt):
            MlflowTracker(f"sqlite:///{tmp_path}/mlflow/mlflow.db").send(RUN, None)
    assert list((tmp_path / "mlflow").iterdir()) == []
    assert MlflowTracker(f"sqlite:///{tmp_path}/mlflow/mlflow.db").send(RUN, None).run
    assert [path.name for path in (tmp_path / "mlflow").iterdir()] == ["mlflow.db"]


def test_a_database_in_a_folder_that_is_not_there_makes_no_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        MlflowTracker(f"sqlite:///{tmp_path}/no/such/own.db").send(RUN, None)
    assert list(tmp_path.iterdir()) == []
