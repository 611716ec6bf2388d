"""Runs inside the guest. One trial: check, prepare and start the load, warm up, record, stop, hash, write the result.

The host sends this file and the modules that it imports as one package, beside `trial.py`, which holds the trial's
configuration and calls `main`. The guest's own Python, 3.6 or newer, runs it as root with only the standard library.
`result.json` is written last: when it exists, all other files are complete. What the host must know before it connects
is written to the serial console: `harness-trial LABEL prepared`, `recording`, `recorded`, `done`.

    python3 trial.py check         only check, and print the outcome as one line of JSON
    python3 trial.py record        carry out a trial that has been checked
    python3 trial.py               both, one after the other
"""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import contextlib
import json
import os
import signal
import time
from typing import Any, Dict, List

from .trial_command import COMMAND_S, Failure, Stopped, Unfit, call, read, run_beside, write_atomic
from .trial_console import announce
from .trial_load import (
    collect_output,
    prepare_load,
    require_programs,
    require_ready,
    start_load,
    start_services,
    stop_load,
    stop_services,
)
from .trial_recording import Recorder, is_traced, wait_until_alone

SCHEMA = 1
EARLIEST_CLOCK = 1700000000  # 2023-11-14: a clock that shows an earlier time was never set
PULLED = ("perf.data", "perf.log", "load.txt")  # what the host copies besides result.json
SETTINGS_STATE = "/run/harness-kernel-settings.json"  # the file of kernel_settings.py, there once one was changed
BOOT_ID = "/proc/sys/kernel/random/boot_id"  # differs after every boot


# --- checks -----------------------------------------------------------------------------------------------------------


def check_machine(config: Dict[str, Any]) -> None:
    """Raise Failure unless kernel and CPUs are the expected ones, the clock is set and the recording will fit."""
    kernel, cpus = os.uname().release, os.sysconf("SC_NPROCESSORS_ONLN")
    if config["kernel"] and kernel != config["kernel"]:
        raise Failure("the kernel is {}, expected {}".format(kernel, config["kernel"]))
    if config["cpus"] and cpus != config["cpus"]:
        raise Failure("{} CPUs are online, expected {}".format(cpus, config["cpus"]))
    if time.time() < EARLIEST_CLOCK:
        raise Failure("the clock was never set: it shows {}".format(time.strftime("%Y-%m-%d", time.gmtime())))
    disk = os.statvfs(config["work_dir"])
    free_mb = disk.f_bavail * disk.f_frsize // (1 << 20)
    if free_mb < config["free_mb"]:
        raise Failure("{} MB free in {}, expected {}".format(free_mb, config["work_dir"], config["free_mb"]))


def kernel_settings(config: Dict[str, Any], action: str) -> List[Dict[str, Any]]:
    """Let the script for kernel settings `apply` or `read` them; return them. Raises Unfit where one cannot be set."""
    wanted = config["kernel_settings"]
    if not wanted and not os.path.exists(SETTINGS_STATE):
        return []
    outcome = run_beside("settings.py", action, json.dumps(wanted))
    if "error" in outcome and action == "apply":
        raise Unfit(outcome["error"])
    if len(outcome["settings"]) < len(wanted):
        raise Failure(outcome["error"])
    return list(outcome["settings"])


def check_perf(config: Dict[str, Any]) -> None:
    """Raise Failure unless perf runs on this kernel and may record the scheduler."""
    probe = os.path.join(config["work_dir"], "probe.data")
    try:
        call(["perf", "sched", "record", "-B", "-m", "512K", "-o", probe, "--", "true"], COMMAND_S)
        if not os.path.exists(probe) or os.path.getsize(probe) == 0:
            raise Failure("perf sched record left no recording")
    finally:
        if os.path.exists(probe):
            os.unlink(probe)


def check(config: Dict[str, Any]) -> None:
    """Check everything that can be checked before the recording. Raises Failure."""
    check_machine(config)
    announce(config, "check")
    kernel_settings(config, "apply")
    if is_traced(config):
        check_perf(config)
    require_programs(config)


