"""`harness run experiments/smoke.yaml` on a real machine, and the files of its run folder."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pyarrow.parquet as parquet
import zstandard
from command_line import HARNESS
from real_campaign import Process, Smoke

from harness import boxes
from harness.guest import provision, setting_files, trial
from harness.progress import SilentWatcher
from harness.spec import MachineSpec

BOX = "debian-12"


def test_a_stopped_run_exits_with_130_and_leaves_no_machine(smoke: Smoke) -> None:
    assert smoke.stopped_code == 130, smoke.stopped.events[-3:]
    assert smoke.stopped_state == "interrupted"
    assert not smoke.left_after_stop


def test_the_resumed_run_succeeds(smoke: Smoke) -> None:
    assert smoke.resumed_code == 0, smoke.resumed.events[-5:]
    assert smoke.folder.state == "done"


def test_the_first_run_provisioned_a_machine_and_the_resumed_one_used_what_was_kept(smoke: Smoke) -> None:
    assert _machine_steps(smoke.stopped) == [f"to-provision:{BOX}", "provision", f"keep:{BOX}", f"up:{BOX}"]
    assert _machine_steps(smoke.resumed) == ["provision", f"up:{BOX}"]
    kept = smoke.folder.manifest["box"]["provisioned"]
    assert {"nginx", "linux-perf", "apache2-utils"} <= set(kept["packages"])
    assert smoke.folder.manifest["steps"][f"keep:{BOX}"]["detail"]["image_sha256"] == kept["image_sha256"]


def test_the_kept_machine_holds_nothing_of_the_machine_that_was_provisioned(smoke: Smoke) -> None:
    key = (smoke.folder.path / "machine" / "debian-12" / "key.pub").read_text().split()[1]
    with smoke.host as host:
        ids = host.run("cat /etc/machine-id; stat -c %Y /etc/machine-id", timeout_s=240).stdout.split()
        boot = host.run("stat -c %Y /proc/1", timeout_s=240).stdout
        keys = host.run("cat /home/vagrant/.ssh/authorized_keys", timeout_s=240).stdout
        left = host.run("ls /var/lib/apt/lists /var/cache/apt/archives /usr/sbin", timeout_s=240).stdout
        units = host.run("systemctl --root=/ list-unit-files --state=enabled --no-legend", timeout_s=240).stdout
    assert len(ids[0]) == 32
    assert [line.split()[1] for line in keys.splitlines()] == [key]
    assert ".deb" not in left
    assert "Packages" not in left
    assert not {"policy-rc.d", "start-stop-daemon.REAL"} & {*left.split()}  # those of the box's build
    assert "ssh.service" in units
    assert "nginx" not in units
    assert abs(int(ids[1]) - int(boot)) < 600  # this machine made its own id when it booted


def test_the_kernel_had_the_settings_of_the_experiment_during_the_trial(smoke: Smoke) -> None:
    guest = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "guest.json").read_text())
    rows = {row["name"].removeprefix("machine."): (row["before"], row["actual"]) for row in guest["kernel_settings"]}
    assert rows == {
        "sysctl.vm.swappiness": ("60", "7"),
        "sched.min_granularity_ns": ("750000", "3000000"),
        "sched.features.GENTLE_FAIR_SLEEPERS": ("GENTLE_FAIR_SLEEPERS", "NO_GENTLE_FAIR_SLEEPERS"),
    }
    assert guest["facts"]["scheduler"]["/sys/kernel/debug/sched/min_granularity_ns"] == "3000000"
    assert " nohz=off" in guest["facts"]["kernel_cmdline"]
    assert smoke.folder.manifest["machine"]["cmdline"] == ["nohz=off"]


def test_a_setting_that_the_kernel_lacks_and_one_that_it_changes_are_said_with_what_there_is(smoke: Smoke) -> None:
    asked = {"base_slice_ns": 3_000_000, "nr_migrate": 2**32 - 1}
    wanted = setting_files.wanted(MachineSpec.model_validate({"box": "debian-12", "sched": asked}))
    lacking, wrapped = (next(row for row in wanted if row["name"].endswith(name)) for name in asked)
    with smoke.host as host:
        host.put(trial.SENT_ALONG["settings.py"], "/tmp/settings.py", 240)
        answers = [
            json.loads(
                host.run(
                    f"python3 /tmp/settings.py apply {shlex.quote(json.dumps([row]))}", timeout_s=240, sudo=True
                ).stdout
            )
            for row in (lacking, {**wrapped, "value": str(2**32 + 5)}, wrapped)
        ]
        host.run("python3 /tmp/settings.py apply '[]' && rm /tmp/settings.py", timeout_s=240, sudo=True)
    assert "has no such setting; it has " in answers[0]["error"]
    assert "latency_ns" in answers[0]["error"]
    assert answers[1]["error"] == f"machine.sched.nr_migrate: wanted {2**32 + 5}; the kernel made 5 of it"
    assert "error" not in answers[2]


def _machine_steps(process: Process) -> list[str]:
    wanted = ("to-provision", "provision", "keep", "up")
    started = [event["step"] for event in process.events if event["event"] == "step_started"]
    return [step for step in started if step.partition(":")[0] in wanted]


def test_the_guest_is_the_requested_machine(smoke: Smoke) -> None:
    machine, trial = smoke.folder.manifest["machine"], smoke.folder.trial_dir("000_nginx_ab")
    guest = json.loads((trial / "guest.json").read_text())
    assert machine["cpus"] == guest["facts"]["cpus"] == 1
    assert boxes.recipe("debian-12").matches_kernel(guest["facts"]["kernel"])
    assert smoke.folder.manifest["box"]["fallback_reason"] is None
    recorded = json.loads((trial / "trial.json").read_text())
    assert (recorded["machine"]["kernel"], recorded["machine"]["box"]) == (guest["facts"]["kernel"], "debian-12")


def test_the_tasks_of_the_guest_and_their_groups_are_known_before_and_after(smoke: Smoke) -> None:
    facts = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "guest.json").read_text())["facts"]
    for tasks in facts["tasks"].values():
        assert {"systemd", "kthreadd", "nginx", "ab"} <= {task["comm"] for task in tasks}
        assert {task["cgroup"] for task in tasks if task["comm"] in ("kthreadd", "nginx", "ab")} <= set(
            facts["cgroups"]
        )
    assert "tasks_left_out" not in facts


def test_no_ssh_connection_was_open_while_it_recorded(smoke: Smoke) -> None:
    guest = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "guest.json").read_text())
    assert (guest["ssh_connections_before"], guest["ssh_connections_after"]) == (0, 0)


def test_the_recording_comes_with_what_the_host_did_meanwhile(smoke: Smoke) -> None:
    host = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "trial.json").read_text())["host"]
    assert host["seconds"] > 0
    assert host["guest_seconds"] > 9  # the recording was to be 10 s; the script may see its beginning a little late
    assert (host["share"] is None) is (host["share_reason"] is not None)
    assert 0 <= host["taken_share"] <= 1
    assert len(host["loadavg_before"]) == 3
    assert set(host["clock_step_s"]) == set(host["suspended_s"]) == {"host", "guest"}


def test_the_load_ran_to_the_end_of_the_recording(smoke: Smoke) -> None:
    recorded = json.loads((smoke.folder.trial_dir("000_nginx_ab") / "trial.json").read_text())
    assert recorded["verdict"]["ok"], recorded["verdict"]
    assert recorded["metrics"]["requests_completed"] > 10
    assert {"nginx", "ab"} <= set(recorded["usage"])


def test_the_tables_are_what_perf_script_prints(smoke: Smoke, tmp_path: Path) -> None:
    trial = smoke.folder.trial_dir("000_nginx_ab")
    raw = tmp_path / "perf.data"
    with (trial / "perf.data.zst").open("rb") as source, raw.open("wb") as sink:
        zstandard.ZstdDecompressor().copy_stream(source, sink)
    command = ["perf", "script", "-i", str(raw), "--ns", "-F", "time,event,trace"]
    printed = subprocess.run(command, capture_output=True, check=True, timeout=300).stdout.decode("utf-8", "replace")
    lines = [line for line in printed.splitlines() if "sched:sched_switch:" in line]
    table = parquet.read_table(trial / "switches.parquet").to_pylist()
    assert len(table) == len(lines) > 1000
    for row, line in zip(table, lines, strict=True):
        seconds, _, fraction = line.split(":", 1)[0].strip().partition(".")
        assert row["time_ns"] == int(seconds) * 10**9 + int(fraction)
        for name in ("prev", "next"):
            assert f"{name}_comm={row[f'{name}_comm']} {name}_pid={row[f'{name}_tid']} " in line
        assert f"prev_state={row['prev_state']} ==>" in line


def test_every_predictor_was_scored_on_contested_switches_too(smoke: Smoke) -> None:
    for name in ("most_frequent_s0", "markov_s0", "lstm_s0"):
        scores = json.loads((smoke.folder.path / "models" / name / "scores.json").read_text())
        # most_frequent is right at no contested switch where its one task was only ever picked without a choice
        assert scores["contested"]["top1"] > 0 or name == "most_frequent_s0"
        assert 0 <= scores["contested"]["top1"] < 1
        assert scores["contested"]["events"] > 0
        assert scores["contested"]["bits_per_switch"] > 0
        assert scores["overall"]["bits_per_switch"] > 0


def test_the_report_exists_and_every_file_is_as_recorded(smoke: Smoke) -> None:
    page = (smoke.folder.path / "report" / "index.html").read_text()
    assert "000_nginx_ab" in page
    assert "lstm" in page
    ended = subprocess.run([*HARNESS, "verify", str(smoke.folder.path)], capture_output=True, text=True, timeout=240)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_provisioning_a_second_time_changes_nothing(smoke: Smoke, tmp_path: Path) -> None:
    detail = smoke.folder.manifest["steps"]["provision"]["detail"]
    assert detail["changed"] > 0
    again = provision.apply([smoke.host], detail["roles"], tmp_path, SilentWatcher())
    assert (again.changed, again.failed) == (0, 0)


def test_the_command_works_from_any_folder(smoke: Smoke, tmp_path: Path) -> None:
    plan = [*HARNESS, "run", "experiments/smoke.yaml", "--dry-run", "--json"]
    ended = subprocess.run(plan, cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert json.loads(ended.stdout)["trials"][0]["name"] == "000_nginx_ab"
    assert list(tmp_path.iterdir()) == []
