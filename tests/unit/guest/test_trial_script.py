"""The script that runs inside the guest: its parts, and the whole script with stand-ins for systemd and perf."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import waiting

from harness import guardian
from harness.guest import result as guest_result
from harness.guest import trial, trial_command, trial_config, trial_facts, trial_recording, trial_script

pytestmark = pytest.mark.slow

LIMIT_S = 240
PERF = """#!/bin/sh
case "$1" in
--version) echo "perf version 6.1.0"; exit 0 ;;
esac
@MEANWHILE@
echo "$$" >>@FOLDER@/recorders
while [ "$1" != -o ]; do shift; done
echo recorded >"$2"
echo "[ perf record: Captured ]" >&2
shift 3
exec "$@"
"""
LOAD = """trap 'echo "Complete requests: 9"; exit 1' INT
: >{folder}/loaded
while :; do sleep 0.05; done
"""
SYSTEMD_RUN = """#!/bin/sh
group=-
for word do case "$word" in --unit=*) unit=${word#--unit=} ;; --property=KillMode=mixed) group= ;; esac; done
while case "$1" in --*) true ;; *) false ;; esac; do
    case "$1" in --property=WorkingDirectory=*) cd "${1##*=}" ;; --setenv=*) export "${1#--setenv=}" ;; esac
    [ "$1" != --wait ] || waits=1
    shift
done
env --default-signal=INT setsid "$@" </dev/null >/dev/null 2>&1 &
echo $! >@FOLDER@/"$unit".pid
echo "$group$!" >@FOLDER@/"$unit".signalled
[ -z "$waits" ] || wait $!
"""
SYSTEMCTL = """#!/bin/sh
do=$1; shift
running() { [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && ! grep -q '^State:.Z' /proc/"$pid"/status; }
for unit do
    case "$unit" in --*) continue ;; esac
    echo "$do $unit" >>@FOLDER@/systemctl
    pid=$(cat @FOLDER@/"$unit".pid 2>/dev/null)
    case "$do" in
    show) if running; then echo ActiveState=active; else echo ActiveState=inactive; fi
        echo ExecMainStatus=0; echo ;;
    stop) if running; then kill -s INT -- $(cat @FOLDER@/"$unit".signalled); fi
        while running; do sleep 0.02; done
        [ -z "$pid" ] || kill -s KILL -- -"$pid" 2>/dev/null ;;
    restart) [ ! -e @FOLDER@/broken-"$unit" ] || exit 1
        env --default-signal=INT setsid sleep 1000 </dev/null >/dev/null 2>&1 &
        echo $! | tee @FOLDER@/"$unit".pid >@FOLDER@/"$unit".signalled ;;
    esac
