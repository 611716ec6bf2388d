"""Kernel settings in the guest: the script sets them in files of this test, and reads those of this host's kernel."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness.guest import setting_files, trial
from harness.spec import MachineSpec

CFS_FEATURES = "GENTLE_FAIR_SLEEPERS START_DEBIT NO_NEXT_BUDDY LAST_BUDDY NO_HRTICK\n"
SLICE, FEATURE = "machine.sched.base_slice_ns", "machine.sched.features.HRTICK"


class Guest:
    """A folder with files like those of a kernel; one of them takes what it is given, a fifo takes nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = folder, folder / "state.json"
        for name, text in {"base_slice_ns": "2800000\n", "features": CFS_FEATURES, "preempt": "none (full)\n"}.items():
            (folder / name).write_text(text)

    def row(self, name: str, value: str, file: str = "base_slice_ns", form: str = "text") -> dict[str, Any]:
        paths = [str(self.folder / "not" / "there"), str(self.folder / file)]
        return {"name": name, "value": value, "form": form, "paths": paths}

    def command(self, action: str, *rows: dict[str, Any]) -> list[str]:
        text = trial.SENT_ALONG["settings.py"].read_text().replace("/run/harness-kernel-settings.json", str(self.state))
        return [sys.executable, "-I", "-c", text, action, json.dumps(rows)]

    def run(self, action: str, *rows: dict[str, Any]) -> dict[str, Any]:
        done = subprocess.run(self.command(action, *rows), stdout=subprocess.PIPE, text=True, check=True)
        outcome = json.loads(done.stdout)
        assert isinstance(outcome, dict)
        return outcome

    def read(self, file: str = "base_slice_ns") -> str:
        return (self.folder / file).read_text()


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


def test_a_setting_is_written_where_the_kernel_has_it_and_read_back(guest: Guest) -> None:
    outcome = guest.run("apply", guest.row(SLICE, "3000000"))
    path = str(guest.folder / "base_slice_ns")
    assert outcome == {
        "settings": [{"name": SLICE, "path": path, "before": "2800000", "wanted": "3000000", "actual": "3000000"}]
    }
    assert guest.read() == "3000000\n"


def test_what_an_earlier_trial_had_set_goes_back_before_the_next_one(guest: Guest) -> None:
    guest.run("apply", guest.row(SLICE, "3000000"))
    guest.run("apply", guest.row(SLICE, "5000000"))
    outcome = guest.run("apply", guest.row("machine.sched.preempt", "none", "preempt", "choice"))
    assert "error" not in outcome
    assert guest.read() == "2800000\n"
    assert guest.run("read", guest.row(SLICE, "5000000"))["settings"][0]["before"] == "2800000"


def test_what_the_kernel_computes_others_from_goes_back_last(guest: Guest) -> None:
    """The kernel reads latency and granularity when the scaling is written, and sets what follows from them."""
    scaling = guest.row("machine.sched.tunable_scaling", "0", "preempt")
    guest.run("apply", scaling, guest.row(SLICE, "3000000"))
    (guest.folder / "base_slice_ns").unlink()
    (guest.folder / "base_slice_ns").symlink_to("preempt")  # which then holds what was written last
    guest.run("apply")
    assert guest.read("preempt") == "none (full)\n"


def test_a_setting_with_two_names_goes_back_to_what_it_was_before_both(guest: Guest) -> None:
    sysctl = "machine.sysctl.kernel.sched_base_slice_ns"
    guest.run("apply", guest.row(sysctl, "3000000"))
    outcome = guest.run("apply", guest.row(SLICE, "5000000"))
    assert ("error" in outcome, outcome["settings"][0]["before"], guest.read()) == (False, "2800000", "5000000\n")
    assert "error" not in guest.run("apply")
    assert guest.read() == "2800000\n"


def port_row(name: str, value: str) -> dict[str, Any]:
    path = f"/proc/sys/net/ipv4/{name}"
    return {"name": f"machine.sysctl.net.ipv4.{name}", "value": value, "form": "text", "paths": [path]}


def test_settings_of_which_one_limits_another_are_set_and_set_back_in_an_order_that_the_kernel_takes(
    guest: Guest,
) -> None:
    """In a network of its own, the kernel refuses a range of ports that begins below the first unprivileged one."""
    ports, start = port_row("ip_local_port_range", "500 1000"), port_row("ip_unprivileged_port_start", "400")
    trials = [(ports,), (ports, start), (port_row("ip_local_port_range", "2000 3000"),), ()]
    commands = "; ".join(shlex.join(guest.command("apply", *rows)) for rows in trials)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", commands], stdout=subprocess.PIPE, text=True, check=True
    )
    refused, both, one, none = map(json.loads, done.stdout.splitlines())
    assert refused["error"] == f"{ports['name']}: the kernel does not take 500 1000 (Invalid argument)"
    assert [row["actual"] for row in both["settings"]] == ["500 1000", "400"]
    assert [row["actual"] for row in one["settings"]] == ["2000 3000"]
    assert none == {"settings": []}


