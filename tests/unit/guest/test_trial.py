"""The host's side of a trial: what it sends, when it is not connected, and how it reports failures of the guest."""

from __future__ import annotations

import ast
import json
import shlex
import subprocess
from pathlib import Path

import pytest
from fake_host import LABEL, RECORDING, FakeHost, Planned, carry_out

from harness.errors import LostMachineError, RemoteError, TransientError, TrialError
from harness.guest import left_recording, phases, trial, trial_command, trial_config
from harness.guest.remote import Result
from harness.loads import Command, Idle, Metrics, Mix, NginxAb, Timing
from harness.spec import RecordSpec


def test_a_trial_leaves_its_files_and_what_the_load_measured(tmp_path: Path) -> None:
    files = carry_out(FakeHost(), tmp_path)
    assert files.perf_data.read_bytes() == RECORDING
    assert files.metrics == {"requests_completed": 12, "requests_failed": 0, "responses_non_2xx": 0}
    written = json.loads(files.guest_json.read_text())
    assert written["metrics"]["requests_completed"] == 12
    left = {"guest.json", "load.txt", "perf.data", "perf.log", "trial.py"}
    assert {path.name for path in tmp_path.iterdir()} == left | {"scripts"}
    assert {path.name for path in (tmp_path / "scripts").iterdir()} == trial.SENT_ALONG.keys()


class Careless(Idle):
    """A load that takes for granted that its program printed something."""

    def parse(self, output: str, timing: Timing) -> Metrics:
        return {"operations": int(output.splitlines()[99])}


def test_a_load_that_cannot_read_its_output_fails_the_trial_alone(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="IndexError: list index out of range"):
        carry_out(FakeHost(), tmp_path, load=Careless())


def test_a_load_may_print_more_in_a_longer_trial() -> None:
    config = {"warmup_s": 5.0, "seconds": 50.0, "cpus": 1}
    assert trial.most_bytes(config, "load.txt") == 59 << 20
    assert trial.most_bytes(config, "load.txt") < trial.most_bytes(config, "perf.data")


def test_the_tasks_of_the_guest_are_named_as_in_the_tables(tmp_path: Path) -> None:
    host = FakeHost()
    host.result["facts"]["tasks"]["before"][0]["comm"] = "n\udcff\\"
    written = json.loads(carry_out(host, tmp_path).guest_json.read_text())
    assert written["facts"]["tasks"]["before"][0]["comm"] == "n\\xff\\\\"


def test_the_host_is_not_connected_before_the_guest_is_done(tmp_path: Path) -> None:
    host = FakeHost()
    carry_out(host, tmp_path)
    assert host.connected_at_look == [False] * 4


def test_the_phases_are_reported_to_whoever_asks(tmp_path: Path) -> None:
    heard: list[str] = []
    carry_out(FakeHost(), tmp_path, on_phase=lambda phase, late_s: heard.append(phase))
    assert heard == ["prepared", "recording", "recorded", "done"]


def test_a_console_that_does_not_reach_the_host_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "CHECK_LIMIT_S", 0.0)
    answer = json.dumps({"ok": True, "stage": "check"})
    host = FakeHost(**{"trial.py check": Result("", 0, answer, "", 0.0)})
    with pytest.raises(TrialError, match="nothing that the guest wrote on its serial console arrived"):
        carry_out(host, tmp_path)
    assert not any("systemd-run" in command for command in host.commands)


def test_the_unit_writes_done_also_when_the_script_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_config, "CONSOLE", str(tmp_path / "console"))
    host = FakeHost()
    carry_out(host, tmp_path / "trial")
    started = next(command for command in host.commands if "systemd-run" in command)
    command = shlex.split(started)[-1]
    assert f"python3 {trial_config.GUEST_ROOT}/{LABEL}/trial.py record" in command
    killed = command.replace("python3", "sh -c 'kill -KILL $$'")
    subprocess.run(["/bin/sh", "-c", killed], check=True)
    assert (tmp_path / "console").read_text() == f"\nharness-trial {LABEL} done\n"


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