done
"""


@pytest.fixture
def guest(tmp_path: Path) -> Iterator[Guest]:
    """A guest, of which nothing is left: neither after a test that failed nor after one that was killed."""
    with guardian.folder(tmp_path):
        yield Guest(tmp_path)
        while left := guardian.processes_naming(tmp_path):
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


class Guest:
    """A folder with the script, and a PATH that begins with stand-ins for systemd and perf."""

    def __init__(self, folder: Path) -> None:
        self.work, self.programs = folder / "work", folder / "programs"
        self.work.mkdir()
        (folder / "console").touch()
        self.programs.mkdir()
        self.folder, self.path = folder, f"{self.programs}:{os.environ['PATH']}"
        for name, text in {"systemd-run": SYSTEMD_RUN, "systemctl": SYSTEMCTL}.items():
            self.program(name, text.replace("@FOLDER@", str(folder)))
        self.perf_that_waits_until("true")
        self.sent_instead: dict[str, str] = {}
        self.part = self.new_part("test", ["sh", "-c", LOAD.format(folder=folder)])
        self.config: dict[str, Any] = {
            "name": "000_test",
            "label": "000_test-a1",
            "console": str(folder / "console"),
            "parts": [self.part],
            "services": [],
            "kernel_settings": [],
            "services_file": str(folder / "services"),
            "recording_file": str(folder / "recording"),
            "prepare_s": 100,
            "work_dir": str(self.work),
            "kernel": os.uname().release,
            "cpus": os.sysconf("SC_NPROCESSORS_ONLN"),
            "start_s": 2.0,
            "warmup_s": 0.1,
            "seconds": 0.3,
            "longest_s": 300.0,
            "grace_s": 100,
            "alone_s": 0.2,
            "buffer_kb": 512,
            "tracer": "perf",
            "free_mb": 1,
        }

    def new_part(self, name: str, command: list[str], **more: Any) -> dict[str, Any]:
        return {
            "name": name,
            "unit": f"harness-load-{name}.service",
            "folder": str(self.work / f"load-{name}"),
            "command": command,
            "prepare": None,
            "ready": ["true"],
            "files": {},
            "stop_signal": "SIGINT",
            "stops_all": False,
            **more,
        }

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def perf_that_waits_until(self, condition: str) -> None:
        """Install a perf that records only after a shell command succeeds; it does not wait when it records `true`."""
        meanwhile = f'case "$*" in *" true") ;; *) until {condition}; do sleep 0.02; done ;; esac'
        self.program("perf", PERF.replace("@MEANWHILE@", meanwhile).replace("@FOLDER@", str(self.folder)))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        script, scripts = self.folder / "trial.py", self.folder / "scripts"
        scripts.mkdir(exist_ok=True)
        for name, path in trial.SENT_ALONG.items():
            (scripts / name).write_text(self.sent_instead.get(name, path.read_text()))
        script.write_text(trial_config.render(self.config))
        environment = {"PATH": self.path, "LC_ALL": "C.UTF-8"}
        return subprocess.Popen(
            [sys.executable, "-E", "-s", str(script), *arguments], env=environment, stdout=subprocess.PIPE, text=True
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=LIMIT_S)
        return process.returncode, output

    def console(self) -> list[str]:
        return [line for line in (self.folder / "console").read_text().splitlines() if line]

    def result(self) -> dict[str, Any]:
        value = json.loads((self.work / "result.json").read_text())
        assert isinstance(value, dict)
        return value

    def load_runs(self) -> bool:
        return waiting.runs(int((self.folder / "harness-load-test.service.pid").read_text()))


def test_a_trial_leaves_its_recording_the_loads_statistics_and_a_result(guest: Guest) -> None:
    code, _ = guest.run()
    result = guest.result()
    assert (code, result["ok"], result["stage"]) == (0, True, "done")
    assert guest_result.trial_result(result, "guest").keys() == result.keys()
    assert result["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert (guest.work / "load.txt").read_text() == "Complete requests: 9\n"
    assert "Captured" in (guest.work / "perf.log").read_text()
    assert result["loads"]["test"]["ActiveState"] == "active"
    assert result["recording"]["wall_s"] >= 0.3
    begins = float((guest.folder / "recording").read_text())  # for a load that counts from it
    assert result["recording"]["started_at"] + 2.1 <= begins
    assert result["recording"]["clock_before"]["realtime_s"] >= begins - 0.2  # the shell slept from just before
    assert result["facts"]["kernel"] == os.uname().release


def test_the_tasks_are_listed_before_and_after_the_recording_while_the_load_runs(guest: Guest) -> None:
    tasks_script = trial.SENT_ALONG["tasks.py"].read_text()
    guest.sent_instead["tasks.py"] = re.sub("^MOST_TASKS = .*", "MOST_TASKS = 10**6", tasks_script, flags=re.M)
    guest.run()  # on a host that may have any number of tasks
    facts = guest.result()["facts"]
    load = int((guest.folder / "harness-load-test.service.pid").read_text())
    assert sorted(facts["tasks"]) == ["after", "before"]
    for tasks in facts["tasks"].values():
        assert load in {task["tid"] for task in tasks}
        known = {"tid", "tgid", "ppid", "comm", "nice", "policy", "rt_priority", "kthread"}
        assert all(known <= set(task) <= known | {"autogroup", "cgroup"} for task in tasks)
        assert {task["cgroup"] for task in tasks if "cgroup" in task} <= set(facts["cgroups"])


TASKS = """
import json
with open({console!r}) as console:
    written = console.read().split()
