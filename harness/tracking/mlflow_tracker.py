"""MLflow: one of its experiments per experiment name, one of its runs per run, and a nested one per arm.

MLflow takes seconds to import, so it is imported by the process that sends alone.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from harness.errors import TrackingError, UsageError
from harness.listed import listed
from harness.temporary import held_folder, sweep
from harness.tracking.tracker import Point, Sent, SentRun

if TYPE_CHECKING:
    from mlflow.entities import Experiment, Run
    from mlflow.tracking import MlflowClient

Item = TypeVar("Item")
VARIABLE = "MLFLOW_TRACKING_URI"
FOLDER, DATABASE, FILES = "mlflow", "mlflow.db", "mlartifacts"
STATUS = {"running": "RUNNING", "interrupted": "KILLED", "failed": "FAILED", "done": "FINISHED"}
ENDED = ("interrupted", "failed", "done")
MOST_VALUE, MOST_NAME = 500, 250  # characters; servers before MLflow 2.8 take no longer parameter, later ones 6,000
BATCH = 100  # of one kind in one request: MLflow's limit for parameters and for tags
DATABASE_WAIT_S = 5  # for another process that writes
KEY = "harness.key"
SQLITE = "sqlite:///"
NOT_OPENED = "?#%"  # which mean something in an address
FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names of metrics and parameters


class MlflowTracker:
    """Sends runs to an MLflow server, or into an SQLite file of MLflow."""

    modules: ClassVar[tuple[str, ...]] = ("mlflow", "sqlalchemy", "alembic")

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._client: MlflowClient | None = None
        self._sent: dict[str, set[Point]] = {}  # by the id of a run

    @staticmethod
    def address(given: str | None, runs_dir: Path) -> str:
        """Return the whole address: as given, else $MLFLOW_TRACKING_URI, else an SQLite file in the folder of runs."""
        own, variable = runs_dir.resolve() / FOLDER, os.environ.get(VARIABLE)
        uri = given or variable or f"{SQLITE}{own / DATABASE}"
        where = f"{VARIABLE}={uri}" if variable and not given else f"mlflow={uri}"
        address = _checked(uri, where)
        _require_folder(address, own, where)
        return address

    def send(self, run: SentRun, known: str | None) -> Sent:
        """Send what MLflow lacks of a run and its arms, then its files."""
        found = self._found(run, known)
        self._update(found, run)
        for arm in run.arms:
            self._update(self._arm(found, arm), arm)
        for file in run.files:
            self._mlflow.log_artifact(found.info.run_id, str(file.path), file.folder or None)
        return Sent(found.info.run_id, self._place(found))

    @property
    def _mlflow(self) -> Any:
        """The client of MLflow, made when it is first needed."""
        if self._client is None:
            from mlflow.tracking import MlflowClient

            local = self._uri.startswith(SQLITE)
            if local:
                _make_database(_database(self._uri))
            self._client = MlflowClient(f"{self._uri}?timeout={DATABASE_WAIT_S}" if local else self._uri)
        return self._client

    def _place(self, found: Run) -> str:
        """Return the run's page at a server, or the command that serves an SQLite file."""
        if self._uri.startswith(SQLITE):
            return f"mlflow ui --backend-store-uri {shlex.quote(self._uri)}"
        return f"{self._uri}/#/experiments/{found.info.experiment_id}/runs/{found.info.run_id}"

    def _found(self, run: SentRun, known: str | None) -> Run:
        """Return the run in MLflow, as it was or made anew."""
        if known and (found := self._active(known)):
            return found
        experiment = self._experiment(run.experiment)
        return self._by_key(experiment.experiment_id, run) or self._created(experiment.experiment_id, run, {})

    def _arm(self, parent: Run, arm: SentRun) -> Run:
        experiment = parent.info.experiment_id
        tags = {"mlflow.parentRunId": parent.info.run_id}
        return self._by_key(experiment, arm) or self._created(experiment, arm, tags)

    def _active(self, run_id: str) -> Run | None:
        """Return a run of MLflow; None if it is not there any more, or was deleted."""
        from mlflow.exceptions import MlflowException

        try:
            found = self._mlflow.get_run(run_id)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return found if found.info.lifecycle_stage == "active" else None

    def _experiment(self, name: str) -> Experiment:
        """Return the experiment of this name in MLflow. Raises TrackingError if it was deleted there."""
        found = self._mlflow.get_experiment_by_name(name)
        if found is None:
            found = self._mlflow.get_experiment(self._mlflow.create_experiment(name, _files_folder(self._uri)))
        if found.lifecycle_stage != "active":
            raise TrackingError(
                f"the experiment {name} was deleted in MLflow",
                hint=f"mlflow experiments restore --experiment-id {found.experiment_id}",
            )
        return found

    def _by_key(self, experiment_id: str, run: SentRun) -> Run | None:
        listed = self._mlflow.search_runs([experiment_id], f"tags.`{KEY}` = '{run.key}'", max_results=1)
        return listed[0] if listed else None

    def _created(self, experiment_id: str, run: SentRun, tags: Mapping[str, str]) -> Run:
        return self._mlflow.create_run(experiment_id, run.began_ms, {KEY: run.key, **tags}, run.name)

    def _update(self, found: Run, run: SentRun) -> None:
        """Send those parameters, tags and values that MLflow lacks, then the state."""
        from mlflow.entities import Metric, Param, RunTag

        run_id, has = found.info.run_id, found.data
        parameters = {_name(name): cut(value) for name, value in run.parameters.items()}
        changed = {name: value for name, value in parameters.items() if has.params.get(name, value) != value}
        tags = {**_tags(run), **{f"changed.{name}": value for name, value in changed.items()}}
        sent = self._sent.setdefault(run_id, set())
        new = [point for point in run.points if point not in sent]
        for params in _batches([Param(*pair) for pair in parameters.items() if pair[0] not in has.params]):
            self._mlflow.log_batch(run_id, params=params, synchronous=True)
        for rows in _batches([RunTag(*pair) for pair in tags.items() if has.tags.get(pair[0]) != pair[1]]):
            self._mlflow.log_batch(run_id, tags=rows, synchronous=True)
        for points in _batches(new):
            metrics = [Metric(_name(point.metric), point.value, point.time_ms, point.step) for point in points]
            self._mlflow.log_batch(run_id, metrics=metrics, synchronous=True)
            sent.update(points)
        self._set_state(found, run)

    def _set_state(self, found: Run, run: SentRun) -> None:
        status, run_id = STATUS[run.state], found.info.run_id
        if run.state in ENDED:
            self._mlflow.set_terminated(run_id, status, run.ended_ms)
        elif found.info.status != status:
            self._mlflow.update_run(run_id, status)


