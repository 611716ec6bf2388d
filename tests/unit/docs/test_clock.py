"""docs/clock.md: every limit that it names is the one in the code, and it names every limit."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from locations import ROOT

from harness import doctor, plan, spec
from harness.boxes import builder, cache
from harness.guest import left_recording, phases, provision, remote, trial, trial_config, vigil
from harness.machines import disk, kvm, libvirt, pace, vagrant, vagrant_cli, virtualbox

SECTION = (ROOT / "docs" / "clock.md").read_text("utf-8").split("\n## Limits\n", 1)[1].split("\n## ", 1)[0]
TIMES = {0: "", 1: "the {}", 2: "twice the {}"}


def rows(head: str) -> dict[str, Sequence[str]]:
    """Return the first cell of each row -> the others, of the table whose head begins so."""
    table = SECTION.split(f"| {head} |", 1)[1].split("\n\n", 1)[0]
    cells = [[cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()[2:]]
    return {first: others for first, *others in cells}


def spell(seconds: float) -> str:
    """Return a limit as the page writes it: `60 s`, `7.5 min`, `4 h`."""
    unit, length = ("s", 1) if seconds < 120 else ("min", 60) if seconds < 7200 else ("h", 3600)
    return f"{seconds / length:g} {unit}"


def boots(more_s: float) -> str:
    with_kvm, emulated = (spell(vagrant.BOOT_LIMIT_S[kind] + more_s) for kind in ("kvm", "tcg"))
    return f"{with_kvm} with KVM, {emulated} emulated"


def phase_limits(warmup_s: float, seconds: float) -> dict[str, float]:
    experiment = spec.load(ROOT / "experiments" / "smoke.yaml")
    changed = spec.apply(experiment, {"record.warmup_s": warmup_s, "record.seconds": seconds})
    planned = plan.trials(changed)[0]
    return trial_config.phase_limits(
        trial_config.script_config(planned, trial_config.expectations(planned, None, None))
    )


def spell_phase(phase: str) -> str:
    """Return the limit of a phase as the page writes it, such as `twice the recording and 4 min`."""
    limit = phase_limits(10, 10)[phase]
    warm_ups, recordings = ((phase_limits(*more)[phase] - limit) / 10 for more in ((20, 10), (10, 20)))
    parts = [TIMES[warm_ups].format("warm-up"), TIMES[recordings].format("recording")]
    return f"{', '.join(filter(None, parts))} and {spell(limit - 10 * warm_ups - 10 * recordings)}"


def test_what_the_guest_does_has_the_limits_of_the_page() -> None:
    table = rows("what the guest does")
    assert {what: limit for what, (limit, _) in table.items()} == {
        "`vagrant up`, which boots the machine": boots(vagrant.START_LIMIT_S),
        "the same with a ready-made box, which is downloaded": boots(vagrant.DOWNLOAD_LIMIT_S),
        "then, until its console says that SSH is up, and until it has an address": boots(0).replace(
            "min with", "min each with"
        ),
        "the boot that shows whether KVM works": (
            f"{spell(kvm.LIMIT_S)}, and {spell(kvm.QUIET_S)} without a line on the console"
        ),
        "connecting over SSH": spell(remote.CONNECT_LIMIT_S),
        "a command or a copy over SSH": "its own, 15 s to 10 min",  # next test
        "the whole run of Ansible": spell(provision.LIMIT_S),
        "shutting down, before its disk is kept": spell(disk.SHUTDOWN_LIMIT_S),
        "starting and preparing the load": (
            f"{spell(trial_config.START_LIMIT_S)} for each service and each part,"
            f" {spell(trial_config.PREPARE_S)} for each part that is prepared,"
            f" and {spell(trial_config.ALONE_S + trial_config.START_LIMIT_S)}"
        ),
        "starting perf and the load, warming up": spell_phase("recording"),
        "the recording": spell_phase("recorded"),
        "writing perf.data, hashing it": spell_phase("done"),
        "standing still: its clock does not move": spell(phases.STALL_S),
    }
    of_its_clock = [what for what, (_, time_of) in table.items() if time_of == "the guest's clock"]
    assert len(of_its_clock) == len(phase_limits(10, 10))
    assert {time_of for _, time_of in table.values()} == {"the guest's clock", "the pace"}
    assert f"at least {pace.SLOWEST:.0%}".replace("%", " %") in SECTION


@pytest.mark.parametrize("module", [left_recording, trial, vagrant, disk, provision])
def test_the_limits_of_single_commands_over_ssh_are_those_of_the_page(module: ModuleType) -> None:
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    calls = [call for call in ast.walk(tree) if isinstance(call, ast.Call) and "host." in ast.unparse(call)]
    named = [key.value for call in calls for key in call.keywords if key.arg == "timeout_s"]
    third = [call.args[2] for call in calls if getattr(call.func, "attr", "") in ("put", "get")]
    limits = [eval(ast.unparse(limit), vars(module)) for limit in named + third]
    assert limits
    assert all(15 <= limit <= 600 for limit in limits)


def test_what_the_host_does_has_the_limits_of_the_page() -> None:
    assert {what: limit for what, (limit, _) in rows("what is done on the host").items()} == {
        "building a box": (
            f"{spell(builder.QUIET_LIMIT_S)} without a line from mmdebstrap, {spell(builder.BUILD_LIMIT_S)} in all"
        ),
        "compressing its disk": spell(builder.CONVERT_LIMIT_S),
        "`vagrant` without a boot: box add, ssh-config, destroy": spell(vagrant_cli.QUICK_S),
        "copying a box into libvirt's pool, each file": spell(libvirt.UPLOAD_LIMIT_S),
        "copying a machine's disk out of the pool": spell(disk.DOWNLOAD_LIMIT_S),
        "compressing that disk": spell(disk.FLATTEN_LIMIT_S),
        "any other call of virsh or VBoxManage": spell(max(libvirt.LIMIT_S, virtualbox.LIMIT_S)),
        "whether a machine still runs, each time; a paused one, to be resumed": (
            f"{spell(max(libvirt.ASK_LIMIT_S, virtualbox.ASK_LIMIT_S))}; {spell(vigil.PATIENCE_S)}"
        ),
        "libvirtd that starts again, while a machine is taken down": spell(libvirt.RESTART_S),
        "whether libvirt answers; `vagrant plugin list`, for `harness doctor`": (
            f"{spell(libvirt.CHECK_LIMIT_S)}; {spell(doctor.LIMIT_S)}"
        ),
        "waiting for another process that works on the same box": spell(cache.LOCK_LIMIT_S),
        "ssh-keygen, `qemu-img rebase`, removing the folder of a build": "30 s to 2 min",
        "the first line of a trial on the guest's console": spell(phases.CHECK_LIMIT_S),
        "Ansible's ssh: to connect, without any answer": (
            f"{spell(provision.CONNECT_S)}, {spell(provision.ALIVE_S * provision.ALIVE_COUNT)}"
        ),
    }


def test_no_limit_in_the_code_is_missing_from_the_page() -> None:
    shown = Path(__file__).read_text("utf-8")
    over_ssh = {"left_recording.ASK_LIMIT_S", "vagrant.CHECK_LIMIT_S", "disk.SEAL_LIMIT_S"}
    inside_others = over_ssh | {"trial_config.START_LIMIT_S", "trial_config.FINISH_LIMIT_S"}
    no_limits_of_the_host = {"trial_facts.LIMIT_S", "machine_settings.NO_LIMIT_S"}
    for folder in ("boxes", "guest", "machines"):
        for path in (ROOT / "harness" / folder).glob("*.py"):
            for name in re.findall(r"^(?:[A-Z]+_)?LIMIT_S\b", path.read_text("utf-8"), re.MULTILINE):
                limit = f"{path.stem}.{name}"
                known = limit in inside_others | no_limits_of_the_host or limit in shown
                assert known, f"docs/clock.md lacks {limit}"