phase = "recorded" if "recorded" in written else "recording" if "recording" in written else "before"
print(json.dumps({{"tasks": [phase], "cgroups": {{"/" + phase: {{}}}}, "left_out": {left_out}}}))
"""


def test_the_tasks_are_not_looked_at_while_perf_records(guest: Guest) -> None:
    guest.sent_instead["tasks.py"] = TASKS.format(console=guest.config["console"], left_out=0)
    guest.run()
    facts = guest.result()["facts"]
    assert facts["tasks"] == {"before": ["before"], "after": ["recorded"]}
    assert facts["cgroups"] == {"/before": {}, "/recorded": {}}
    assert "tasks_left_out" not in facts


def test_tasks_that_are_left_out_are_counted_in_the_facts(guest: Guest) -> None:
    guest.sent_instead["tasks.py"] = TASKS.format(console=guest.config["console"], left_out="len(written)")
    guest.run("record")
    assert guest.result()["facts"]["tasks_left_out"] == {"before": 3, "after": 9}  # a word of the console each


def test_without_a_tracer_the_load_runs_for_the_same_phases_and_nothing_is_recorded(guest: Guest) -> None:
    guest.program("perf", '#!/bin/sh\n[ "$1" = --version ] || exit 129\n')  # perf is not asked for anything else
    guest.config["tracer"] = "none"
    code, _ = guest.run()
    result = guest.result()
    assert (code, result["ok"]) == (0, True)
    assert guest_result.trial_result(result, "guest").keys() == result.keys()
    assert sorted(result["sha256"]) == ["load.txt"]
    assert not (guest.work / "perf.data").exists()
    assert (guest.work / "load.txt").read_text() == "Complete requests: 9\n"
    recording = result["recording"]
    assert recording["argv"][:2] == ["sh", "-c"]
    assert f"; sleep {guest.config['seconds']:g}; " in recording["argv"][2]
    assert recording["tracer_cpu_s"] is None
    assert recording["switches"] > 0
    assert recording["clock_after"]["monotonic_s"] > recording["clock_before"]["monotonic_s"]
    phases = ["check", "prepared", "recording", "recorded", "done", "done", "done"]
    assert guest.console() == [f"harness-trial 000_test-a1 {phase}" for phase in phases]
    begins = float((guest.folder / "recording").read_text())
    assert recording["clock_before"]["realtime_s"] >= begins - 0.2
    assert sorted(result["facts"]["tasks"]) == ["after", "before"]


def test_a_wait_in_place_of_perf_that_fails_fails_the_trial(guest: Guest) -> None:
    guest.config["tracer"] = "none"
    guest.program("renice", "#!/bin/sh\necho no renice >&2; kill -9 $PPID\n")
    code, _ = guest.run("record")
    assert code == 1
    assert guest.result()["error"] == "the wait in place of perf ended with signal 9: no renice"


def test_the_hashes_are_those_of_the_files(guest: Guest) -> None:
    guest.run()
    recorded = hashlib.sha256((guest.work / "perf.data").read_bytes()).hexdigest()
    assert guest.result()["sha256"]["perf.data"] == recorded
    assert sorted(guest.result()["sha256"]) == ["load.txt", "perf.data", "perf.log"]


def test_the_phases_are_written_to_the_console_each_on_a_line_of_its_own(guest: Guest) -> None:
    (guest.folder / "console").write_text("a line that is not compl")
    guest.run()
    written = (guest.folder / "console").read_text()
    assert written.startswith("a line that is not compl\nharness-trial 000_test-a1 check\n")
    phases = ["check", "prepared", "recording", "recorded", "done", "done", "done"]
    assert guest.console()[1:] == [f"harness-trial 000_test-a1 {phase}" for phase in phases]


def test_recording_is_written_by_the_program_that_perf_starts_when_it_records(guest: Guest) -> None:
    guest.perf_that_waits_until("! grep recording @FOLDER@/console")
    code, _ = guest.run("record")
    assert code == 0
    assert guest.console()[1] == "harness-trial 000_test-a1 recording"


def test_the_result_is_there_before_done_is_written_also_when_the_trial_failed(guest: Guest) -> None:
    guest.program("perf", "#!/bin/sh\nexit 129\n")
    process = guest.start("record")
    waiting.until(lambda: "harness-trial 000_test-a1 done" in guest.console())
    assert guest.result()["ok"] is False
    process.communicate(timeout=LIMIT_S)
    assert "harness-trial 000_test-a1 recording" not in guest.console()


def test_a_machine_without_the_console_is_found_by_the_check(guest: Guest) -> None:
    guest.config["console"] = str(guest.folder / "no-such-console")
    code, output = guest.run("check")
    assert code == 1
    assert json.loads(output)["error"].endswith("no-such-console: No such file or directory")


def test_a_console_that_takes_nothing_delays_no_trial(guest: Guest) -> None:
    console = guest.folder / "stuck"
    os.mkfifo(console)
    reader = os.open(console, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(console, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while os.write(writer, b"x" * 4096):
            pass
    guest.config["console"] = str(console)
    code, _ = guest.run()
    assert (code, guest.result()["ok"]) == (0, True)
    os.close(reader)
    os.close(writer)


def test_the_clocks_are_read_before_and_after_the_recording(guest: Guest) -> None:
    guest.run()
    recording = guest.result()["recording"]
    before, after = recording["clock_before"], recording["clock_after"]
    assert sorted(before) == sorted(after) == ["boottime_s", "monotonic_s", "realtime_s"]
    assert after["boottime_s"] - before["boottime_s"] > 0  # either may be read late on a busy host
    assert after["monotonic_s"] - before["monotonic_s"] <= recording["wall_s"]


def test_no_load_is_started_for_a_perf_that_cannot_record(guest: Guest) -> None:
    guest.program("perf", '#!/bin/sh\n[ "$1" = --version ] || { echo no such event >&2; exit 129; }\n')
    code, _ = guest.run("record")
    result = guest.result()
    assert (code, result["ok"], result["stage"]) == (1, False, "perf")
    assert "ended with exit status 129: no such event" in result["error"]
    assert not (guest.folder / "loaded").exists()


def test_a_load_that_ends_during_the_warm_up_is_reported_with_its_output(guest: Guest) -> None:
    guest.part["command"] = ["sh", "-c", "echo cannot bind; exit 1"]
    guest.program(
        "systemd-run", SYSTEMD_RUN.replace("@FOLDER@", str(guest.folder)) + "wait\n"
    )  # until the load has ended
    guest.run()
    result = guest.result()
    assert result["stage"] == "warm-up"
    assert "before the recording began" in result["error"]
    assert "cannot bind" in result["error"]


def test_a_load_that_starts_too_late_to_be_warm_is_not_recorded(guest: Guest) -> None:
    until_begun = f"while [ $(date +%s) -le $(cut -d. -f1 {guest.folder}/recording) ]; do sleep 0.1; done\n"
    guest.program("systemd-run", (guest.programs / "systemd-run").read_text() + until_begun)
    guest.run("record")
    assert guest.result()["stage"] == "warm-up"
    assert "too late to warm it up" in guest.result()["error"]
    waiting.until(lambda: not guest.load_runs())


def test_a_load_that_ends_while_it_is_recorded_is_seen(guest: Guest) -> None:
    console, ended = guest.config["console"], "systemctl show harness-load-test.service | grep -q inactive"
    guest.part["command"] = ["sh", "-c", f"until grep -q recording {console}; do sleep 0.02; done"]
    until_ended = f"[ $1 != 7 ] || until {ended}; do /bin/sleep 0.02; done"
    guest.program("sleep", f'#!/bin/sh\n{until_ended}; [ $1 = 7 ] || exec /bin/sleep "$1"\n')
    guest.config["seconds"] = 7
    guest.run("record")
    assert guest.result()["loads"]["test"]["ActiveState"] == "inactive"


def test_sigterm_stops_the_load_and_is_reported(guest: Guest) -> None:
    guest.config["seconds"] = 200
    process = guest.start("record")
    recorder = waiting.until(lambda: waiting.number_in(guest.folder / "recorders"))
    waiting.until(lambda: "harness-trial 000_test-a1 recording" in guest.console())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    with contextlib.suppress(ProcessLookupError):
        os.kill(recorder, signal.SIGTERM)  # systemd would end it with the unit
    assert "stopped from outside" in guest.result()["error"]
    waiting.until(lambda: not guest.load_runs())


def test_a_load_that_cannot_be_stopped_does_not_hide_why_the_trial_failed(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(why: str) -> Callable[[object], None]:
        def refused(*_: object) -> None:
            asked.append(why)
            raise trial_command.Failure(why)

        return refused

    asked: list[str] = []
    perf = contextlib.nullcontext(SimpleNamespace(wait_until_set_up=lambda: None))
    monkeypatch.setattr(trial_script, "Recorder", lambda config: perf)
    monkeypatch.setattr(trial_script, "start_load", refuse("systemd-run: not done within 30 s"))
    monkeypatch.setattr(trial_script, "stop_load", refuse("systemctl stop: not done within 60 s"))
    with pytest.raises(trial_command.Failure, match="systemd-run"):
        trial_script.carry_out(guest.config, {"stages": {}})
    assert len(asked) == 2  # a launcher that missed its limit may have started it


def test_an_error_during_the_recording_kills_perf() -> None:
    with subprocess.Popen(["sleep", "300"]) as recorder:
        with pytest.raises(trial_command.Failure), trial_recording.alarm(recorder, 60):
            raise trial_command.Failure("systemctl show: not done within 30 s")
        assert recorder.wait(timeout=waiting.LIMIT_S) == -signal.SIGKILL


def systemctl(guest: Guest) -> list[str]:
    """Return what systemctl was asked to do, in order: `restart db.service`."""
    asked = (guest.folder / "systemctl").read_text().splitlines()
    return [line for line in asked if not line.startswith(("show ", "reset-failed "))]


def test_services_run_during_the_trial_only_and_the_load_is_prepared_while_they_do(guest: Guest) -> None:
    guest.config["services"] = ["db.service", "web.service"]
    guest.part["files"] = {"table.txt": "7 rows\n"}
    guest.part["prepare"] = ["sh", "-c", f"cat {guest.folder}/systemctl table.txt >prepared; echo filled"]
    guest.part["ready"] = ["sh", "-c", f"cat {guest.folder}/systemctl >ready; test -s prepared"]
    guest.part["command"] = ["sh", "-c", f"cat ready prepared; echo $HOME; : >{guest.folder}/loaded; exec sleep 1000"]
    code, _ = guest.run()
    result = guest.result()
    assert (code, result["ok"]) == (0, True), result
    started = ["restart db.service", "restart web.service"]
    stopped = ["stop harness-load-test.service", "stop harness-load-test-prepare.service"]
    assert systemctl(guest) == [*started, *stopped, "stop db.service", "stop web.service"]
    folder = guest.part["folder"]
    assert (guest.work / "load.txt").read_text() == "\n".join([*started, *started, "7 rows", folder, ""])
    assert {name: state["ActiveState"] for name, state in result["loads"].items()} == {
        "test": "active",
        "db.service": "active",
        "web.service": "active",
    }
    assert sorted(result["stages"], key=result["stages"].get) == [
        "alone", "services", "prepare", "ready", "perf", "load", "tasks", "warm-up", "record", "collect", "hash",
        "done",
    ]  # fmt: skip


def test_the_parts_of_a_load_run_at_once_and_leave_one_output(guest: Guest) -> None:
    waits = "while :; do sleep 0.02; done"
    until_two = f"until [ -e ../load-two/up ]; do sleep 0.02; done; : >{guest.folder}/loaded"
    first = f"trap 'echo one; exit 0' INT; {until_two}; {waits}"
    guest.config["parts"] = [
        guest.new_part("one", ["sh", "-c", first]),
        guest.new_part(
            "two", ["sh", "-c", f"trap 'echo two >&2; exit 0' INT; printf begun; : >up; {waits}"], ready=None
        ),
    ]
    guest.run()
    assert guest.result()["error" if "error" in guest.result() else "ok"] is True
    assert (guest.work / "load.txt").read_text() == "==> one <==\none\n\n==> two <==\nbeguntwo\n\n"
    assert systemctl(guest) == ["stop harness-load-one.service", "stop harness-load-two.service"]


def test_a_part_that_ended_is_named(guest: Guest) -> None:
    guest.config["parts"] = [guest.part, guest.new_part("short", ["sh", "-c", "echo no licence"])]
    guest.config["warmup_s"] = 1.0
    guest.program(
        "systemd-run", (guest.programs / "systemd-run").read_text() + 'case "$unit" in *short*) wait ;; esac\n'
    )
    guest.run("record")
    assert "the load short had ended before the recording began (exit status 0): no licence" in guest.result()["error"]
    waiting.until(lambda: not guest.load_runs())


@pytest.mark.parametrize(
    ("change", "stage", "message"),
    [
        ({"prepare": ["sh", "-c", "echo disk full; exit 3"]}, "prepare", "failed: disk full"),
        ({"ready": ["no-such-program"]}, "ready", "no-such-program: no such program"),
    ],
)
def test_services_are_stopped_after_every_failure(
    guest: Guest, change: dict[str, Any], stage: str, message: str
) -> None:
    guest.config["services"] = ["db.service"]
    guest.part.update(change)
    code, _ = guest.run("record")
    result = guest.result()
    assert (code, result["stage"]) == (1, stage)
    assert message in result["error"]
    assert systemctl(guest)[-1] == "stop db.service"
    assert not waiting.runs(int((guest.folder / "db.service.pid").read_text()))


def test_a_service_that_does_not_start_is_told_with_its_journal(guest: Guest) -> None:
    guest.config["services"] = ["db.service", "web.service"]
    guest.program("journalctl", "#!/bin/sh\necho bind: Address already in use\n")
    (guest.folder / "broken-web.service").touch()
    guest.run("record")
    assert guest.result()["stage"] == "services"
    assert "the service web.service did not start" in guest.result()["error"]
    assert "Address already in use" in guest.result()["error"]
    assert not waiting.runs(int((guest.folder / "db.service.pid").read_text()))


def test_sigterm_while_the_load_is_prepared_stops_what_prepares_it_and_the_services(guest: Guest) -> None:
    guest.config["services"] = ["db.service"]
    guest.part["prepare"] = ["sh", "-c", f": >{guest.folder}/preparing; sleep 1000"]
    process = guest.start("record")
    waiting.until(lambda: (guest.folder / "preparing").exists())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert guest.result()["stage"] == "prepare"
    assert "stopped from outside" in guest.result()["error"]
    for unit in ("harness-load-test-prepare.service", "db.service"):
        assert not waiting.runs(int((guest.folder / f"{unit}.pid").read_text()))


def test_a_killed_trial_leaves_the_names_of_its_services_for_the_next_one(guest: Guest) -> None:
    guest.config["services"] = ["db.service", "web.service"]
    guest.part["prepare"] = ["sh", "-c", f": >{guest.folder}/preparing; sleep 1000"]
    process = guest.start("record")
    waiting.until(lambda: (guest.folder / "preparing").exists())
    process.kill()
    process.communicate(timeout=LIMIT_S)
    stop = trial.stop_command(guest.config["services_file"])
    subprocess.run(["/bin/sh", "-c", stop], env={"PATH": guest.path}, check=True)
    assert systemctl(guest)[-2:] == ["stop db.service", "stop web.service"]
    assert not Path(guest.config["services_file"]).exists()
    for unit in ("db.service", "web.service"):
        assert not waiting.runs(int((guest.folder / f"{unit}.pid").read_text()))
    subprocess.run(["/bin/sh", "-c", stop], env={"PATH": guest.path}, check=True)  # with nothing to stop
    os.killpg(int((guest.folder / "harness-load-test-prepare.service.pid").read_text()), signal.SIGKILL)  # no systemd


def test_each_unit_is_stopped_by_its_own_signal_which_all_or_one_of_its_processes_get(guest: Guest) -> None:
    guest.program(
        "systemd-run",
        (guest.programs / "systemd-run")
        .read_text()
        .replace("#!/bin/sh\n", f'#!/bin/sh\necho "$*" >>{guest.folder}/started\n'),
    )
    guest.part.update(stop_signal="SIGUSR1", stops_all=True)
    guest.run("record")
    started = (guest.folder / "started").read_text()
    assert "--property=KillSignal=SIGUSR1 --property=KillMode=control-group" in started
    assert f"--property=WorkingDirectory={guest.part['folder']}" in started
    assert "--property=RuntimeMaxSec=300" in started


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": "4.15.0-58-generic"}, "expected 4.15.0-58-generic"),
        ({"cpus": 4096}, "expected 4096"),
        ({"free_mb": 10**9}, "MB free"),
    ],
)
def test_the_check_finds_what_is_wrong_before_the_start(guest: Guest, change: dict[str, Any], message: str) -> None:
    guest.config.update(change)
    code, output = guest.run("check")
    answer = json.loads(output)
    assert (code, answer["ok"], answer["stage"]) == (1, False, "check")
    assert message in answer["error"]
    assert list(guest.work.iterdir()) == []


SETTINGS = """import json, pathlib, sys
file = pathlib.Path("@FILE@")
wanted = json.loads(sys.argv[2])[0]["value"]
if sys.argv[1] == "apply" and wanted != "8":
    file.write_text(wanted)