# --- the result -------------------------------------------------------------------------------------------------------


def hashes(work_dir: str) -> Dict[str, str]:
    """Return the SHA-256 of every file that the host copies."""
    names = [name for name in PULLED if os.path.exists(os.path.join(work_dir, name))]
    text = call(["sh", "-c", 'cd "$0" && exec sha256sum -- "$@"', work_dir, *names], 600)
    return {name: digest for digest, name in (line.split() for line in text.splitlines())}


def scheduling_groups(before: Dict[str, Any], after: Dict[str, Any]) -> Dict[str, Any]:
    """Return the facts about tasks from those before the recording and those after it, which prevail for cgroups."""
    both = {"before": before, "after": after}
    left_out = {when: tasks["left_out"] for when, tasks in both.items()}
    return {
        "tasks": {when: tasks["tasks"] for when, tasks in both.items()},
        "cgroups": {**before["cgroups"], **after["cgroups"]},
        **({"tasks_left_out": left_out} if any(left_out.values()) else {}),
    }


def carry_out(config: Dict[str, Any], result: Dict[str, Any]) -> None:
    """Run all steps in order; `result["stage"]` is always the step that runs."""
    begun = time.monotonic()

    def step(name: str) -> None:
        result["stage"] = name
        result["stages"][name] = round(time.monotonic() - begun, 3)

    step("alone")
    result["ssh_connections_before"] = wait_until_alone(config["alone_s"])
    try:
        step("services")
        start_services(config)
        step("prepare")
        prepare_load(config)
        step("ready")
        require_ready(config)
        os.sync()
        announce(config, "prepared")
        step("perf" if is_traced(config) else "no tracer")
        with Recorder(config) as recorder:
            recorder.wait_until_set_up()
            step("load")
            start_load(config)
            load_started = time.monotonic()
            step("tasks")
            before = run_beside("tasks.py")
            step("warm-up")
            recorder.require_warm_up(load_started)
            step("record")
            result["recording"] = recorder.finish()
        result["loads"] = result["recording"].pop("loads")
        result["ssh_connections_after"] = result["recording"].pop("ssh_connections")
        stop_services(config)
    except BaseException:
        for stop in (stop_load, stop_services):
            with contextlib.suppress(Failure):  # report the first failure; the host stops them once more
                stop(config)
        raise
    step("collect")
    collect_output(config)
    groups = scheduling_groups(before, result["recording"].pop("tasks"))
    result["facts"] = {**run_beside("facts.py"), **groups}
    result["kernel_settings"] = kernel_settings(config, "read")
    step("hash")
    result["sha256"] = hashes(config["work_dir"])
    step("done")


def terminated(signum: int, frame: Any) -> None:
    """Handle SIGTERM: raise Stopped, so that the load is stopped as well."""
    raise Stopped(f"stopped from outside (signal {signum})")


def main(arguments: List[str], config: Dict[str, Any]) -> int:
    """Check, record, or both, as the arguments say; return the exit code, 0 on success."""
    signal.signal(signal.SIGTERM, terminated)
    result = {"schema": SCHEMA, "name": config["name"], "ok": False, "stage": "check", "stages": {}}
    result["boot_id"] = read(BOOT_ID)
    try:
        if arguments != ["record"]:
            check(config)
        if arguments != ["check"]:
            carry_out(config, result)
        result["ok"] = True
    except (Failure, Stopped) as error:
        result["error"], result["retryable"] = str(error), not isinstance(error, Unfit)
    except Exception as error:  # every failure must reach the host
        result["error"] = f"{type(error).__name__}: {error}"
    if arguments == ["check"]:
        print(json.dumps(result, sort_keys=True))
    else:
        write_atomic(os.path.join(config["work_dir"], "result.json"), json.dumps(result, indent=1, sort_keys=True))
        with contextlib.suppress(Failure):  # the unit writes it as well
            announce(config, "done", times=3)
    return 0 if result["ok"] else 1
