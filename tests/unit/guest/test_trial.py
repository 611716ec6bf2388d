"""The host's side of a trial: what it sends, when it is not connected, and how it reports failures of the guest."""

from __future__ import annotations

import ast
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeMonitor

from harness.errors import RemoteError, TransientError, TrialError
from harness.guest import trial
from harness.guest.remote import Result
from harness.loads import Load, NginxAb
from harness.progress import SilentWatcher
from harness.spec import RecordSpec

FILES = {"perf.data": b"PERFILE2", "load.txt": b"Complete requests: 12\nFailed requests: 0\n", "perf.log": b""}


@dataclass(frozen=True)
class Planned:
    name: str = "000_nginx_ab"
    load: Load = field(default_factory=NginxAb)
    record: RecordSpec = field(default_factory=lambda: RecordSpec(warmup_s=0.0, seconds=0.2))


class FakeHost:
    """A guest whose trial ends at once. `broken` maps a part of a command to the outcome of that command."""

    where, user = "fake (user@host:22)", "vagrant"

    def __init__(self, **broken: Result | Exception) -> None:
        self.broken = broken
        self.commands: list[str] = []
        self.connected = False
        self.connected_when_started: list[bool] = []
        self.files = dict(FILES)
        self.digests = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
        self.polls_before_done = 1

    def run(self, command: str, *, timeout_s: float, check: bool = True, sudo: bool = False) -> Result:
        self.connected = True
        self.commands.append(command)
        for part, outcome in self.broken.items():
            if part in command:
                if isinstance(outcome, Exception):
                    raise outcome
                return outcome
        return Result(command, *self._answer(command), "", 0.0)

    def _answer(self, command: str) -> tuple[int, str]:
        if command.endswith("trial.py check"):
            return 0, "perf says hello\n" + json.dumps({"ok": True, "stage": "check"})
        if "result.json" in command:
            self.polls_before_done -= 1
            return (75, "") if self.polls_before_done >= 0 else (0, json.dumps(self._result()))
        return 0, ""

    def _result(self) -> dict[str, Any]:
        return {"ok": True, "stage": "done", "sha256": self.digests, "facts": {"kernel": "6.1.0-x"}}

    def put(self, local: Path, remote: str, timeout_s: float, progress: object = None) -> str:
        self.commands.append(f"put {remote}")
        return hashlib.sha256(local.read_bytes()).hexdigest()

    def get(self, remote: str, local: Path, timeout_s: float, progress: object = None) -> str:
        content = self.files[Path(remote).name]
        local.write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def close(self) -> None:
        self.connected = False


class WatchedHost(SilentWatcher):
    """A watcher that notes, at every tick, whether the host is connected."""

    def __init__(self, host: FakeHost) -> None:
        self.host, self.seen, self.notes = host, [], []  # type: tuple[FakeHost, list[bool], list[str]]

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, done: float, total: float | None) -> None:
        if self.notes[-1].startswith("recording"):
            self.seen.append(self.host.connected)


@pytest.fixture(autouse=True)
def _wait_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "POLL_S", 0.01)
    monkeypatch.setattr(trial, "EXTRA_WAIT_S", 0.1)


def carry_out(host: FakeHost, folder: Path, **more: Any) -> trial.TrialFiles:
    planned = Planned()
    more = {"watcher": SilentWatcher(), "monitor": FakeMonitor(), **more}
    expected = trial.expectations(planned, "6.1.0-x", 1)
    return trial.run(host, planned, folder, more.pop("watcher"), expected=expected, **more)  # type: ignore[arg-type]


def test_a_trial_leaves_its_files_and_what_the_load_measured(tmp_path: Path) -> None:
    files = carry_out(FakeHost(), tmp_path)
    assert files.perf_data.read_bytes() == b"PERFILE2"
    assert files.metrics == {"requests_completed": 12, "requests_failed": 0, "responses_non_2xx": 0}
    written = json.loads(files.guest_json.read_text())
    assert written["metrics"]["requests_completed"] == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "guest.json",
        "load.txt",
        "perf.data",
        "perf.log",
        "trial.py",
    ]


def test_the_host_is_not_connected_while_the_guest_records(tmp_path: Path) -> None:
    host = FakeHost()
    watcher = WatchedHost(host)
    carry_out(host, tmp_path, watcher=watcher)
    assert watcher.seen
    assert not any(watcher.seen)