def test_a_lost_connection_while_the_result_is_read_is_tried_again_and_then_reported(tmp_path: Path) -> None:
    host = FakeHost(**{"result.json": TransientError("connect: Connection refused")})
    with pytest.raises(TrialError, match="Connection refused"):
        carry_out(host, tmp_path)
    assert sum("result.json" in command for command in host.commands) == trial.RESULT_TRIES


def test_a_guest_that_is_late_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "phase_limits", lambda config: {"recording": 30.0, "recorded": 0.0, "done": 30.0})
    running = FakeHost("recording", "no such phase", **{"result.json": Result("", 75, "", "", 0.0)})
    with pytest.raises(TrialError, match="for `harness-trial 000_nginx_ab-a1 recorded`") as caught:
        carry_out(running, tmp_path / "running")
    assert (tmp_path / "running" / "console.log").read_text() == running.written
    assert str(caught.value.log).endswith("console.log")
    dead = FakeHost("recording", **{"result.json": TransientError("connect: No route to host")})
    with pytest.raises(TrialError, match="No route to host"):
        carry_out(dead, tmp_path / "dead")
    assert sum("result.json" in command for command in dead.commands) == 1


def test_a_guest_that_panicked_is_not_asked_to_stop_anything(tmp_path: Path) -> None:
    class Panicking(FakeHost):
        def console(self) -> str:
            return super().console() + ("[   71.000001] Kernel panic - not syncing\n" if self.follows else "")

    host = Panicking("recording", "recorded")
    with pytest.raises(TrialError, match="the kernel of the guest panicked"):
        carry_out(host, tmp_path)
    assert "systemd-run" in host.commands[-1]
    assert not host.connected


def test_a_guest_that_only_lost_its_last_line_gives_its_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "phase_limits", lambda config: {"recording": 30.0, "recorded": 30.0, "done": 0.0})
    files = carry_out(FakeHost("recording", "recorded", "no such phase"), tmp_path)
    assert files.perf_data.read_bytes() == RECORDING


def test_a_trial_without_a_tracer_leaves_what_the_load_measured_and_no_recording(tmp_path: Path) -> None:
    host = FakeHost()
    del host.digests["perf.data"], host.digests["perf.log"]
    files = carry_out(host, tmp_path, tracer="none")
    assert files.perf_data is None
    assert files.metrics == {"requests_completed": 12, "requests_failed": 0, "responses_non_2xx": 0}
    assert {path.name for path in tmp_path.iterdir()} == {"guest.json", "load.txt", "scripts", "trial.py"}
    assert left_recording.complete_in(tmp_path) == trial.TrialFiles(
        None, files.load_txt, files.guest_json, files.guest, files.metrics, None
    )
    files.load_txt.write_bytes(b"")
    assert left_recording.complete_in(tmp_path) is None


def test_a_guest_that_recorded_although_it_should_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match=r"the guest has perf\.data, perf\.log of a trial without a tracer"):
        carry_out(FakeHost(), tmp_path, tracer="none")
    assert not (tmp_path / "perf.data").exists()


def test_a_guest_that_left_no_recording_of_a_traced_trial_is_refused(tmp_path: Path) -> None:
    host = FakeHost()
    del host.digests["perf.data"]
    with pytest.raises(TrialError, match=r"perf\.data changed after it was recorded"):
        carry_out(host, tmp_path)


def test_a_recording_that_changed_on_the_guest_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    host = FakeHost()
    host.files["perf.data"] = b"PERFILE3"
    with pytest.raises(TrialError, match="changed after it was recorded"):
        carry_out(host, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"console.log", "scripts", "trial.py"}


def test_an_interrupt_stops_what_runs_on_the_guest(tmp_path: Path) -> None:
    def interrupt(phase: str, late_s: float) -> None:
        raise KeyboardInterrupt

    host = FakeHost()
    with pytest.raises(KeyboardInterrupt):
        carry_out(host, tmp_path, on_phase=interrupt)
    assert host.commands[-1].startswith("systemctl stop 'harness-trial-*' 'harness-load-*'")
    assert not host.connected


