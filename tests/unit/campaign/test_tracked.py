"""A campaign that is sent to MLflow while it goes on: what is there afterwards, and that nothing MLflow does harms it.

MLflow is real: its SQLite store is read back with its own client. Servers that refuse, hang or fail are sockets.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow_database
import pytest
from fakes import BAD, GOOD, World

from harness import tracking
from harness.errors import Interrupted, TrackingError
from harness.store import RunFolder
from harness.terminal.progress import PlainView
from harness.tracking import Tracking, sender, sending_process
from harness.tracking.mlflow_tracker import MlflowTracker
from harness.tracking.sender import Sender
from harness.tracking.tracker import Sent

pytestmark = pytest.mark.slow  # MLflow takes seconds to start

Start = Callable[..., Any]
Track = Callable[[str], tracking.Target]
LATER = "sends it later"
HOOK = """
import sys

def note(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        with open({log!r}, "a") as log:
            print(event, [each for each in arguments if not hasattr(each, "send")], file=log)

sys.addaudithook(note)
"""


@pytest.fixture(autouse=True)
def _no_variable_and_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy host MLflow takes long, which is not what these tests are about."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for limit in ("FIRST_S", "NEXT_S", "LAST_S", "INTERRUPTED_S"):
        monkeypatch.setattr(f"harness.tracking.tracking.{limit}", 500.0)


@pytest.fixture
def track(tmp_path: Path, world: World) -> Iterator[Track]:
    """Let the next campaign be sent to a target; `screen.txt` has what is shown of it."""
    begun: list[Tracking] = []

    def to(text: str) -> tracking.Target:
        target = tracking.parse(text, tmp_path / "runs")
        begun.append(Tracking([target], PlainView((tmp_path / "screen.txt").open("a"))))
        world.track = begun[-1].send
        return target

    yield to
    for each in begun:
        each.close()


def client(target: tracking.Target) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(target.uri)


def runs_there(target: tracking.Target) -> list[Any]:
    there = client(target)
    return list(there.search_runs([there.get_experiment_by_name("small").experiment_id]))


def test_it_is_called_when_the_run_begins_after_each_trial_and_when_it_has_ended(start: Start, world: World) -> None:
    calls: list[tuple[str, int]] = []
    world.track = lambda folder: calls.append((folder.state, sum(line.startswith("trial") for line in world.log)))
    world.outcomes = [BAD, GOOD]  # two attempts at the first trial
    campaign, _ = start()
    campaign.run()
    assert calls == [("running", 0), ("running", 2), ("running", 3), ("done", 3)]


def test_a_run_that_is_stopped_and_resumed_is_one_run_of_mlflow_with_its_files(
    start: Start,
    world: World,
    track: Track,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    mlflow_database.copy_to(tmp_path / "runs" / "mlflow" / "mlflow.db")
    capfd.readouterr()  # what MLflow says when it makes one
    target = track("mlflow")
    campaign, folder = start(question="Is it there?")
    seen: list[tuple[str, int]] = []
    send = world.track

    def send_and_look(run: RunFolder) -> None:
        send(run)
        (there,) = runs_there(target)
        seen.append((there.info.status, len(client(target).get_metric_history(there.info.run_id, "trial/switches"))))
        if len(seen) == 2:
            os.kill(os.getpid(), signal.SIGINT)

    world.track = send_and_look
    with pytest.raises(Interrupted):
        campaign.run()
    assert seen == [("RUNNING", 0), ("RUNNING", 1), ("KILLED", 1)]
    kept = folder.manifest["tracking"][str(target)]
    track("mlflow")
    start(folder=RunFolder.open(folder.path))[0].run()
    (there,) = runs_there(target)
    assert (there.info.run_id, there.info.status, there.info.run_name) == (kept["run"], "FINISHED", folder.path.name)
    assert there.data.params["trials.repeat"] == "2"
    assert there.data.metrics["trials/usable"] == 2
    assert there.data.tags["verdict"] == "passed"
    assert {file.path for file in client(target).list_artifacts(kept["run"])} == {"manifest.json", "report"}
    assert RunFolder.open(folder.path).verify() == []
    assert [path.name for path in (tmp_path / "runs").iterdir() if path != folder.path] == ["mlflow"]
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "")
    assert f"tracked by mlflow: mlflow ui --backend-store-uri {target.uri}" in (tmp_path / "screen.txt").read_text()


@contextmanager
def refusing() -> Iterator[str]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: no other process gets the port
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def hanging() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def answering(code: int) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.end_headers()
            self.wfile.write(b"<html>out of order</html>")

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_server_that_is_not_there_costs_one_warning_and_the_run_goes_on(
    start: Start, track: Track, tmp_path: Path
) -> None:
    with refusing() as uri:
        target = track(f"mlflow={uri}")
        campaign, folder = start()
        assert campaign.run().ok
    assert folder.state == "done"
    warnings = [line for line in (tmp_path / "screen.txt").read_text().splitlines() if "not tracked" in line]
    assert len(warnings) == 1
    assert f"{uri}: no connection: Connection refused" in warnings[0]
    assert f"`harness track {folder.path}` {LATER}" in warnings[0]
    assert folder.manifest["tracking"][str(target)]["missing"] == "no connection: Connection refused"
    assert [event for event in folder.events() if LATER in event.get("text", "")]


def test_what_was_deleted_meanwhile_is_sent_anew_at_the_end_and_the_run_goes_on(
    start: Start, world: World, track: Track, tmp_path: Path
) -> None:
    mlflow_database.copy_to(tmp_path / "runs" / "mlflow" / "mlflow.db")
    target = track("mlflow")
    campaign, folder = start()
    send, calls = world.track, []

    def send_and_delete(run: RunFolder) -> None:
        send(run)
        calls.append(run.state)
        if len(calls) == 1:
            shutil.rmtree(tmp_path / "runs" / "mlflow")

    world.track = send_and_delete
    assert campaign.run().ok
    (there,) = runs_there(target)
    assert there.info.status == "FINISHED"
    assert there.data.params["trials.repeat"] == "2"
    assert len(client(target).get_metric_history(there.info.run_id, "trial/switches")) == 2
    shown = (tmp_path / "screen.txt").read_text()
    assert shown.count("not tracked by mlflow") == 1
    assert "tracked by mlflow after all" in shown
    assert folder.manifest["tracking"][str(target)]["run"] == there.info.run_id


def send_once(folder: RunFolder, uri: str, limit_s: float) -> Sent:
    sending = Sender(tracking.Target("mlflow", uri))
    try:
        return sending.send(folder.path, None, limit_s)
    finally:
        sending.close()
        assert sending._process is None


def error_of(folder: RunFolder, uri: str) -> str:
    """Return the answer of the process that sends, made in this one: a process takes seconds to start."""
    return str(sending_process._answer(MlflowTracker(uri), {"folder": str(folder.path), "known": None})["error"])


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the client of MLflow in this process the environment of the one that sends; answers may take long.

    What another process has locked is not waited for.
    """
    for name, value in {**sender.ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": "500"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("harness.tracking.mlflow_tracker.DATABASE_WAIT_S", 0.1)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(("code", "words"), [(500, "500 error"), (404, "404")])
def test_a_server_that_fails_is_named_by_its_answer(code: int, words: str, start: Start) -> None:
    _, folder = start()
    with answering(code) as uri:
        assert words in error_of(folder, uri)


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which each connection and each look-up of a name in processes that send is written down.

    MLflow has telemetry.
    """
    log = tmp_path / "sockets.txt"
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK.format(log=str(log)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'hook'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return log


def test_a_server_that_hangs_is_given_up_by_the_limit_of_a_request_and_no_other_is_connected_to(
    start: Start, sockets: Path
) -> None:
    _, folder = start()
    with hanging() as uri, pytest.raises(TrackingError, match="no connection: timed out"):
        send_once(folder, uri, limit_s=500)
    seen = sockets.read_text().splitlines()
    assert seen
    assert [line for line in seen if f"'127.0.0.1', {uri.rpartition(':')[2]}" not in line] == []


def test_a_sender_that_does_not_answer_in_time_is_killed(start: Start) -> None:
    _, folder = start()
    with hanging() as uri, pytest.raises(TrackingError, match=r"no answer within 0\.01 s"):
        send_once(folder, uri, limit_s=0.01)


@pytest.mark.usefixtures("waits")
def test_a_database_that_another_process_has_locked_is_given_up(start: Start, tmp_path: Path) -> None:
    _, folder = start()
    uri = mlflow_database.copy_to(tmp_path / "own.db")
    with sqlite3.connect(tmp_path / "own.db") as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in error_of(folder, uri)


def test_a_sender_that_is_killed_is_named_and_the_next_one_works_without_a_connection(
    start: Start, tmp_path: Path, sockets: Path
) -> None:
    _, folder = start()
    killed = Sender(tracking.Target("mlflow", mlflow_database.copy_to(tmp_path / "own.db")))
    killed._process = killed._start()
    os.kill(killed._process.pid, signal.SIGKILL)
    killed._process.wait()
    with pytest.raises(TrackingError, match="the process that sends ended"):
        killed.send(folder.path, None, 500)
    try:
        assert killed.send(folder.path, None, 500).run
    finally:
        killed.close()
    assert not sockets.exists(), sockets.read_text()


@contextmanager
def hanging_up() -> Iterator[str]:
    """Take each connection, and close it when the request has come: a server that is killed."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.recv(1)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.usefixtures("waits")
def test_a_server_that_dies_in_the_middle_of_a_request_is_named_in_words(start: Start) -> None:
    _, folder = start()
    with hanging_up() as uri:
        assert "no connection: Connection reset by peer" in error_of(folder, uri)
