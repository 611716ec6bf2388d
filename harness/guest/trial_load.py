"""Runs inside the guest: prepares, starts and stops what keeps the CPU busy. Python 3.6, standard library only.

A load has one or several parts, which run at once. Each has a unit of systemd and a work folder of its own, in which
its files lie and its commands run. The servers of all parts are services, which run for this trial only.
"""
# ruff: noqa: UP006, UP035  (these rules ask for syntax that Python 3.6 does not have)

import os
import shlex
import shutil
import time
from typing import Any, Dict, List

from .trial_command import COMMAND_S, Failure, Missing, call, read, shlex_join, write_atomic

READY_S = 60  # for a load whose server starts: a Python server takes 12 on an emulated CPU that does not wait
MOST_OUTPUT = 1500  # characters of what a command printed, in an error
STATES = ("ActiveState", "SubState", "Result", "ExecMainStatus", "ExecMainCode")  # systemd's properties of a unit


def require_programs(config: Dict[str, Any]) -> None:
    """Raise Missing for a program that is not installed; one in the part's own folder may come to be there."""
    for part in config["parts"]:
        for argv in (part["command"], part["prepare"], part["ready"]):
            if argv and "/" not in argv[0] and not shutil.which(argv[0]):
                raise Missing(f"{argv[0]}: no such program on this machine")


def start_services(config: Dict[str, Any]) -> None:
    """Start the servers afresh; their names are written down first, for a later trial to stop what this one left."""
    services = config["services"]
    if not services:
        return
    write_atomic(config["services_file"], "\n".join(services) + "\n")
    for service in services:
        try:
            call(["systemctl", "restart", service], COMMAND_S)
        except Failure as error:
            journal = call(["journalctl", "--no-pager", "-n", "10", "-u", service], COMMAND_S, check=False)
            raise Failure(f"the service {service} did not start: {error}\n{journal[-MOST_OUTPUT:]}") from None


def stop_services(config: Dict[str, Any]) -> None:
    """Stop the servers of this trial."""
    if config["services"]:
        call(["systemctl", "stop", *config["services"]], COMMAND_S, check=False)


def prepare_load(config: Dict[str, Any]) -> None:
    """Write the files of each part and run what prepares it, one part after the other. Raises Failure."""
    for part in config["parts"]:
        os.makedirs(part["folder"], exist_ok=True)
        for name, text in part["files"].items():
            write_atomic(os.path.join(part["folder"], name), text)
        if part["prepare"]:
            prepare_part(part, config["prepare_s"])


def prepare_part(part: Dict[str, Any], limit_s: float) -> None:
    """Run what prepares a part as a unit, so that nothing of it outlives its limit. Raises Failure."""
    unit, output = prepare_unit(part), part["folder"] + "-prepare.txt"
    options = ["--wait", f"--property=RuntimeMaxSec={limit_s:g}"]
    try:
        run_unit(unit, part, part["prepare"], output, options, limit_s + COMMAND_S)
    except Failure:
        late = unit_states([unit])[0].get("Result") == "timeout"
        why = f"was not done within {limit_s:g} s" if late else "failed"
        raise Failure("`{}` {}: {}".format(shlex_join(part["prepare"]), why, last_output(output))) from None


def prepare_unit(part: Dict[str, Any]) -> str:
    """Return the unit that prepares a part."""
    return part["unit"].replace(".service", "-prepare.service")


def require_ready(config: Dict[str, Any]) -> None:
    """Raise Failure unless each part can start, for example because its server answers; retry for READY_S."""
    for part in config["parts"]:
        until = time.monotonic() + READY_S
        while part["ready"]:
            try:
                call(part["ready"], READY_S, folder=part["folder"])
                break
            except Failure as error:
                if isinstance(error, Missing) or time.monotonic() > until:
                    raise
                time.sleep(1)


def start_load(config: Dict[str, Any]) -> None:
    """Start each part as a unit, which its signal stops and whose running time is limited."""
    for part in config["parts"]:
        options = [
            "--property=KillSignal=" + part["stop_signal"],
            # Programs that stop their workers themselves need the signal alone.
            "--property=KillMode=" + ("control-group" if part["stops_all"] else "mixed"),
            "--property=TimeoutStopSec=30",
            "--property=RuntimeMaxSec={}".format(int(config["longest_s"])),
        ]
        run_unit(part["unit"], part, part["command"], output_of(part), options, COMMAND_S)


def run_unit(unit: str, part: Dict[str, Any], argv: List[str], output: str, options: List[str], limit_s: float) -> None:
    """Run a command as a unit of systemd, in its part's folder; a file takes what it prints. Raises Failure."""
    launcher = output[: -len(".txt")] + ".sh"
    write_atomic(launcher, f"#!/bin/sh\nexec {shlex_join(argv)} >{shlex.quote(output)} 2>&1\n")
    where = ["--property=WorkingDirectory=" + part["folder"], "--setenv=HOME=" + part["folder"]]
    unit_options = ["--quiet", "--unit=" + unit, *options, *where, "--setenv=LC_ALL=C.UTF-8"]
    call(["systemd-run", *unit_options, "/bin/sh", launcher], limit_s)


def load_states(config: Dict[str, Any]) -> Dict[str, Dict[str, str]]:
    """Return the state of each part's unit and of each service, by systemd's property names."""
    names = [*(part["name"] for part in config["parts"]), *config["services"]]
    units = [*(part["unit"] for part in config["parts"]), *config["services"]]
    return dict(zip(names, unit_states(units)))  # noqa: B905


def unit_states(units: List[str]) -> List[Dict[str, str]]:
    """Return the state of each unit; systemctl separates them by empty lines."""
    text = call(["systemctl", "show", "--property=" + ",".join(STATES), *units], COMMAND_S, check=False)
    states = [dict(line.split("=", 1) for line in block.splitlines() if "=" in line) for block in text.split("\n\n")]
    return states + [{}] * (len(units) - len(states))


def require_load(config: Dict[str, Any], when: str) -> None:
    """Raise Failure, with its output, unless each part runs; `when` ends the sentence of the error."""
    states = load_states(config)
    for part in config["parts"]:
        state = states[part["name"]]
        if state.get("ActiveState") != "active":
            status, output = state.get("ExecMainStatus", "?"), last_output(output_of(part))
            raise Failure("the load {} had ended {} (exit status {}): {}".format(part["name"], when, status, output))


def stop_load(config: Dict[str, Any]) -> None:
    """Stop all parts at once and remove their units; do nothing where there is none."""
    units = [part["unit"] for part in config["parts"]]
    units += [prepare_unit(part) for part in config["parts"] if part["prepare"]]
    call(["systemctl", "stop", *units], COMMAND_S, check=False)
    call(["systemctl", "reset-failed", *units], COMMAND_S, check=False)


def output_of(part: Dict[str, Any]) -> str:
    """Return the file that takes what a part prints, beside its folder, in which only its own files are."""
    return part["folder"] + ".txt"


def last_output(path: str) -> str:
    """Return the end of what a command printed."""
    return (read(path) or "it printed nothing")[-MOST_OUTPUT:]


def collect_output(config: Dict[str, Any]) -> None:
    """Write what the parts printed to one load.txt; each of several after a line with its name."""
    with open(os.path.join(config["work_dir"], "load.txt"), "wb") as collected:
        for part in config["parts"]:
            if len(config["parts"]) > 1:
                collected.write("==> {} <==\n".format(part["name"]).encode("utf-8"))
            with open(output_of(part), "rb") as output:
                shutil.copyfileobj(output, collected)
            if len(config["parts"]) > 1:
                collected.write(b"\n")  # the last line may be incomplete