def test_a_failed_check_is_reported_with_its_reason_and_starts_nothing(tmp_path: Path) -> None:
    answer = json.dumps({"ok": False, "stage": "check", "error": "the kernel is 5.10, expected 6.1"})
    host = FakeHost(**{"trial.py check": Result("", 1, answer, "", 0.0)})
    with pytest.raises(TrialError, match=r"check: the kernel is 5\.10") as caught:
        carry_out(host, tmp_path)
    assert "fake" in str(caught.value)
    assert not any("systemd-run" in command for command in host.commands)


def test_a_guest_without_python_is_reported_with_its_output(tmp_path: Path) -> None:
    host = FakeHost(**{"trial.py check": Result("", 127, "", "sh: 1: python3: not found", 0.0)})
    with pytest.raises(TrialError, match="python3: not found"):
        carry_out(host, tmp_path)


def test_a_script_that_ended_without_a_result_is_reported_with_its_journal(tmp_path: Path) -> None:
    host = FakeHost(
        **{"result.json": Result("", 1, "", "", 0.0), "journalctl": Result("", 0, "Out of memory: killed", "", 0.0)}
    )
    with pytest.raises(TrialError, match="ended without a result") as caught:
        carry_out(host, tmp_path)
    assert "Out of memory" in str(caught.value)


def test_a_machine_that_dies_while_it_records_ends_the_trial_with_the_reason(tmp_path: Path) -> None:
    host = FakeHost(**{"result.json": TransientError("connect: Connection refused")})
    with pytest.raises(TrialError, match="Connection refused"):
        carry_out(host, tmp_path, deadline_s=0.05)


def test_a_recording_that_changed_on_the_guest_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    host = FakeHost()
    host.files["perf.data"] = b"PERFILE3"
    with pytest.raises(TrialError, match="changed after it was recorded"):
        carry_out(host, tmp_path)
    assert not (tmp_path / "perf.data").exists()
    assert not (tmp_path / "guest.json").exists()


def test_an_interrupt_stops_what_runs_on_the_guest(tmp_path: Path) -> None:
    class Interrupting(SilentWatcher):
        def advance(self, done: float, total: float | None) -> None:
            raise KeyboardInterrupt

    host = FakeHost()
    with pytest.raises(KeyboardInterrupt):
        carry_out(host, tmp_path, watcher=Interrupting())
    assert host.commands[-1].startswith("systemctl stop 'harness-trial-*' 'harness-load-*'")
    assert not host.connected


def test_a_guest_that_no_longer_answers_does_not_hide_the_first_error(tmp_path: Path) -> None:
    host = FakeHost(**{"systemd-run": RemoteError("no space left"), "systemctl stop": TransientError("gone")})
    host.broken.pop("systemctl stop")
    with pytest.raises(RemoteError, match="no space left"):
        carry_out(host, tmp_path)


def test_every_attempt_has_its_own_units_and_folder() -> None:
    expected = trial.expectations(Planned(), None, None)
    first, second = (trial.script_config(Planned(), expected, attempt) for attempt in (1, 2))
    for key in ("unit", "load_unit", "work_dir"):
        assert first[key] != second[key]


def test_the_host_stays_away_longer_with_every_attempt() -> None:
    planned = Planned()
    expected = trial.expectations(planned, None, None)
    planned_s = planned.record.warmup_s + planned.record.seconds
    configs = [trial.script_config(planned, expected, attempt) for attempt in (1, 2, 3)]
    first, second, third = (trial.quiet_time_s(config, 1.5) for config in configs)
    assert first > planned_s + 3
    assert [second - first, third - second] == pytest.approx([(planned_s + 3) / 2] * 2)


def test_characters_that_a_unit_name_may_not_have_are_replaced() -> None:
    settings = trial.script_config(Planned(name="001_load=ab,c=5 %"), trial.expectations(Planned(), None, None))
    assert settings["unit"] == "harness-trial-001_load-ab-c-5---a1.service"


@pytest.mark.slow
def test_the_rendered_script_is_valid_python_and_contains_the_configuration() -> None:
    planned = Planned(load=NginxAb(path='/it\'s"quoted"\\n'))
    expected = trial.expectations(planned, "6.1.0-x", 2)
    tree = ast.parse(trial.render(planned, expected, attempt=3))
    texts = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "CONFIG_JSON"  # type: ignore[attr-defined]
    ]
    assert [json.loads(text) for text in texts] == [trial.script_config(planned, expected, 3)]


def test_the_buffer_of_the_experiment_is_used() -> None:
    planned = Planned(record=RecordSpec(buffer_kb=512))
    assert trial.script_config(planned, trial.expectations(planned, None, 1))["buffer_kb"] == 512