def test_what_the_kernel_makes_of_a_value_is_said_with_the_wanted_one(guest: Guest) -> None:
    """The features of this file stay what they are written, unlike those of a kernel: a word replaces the list."""
    outcome = guest.run("apply", guest.row(SLICE, "007 8"))
    assert outcome["settings"][0]["actual"] == "007 8"
    (guest.folder / "base_slice_ns").write_text("100000\n")
    outcome = guest.run("read", guest.row(SLICE, "50"))
    assert outcome["error"] == f"{SLICE}: wanted 50; the kernel made 100000 of it"


def test_a_choice_is_the_word_in_brackets_and_a_feature_a_word_of_the_list(guest: Guest) -> None:
    rows = (
        guest.row("machine.sched.preempt", "full", "preempt", "choice"),
        guest.row(FEATURE, "NO_HRTICK", "features", "feature"),
    )
    outcome = guest.run("read", *rows)
    assert [row["actual"] for row in outcome["settings"]] == ["full", "NO_HRTICK"]


def test_a_feature_that_the_kernel_lacks_is_named_with_those_it_has(guest: Guest) -> None:
    outcome = guest.run("apply", guest.row("machine.sched.features.NEXT_BUDY", "NEXT_BUDY", "features", "feature"))
    assert outcome["error"] == (
        f"machine.sched.features.NEXT_BUDY: the kernel {os.uname().release} has no such setting; it has NEXT_BUDDY, "
        "LAST_BUDDY, GENTLE_FAIR_SLEEPERS, HRTICK, START_DEBIT"
    )
    assert guest.read("features") == CFS_FEATURES


def test_a_setting_that_this_hosts_kernel_lacks_is_named_with_those_it_has(guest: Guest) -> None:
    machine = MachineSpec.model_validate({"box": "debian-12", "sched": {"latency_ns": 1}})
    (row,) = setting_files.wanted(machine)
    outcome = guest.run("read", {**row, "paths": ["/not/there"]})
    assert outcome["error"].startswith(
        f"machine.sched.latency_ns: the kernel {os.uname().release} has no such setting; "
    )
    assert "rt_runtime_us" in outcome["error"].partition("it has ")[2].split(", ")


def test_a_sysctl_that_is_misspelt_is_named_with_its_neighbours(guest: Guest) -> None:
    row = {"name": "machine.sysctl.vm.swapiness", "value": "1", "form": "text", "paths": ["/proc/sys/vm/swapiness"]}
    assert "it has swappiness, " in guest.run("apply", row)["error"]


def test_a_value_that_the_kernel_does_not_take_is_an_error_with_its_reason(guest: Guest) -> None:
    row = {
        "name": "machine.sysctl.kernel.osrelease",
        "value": "9",
        "form": "text",
        "paths": ["/proc/sys/kernel/osrelease"],
    }
    assert "machine.sysctl.kernel.osrelease: the kernel does not take 9 (" in guest.run("apply", row)["error"]


def test_every_setting_of_a_machine_has_its_files_and_those_that_change_others_come_first() -> None:
    machine = MachineSpec.model_validate(
        {
            "box": "debian-12",
            "sysctl": {"net.ipv4.tcp_rmem": "4096  87380 6291456"},
            "sched": {"latency_ns": 1, "autogroup": False, "tunable_scaling": "none", "features": {"HRTICK": False}},
        }
    )
    rows = {row["name"]: row for row in setting_files.wanted(machine)}
    assert next(iter(rows)) == "machine.sched.tunable_scaling"
    assert {name.removeprefix("machine."): (row["value"], row["paths"][-1]) for name, row in rows.items()} == {
        "sched.tunable_scaling": ("0", "/proc/sys/kernel/sched_tunable_scaling"),
        "sysctl.net.ipv4.tcp_rmem": ("4096 87380 6291456", "/proc/sys/net/ipv4/tcp_rmem"),
        "sched.features.HRTICK": ("NO_HRTICK", "/sys/kernel/debug/sched_features"),
        "sched.latency_ns": ("1", "/proc/sys/kernel/sched_latency_ns"),
        "sched.autogroup": ("0", "/proc/sys/kernel/sched_autogroup_enabled"),
    }