row = {"name": "machine.sysctl.vm.x", "path": str(file), "before": "1", "wanted": wanted, "actual": file.read_text()}
print(json.dumps({"settings": [row], **({"error": "wanted 8; it has 1"} if wanted == "8" else {})}))
"""


def with_settings(guest: Guest, value: str, text: str = SETTINGS) -> Path:
    """Let the script for kernel settings set a file of this test."""
    file = guest.folder / "x"
    file.write_text("1")
    guest.sent_instead["settings.py"] = text.replace("@FILE@", str(file))
    guest.config["kernel_settings"] = [{"name": "machine.sysctl.vm.x", "value": value, "form": "text", "paths": []}]
    return file


def test_kernel_settings_are_set_by_the_check_and_read_again_after_the_recording(guest: Guest) -> None:
    file = with_settings(guest, "7")
    assert guest.run("check")[0] == 0
    assert file.read_text() == "7"
    file.write_text("9")  # as a daemon of the guest could
    assert guest.run("record")[0] == 0
    (row,) = guest.result()["kernel_settings"]
    assert (row["before"], row["wanted"], row["actual"]) == ("1", "7", "9")


def test_a_kernel_setting_that_cannot_be_set_ends_the_check_for_good(guest: Guest) -> None:
    with_settings(guest, "8")
    code, output = guest.run("check")
    answer = json.loads(output)
    assert (code, answer["retryable"], answer["error"]) == (1, False, "wanted 8; it has 1")


@pytest.mark.parametrize("name", ["command", "prepare", "ready"])
def test_the_check_finds_a_program_that_the_load_lacks(guest: Guest, name: str) -> None:
    guest.part[name] = ["no-such-program", "-v"]
    code, output = guest.run("check")
    answer = json.loads(output)
    assert (code, answer["error"]) == (1, "no-such-program: no such program on this machine")
    assert answer["retryable"] is False


def test_a_program_of_the_loads_own_folder_may_come_to_be_there(guest: Guest) -> None:
    guest.part["command"] = ["./built-by-prepare"]
    assert guest.run("check")[0] == 0


def test_the_check_finds_a_perf_that_does_not_fit_the_kernel(guest: Guest) -> None:
    guest.program("perf", "#!/bin/sh\necho 'WARNING: perf not found for kernel 4.15.0-58' >&2; exit 2\n")
    code, output = guest.run("check")
    assert code == 1
    assert "perf not found for kernel" in json.loads(output)["error"]


def test_a_guest_without_perf_is_an_error(guest: Guest) -> None:
    (guest.programs / "perf").unlink()
    guest.path = str(guest.programs)
    _, output = guest.run("check")
    assert json.loads(output)["error"] == "perf: no such program on this machine"


def test_connections_over_ssh_are_counted_and_listeners_are_not(tmp_path: Path) -> None:
    (tmp_path / "tcp").write_text(
        "  sl  local_address rem_address   st tx_queue\n"
        "   0: 00000000:0016 00000000:0000 0A 00000000\n"
        "   1: 0F02000A:0016 0202000A:8B1C 01 00000000\n"
        "   2: 0100007F:0050 0100007F:8B1C 01 00000000\n"
        "   3: 0F02000A:0016 0202000A:8B20 06 00000000\n"
    )
    assert trial_recording.ssh_connections([str(tmp_path / "tcp"), str(tmp_path / "tcp6")]) == 1


def test_cpu_ticks_are_read_by_name() -> None:
    ticks = trial_recording.cpu_ticks("cpu  15622 1 6221 22909 110 2 430 3 0 0\ncpu0 1 2 3\n")
    assert ticks == {
        "user": 15622,
        "nice": 1,
        "system": 6221,
        "idle": 22909,
        "iowait": 110,
        "irq": 2,
        "softirq": 430,
        "steal": 3,
    }


def test_accepted_connections_are_read_by_name_and_are_unknown_where_the_kernel_tells_none() -> None:
    text = "Ip: Forwarding\nIp: 1\nTcp: RtoMin ActiveOpens PassiveOpens InErrs\nTcp: 200 2458 972 0\nUdp: 7\n"
    assert trial_recording.accepted_connections(text) == 972
    for unknown in ("", "Tcp: RtoMin\nTcp: 200\n", "Ip: Forwarding\nIp: 1\n"):
        assert trial_recording.accepted_connections(unknown) is None
    assert trial_recording.since(900, 972) == 72
    assert trial_recording.since(None, 972) is trial_recording.since(900, None) is None


def test_the_cpu_model_is_the_first_one_named() -> None:
    assert trial_facts.cpu_model("processor\t: 0\nmodel name\t: QEMU Virtual CPU: 2.5+\n") == "QEMU Virtual CPU: 2.5+"
    assert trial_facts.cpu_model("") == ""


def test_a_trial_lists_the_versions_of_the_packages_that_were_asked_for_and_of_their_sources(tmp_path: Path) -> None:
    (tmp_path / "wanted").write_text("dpkg libc6 no-such-package\n")
    listed = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n", "dpkg", "libc6", "libc-bin"]
    installed = subprocess.run(listed, check=True, capture_output=True, text=True).stdout
    found = trial_facts.packages(str(tmp_path / "wanted"))
    assert found.items() >= dict(line.split(" ") for line in installed.splitlines()).items()  # libc-bin: of one source
    assert "coreutils" not in found
    assert set(trial_facts.packages(str(tmp_path / "absent"))) <= {"systemd"}


@pytest.mark.parametrize(
    ("tunables", "features"),
    [
        ("/proc/sys/kernel/sched_{}", "/sys/kernel/debug/sched_features"),  # 4.15
        ("/sys/kernel/debug/sched/{}", "/sys/kernel/debug/sched/features"),  # since 5.13
    ],
)
def test_what_the_replay_of_cfs_needs_is_among_the_settings(tmp_path: Path, tunables: str, features: str) -> None:
    wanted = dict.fromkeys(
        map(tunables.format, ("latency_ns", "min_granularity_ns", "wakeup_granularity_ns")), "6000000"
    )
    wanted |= {f"/proc/sys/kernel/sched_{name}": "0" for name in ("child_runs_first", "autogroup_enabled")}
    wanted[features] = "GENTLE_FAIR_SLEEPERS START_DEBIT NO_NEXT_BUDDY LAST_BUDDY"
    for path, text in wanted.items():
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).write_text(text + "\n")
    (tmp_path / "proc/sys/kernel/sched_domain").mkdir()
    assert trial_facts.scheduler_settings(str(tmp_path)) == wanted


def test_the_settings_of_this_host_are_under_their_own_paths() -> None:
    found = trial_facts.scheduler_settings()
    assert {path: Path(path).read_text().rstrip("\n")[:2000] for path in found} == found
    assert Path("/proc/sys/kernel/sched_rt_period_us").exists() is ("/proc/sys/kernel/sched_rt_period_us" in found)


@pytest.mark.parametrize("script", trial.SENT_ALONG.values(), ids=lambda path: path.name)
def test_the_scripts_need_nothing_but_the_standard_library(script: Path) -> None:
    tree = ast.parse(script.read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    beside = {name.removesuffix(".py") for name in trial.SENT_ALONG}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0 or node.module in beside
            imported |= {str(node.module)} if node.level == 0 else set()
    assert imported <= set(sys.stdlib_module_names)