def cut(value: str) -> str:
    """Shorten a value visibly to what every MLflow takes; experiment.yaml among the files has all of it."""
    if len(value) <= MOST_VALUE:
        return value
    note = f"... (cut: {len(value):,} characters)"
    return value[: MOST_VALUE - len(note)] + note


def _tags(run: SentRun) -> dict[str, str]:
    """Return the tags, among them those that MLflow shows in columns of its own."""
    own = {"mlflow.source.type": "LOCAL", "mlflow.source.name": "harness", "mlflow.note.content": run.question}
    if run.commit:
        own["mlflow.source.git.commit"] = run.commit
    return {name: cut(value) for name, value in {**own, **run.tags}.items() if value}


def _name(text: str) -> str:
    """Return a name that MLflow takes."""
    return FORBIDDEN.sub("_", text)[:MOST_NAME]


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), BATCH):
        yield items[start : start + BATCH]


def _checked(uri: str, where: str) -> str:
    """Return an address with an absolute path. Raises UsageError for one that is not of MLflow, or has a password."""
    try:
        parts = urlsplit(uri)
        parts.port  # noqa: B018 - raises ValueError for a wrong one
    except ValueError as error:
        raise UsageError(f"this is no address: {error}", where=where, expected=EXPECTED) from None
    if parts.scheme in ("http", "https") and parts.hostname and not (parts.query or parts.fragment):
        if parts.username or parts.password:
            raise UsageError(
                "the address has a name or a password, which would be written into the run's manifest",
                expected=f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}",
                hint="MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD in the environment hold them",
            )
        return uri.rstrip("/")
    path = uri.removeprefix(SQLITE)
    if not uri.startswith(SQLITE) or not path or path.startswith(":") or "?" in path:
        raise UsageError("this is no address of MLflow", where=where, expected=EXPECTED)
    file = Path(path).resolve()
    if wrong := sorted({*str(file)} & {*NOT_OPENED}):
        what = f"MLflow opens no database in {file}, because of {listed(wrong)} in its path"
        raise UsageError(what, where=where, expected="a path without ?, # and %", hint=f"mlflow={SQLITE}FILE.db")
    return f"{SQLITE}{file}"


def _require_folder(address: str, own: Path, where: str) -> None:
    """Raise UsageError for an SQLite file in a folder that is missing and is not `own`, which is made when it is used.

    A folder that is spelt wrong would get a database of its own.
    """
    folder = _database(address).parent
    if address.startswith(SQLITE) and folder != own and not os.path.isdir(folder):
        what, hint = f"there is no folder {folder}", f"mkdir -p {shlex.quote(str(folder))}"
        raise UsageError(what, where=where, expected="a database in a folder that exists", hint=hint)


EXPECTED = "http://HOST:PORT, https://HOST, or sqlite:///FILE.db"


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(SQLITE))


def _make_database(database: Path) -> None:
    """Make the tables of MLflow in a new file, unless it is there; a process that is killed leaves no half of them.

    Only the folder of the default may be missing (`_require_folder`); it is made, but not those above. Raises OSError.
    """
    from mlflow.tracking import MlflowClient

    database.parent.mkdir(exist_ok=True)
    sweep(database.parent)
    if database.exists():
        return
    with held_folder(database.parent, database.name) as folder:
        new = folder / database.name
        MlflowClient(f"{SQLITE}{new}").search_experiments(max_results=1)  # the first question makes the tables
        with suppress(FileExistsError):  # another process was faster
            os.link(new, database)


def _files_folder(uri: str) -> str | None:
    """Return where the files of runs go: beside an SQLite file, or where the server keeps them."""
    return (_database(uri).parent / FILES).as_uri() if uri.startswith(SQLITE) else None