def test_a_guest_that_no_longer_answers_does_not_hide_the_first_error(tmp_path: Path) -> None:
    def lose(phase: str, late_s: float) -> None:
        host.broken["systemctl stop"] = TransientError("gone")
        raise RemoteError("no space left")

    host = FakeHost()
    with pytest.raises(RemoteError, match="no space left"):
        carry_out(host, tmp_path, on_phase=lose)
    assert host.commands[-1].startswith("systemctl stop")


def test_a_machine_that_ends_after_its_recording_was_copied_costs_no_recording(tmp_path: Path) -> None:
    host = FakeHost(**{"rm -rf --": LostMachineError("QEMU was killed")})
    assert carry_out(host, tmp_path).perf_data.read_bytes() == RECORDING


def test_every_attempt_has_its_own_units_and_folder() -> None:
    expected = trial_config.expectations(Planned(), None, None)
    first, second = (trial_config.script_config(Planned(), expected, attempt) for attempt in (1, 2))
    assert all(first[key] != second[key] for key in ("unit", "work_dir"))
    assert all(first["parts"][0][key] != second["parts"][0][key] for key in ("unit", "folder"))


def test_the_limits_of_the_host_are_longer_than_those_of_the_guest_script() -> None:
    planned = Planned(record=RecordSpec(warmup_s=3.0, seconds=600.0))
    config = trial_config.script_config(planned, trial_config.expectations(planned, None, None))
    limits, alarm_s = trial_config.phase_limits(config), config["seconds"] + config["grace_s"]
    assert list(limits) == ["prepared", "recording", "recorded", "done"]
    assert limits["prepared"] > config["alone_s"]
    assert limits["recording"] > config["warmup_s"] + alarm_s  # where perf never begins
    assert limits["recorded"] > alarm_s
    assert limits["done"] > config["grace_s"]


def test_the_limit_of_the_preparation_grows_with_what_is_prepared_and_started() -> None:
    command = {"kind": "command", "run": "sleep 9", "prepare": "seq 9 >numbers", "services": ["db.service"]}
    loads = [Idle(), Command.model_validate(command), Mix.model_validate({"parts": [command, command]})]
    configs = [
        trial_config.script_config(Planned(load=load), trial_config.expectations(Planned(load=load), None, None))
        for load in loads
    ]
    none, one, two = (trial_config.phase_limits(config)["prepared"] for config in configs)
    assert one - none > trial_config.PREPARE_S + trial_command.COMMAND_S
    assert two - one > trial_config.PREPARE_S + trial_command.COMMAND_S
    earlier = {key: value for key, value in configs[0].items() if key not in ("parts", "services", "seed")}
    assert list(trial_config.phase_limits(earlier)) == ["prepared", "recording", "recorded", "done"]
    assert trial_config.timing_of(earlier).seed == 0
    assert trial_config.is_traced({key: value for key, value in earlier.items() if key != "tracer"})


def test_characters_that_a_unit_name_may_not_have_are_replaced() -> None:
    settings = trial_config.script_config(
        Planned(name="001_load=ab,c=5 %"), trial_config.expectations(Planned(), None, None)
    )
    assert settings["unit"] == "harness-trial-001_load-ab-c-5---a1.service"


@pytest.mark.slow
def test_the_rendered_script_is_valid_python_and_contains_the_configuration() -> None:
    planned = Planned(load=NginxAb(path='/it\'s"quoted"\\n'))
    expected = trial_config.expectations(planned, "6.1.0-x", 2)
    config = trial_config.script_config(planned, expected, attempt=3)
    tree = ast.parse(trial_config.render(config))
    texts = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "CONFIG_JSON"  # type: ignore[attr-defined]
    ]
    assert [json.loads(text) for text in texts] == [config]


def test_the_buffer_of_the_experiment_is_used() -> None:
    planned = Planned(record=RecordSpec(buffer_kb=512))
    assert trial_config.script_config(planned, trial_config.expectations(planned, None, 1))["buffer_kb"] == 512
