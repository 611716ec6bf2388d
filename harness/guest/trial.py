"""The host's side of one trial: send the guest script, start it, wait until it is done, copy its files back.

No SSH connection is open while the scheduler is recorded: the script (`trial_script.py`) runs as a systemd unit of the
guest, and the host watches the guest's serial console (`phases.py`) until the script has written that it is done.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from harness.errors import (
    DeadlineError,
    GuestError,
    HarnessError,
    HostError,
    LostMachineError,
    RemoteError,
    TransientError,
    TrialError,
)
from harness.files import write_atomic
from harness.guest import result as guest_result
from harness.guest.monitor import Monitor
from harness.guest.phases import OnPhase, Phases
from harness.guest.remote import Host, Result
from harness.guest.trial_config import (
    GUEST_ROOT,
    SERVICES_FILE,
    PlannedTrial,
    is_traced,
    phase_limits,
    render,
    script_config,
    timing_of,
)
from harness.guest.trial_progress import TrialProgress
from harness.loads import Load
from harness.loads.base import Metrics, Timing
from harness.progress import Watcher
from harness.visible import visible_lines

FOLDER = Path(__file__).parent
SCRIPTS = "scripts"  # the package beside trial.py, in the guest and in the trial's folder
SENT_ALONG = {  # name of a module in that package -> file here
    "trial_script.py": FOLDER / "trial_script.py",
    "trial_load.py": FOLDER / "trial_load.py",
    "trial_recording.py": FOLDER / "trial_recording.py",
    "trial_console.py": FOLDER / "trial_console.py",
    "trial_command.py": FOLDER / "trial_command.py",
    "facts.py": FOLDER / "trial_facts.py",
    "tasks.py": FOLDER / "trial_tasks.py",
    "settings.py": FOLDER / "kernel_settings.py",
}
MOST_MB_PER_CPU_SECOND = 64  # no guest makes as many events; a larger recording is not copied
MOST_TEXT_BYTES = 4 << 20  # of load.txt and perf.log
TEXT_BYTES_PER_SECOND = 1 << 20  # further ones; on a fast machine redis-benchmark reports some 200 kB a second
MAGIC, HEADER_BYTES = b"PERFILE2", 104  # of a recording in a file, as perf.data-file-format.txt of the kernel has it
FEATURES_AT, COMPRESSED = 72, 27  # where the header has its features, and the number of `perf record -z`
PULLED = ("perf.data", "load.txt", "perf.log")
PULLED_UNTRACED = ("load.txt",)
MOST_ERROR = 4000  # characters of the guest's own reason
RESULT_TRIES = 3  # connections that are lost while the result is read


@dataclass(frozen=True)
class TrialFiles:
    """The files of a trial, the guest's result (also in `guest_json`), and what the load measured.

    `perf_data`: None of a trial without a tracer. `seconds`: how long the trial took; None where another process began
    it.
    """

    perf_data: Path | None
    load_txt: Path
    guest_json: Path
    guest: dict[str, Any]
    metrics: Metrics
    seconds: float | None


def run(
    host: Host,
    trial: PlannedTrial,
    out_dir: Path,
    watcher: Watcher,
    *,
    expected: Mapping[str, Any],
    monitor: Monitor,
    on_phase: OnPhase = lambda phase, late_s: None,
    attempt: int = 1,
) -> TrialFiles:
    """Carry the trial out on `host` and leave perf.data, load.txt, perf.log and guest.json in `out_dir`.

    Without a tracer it leaves load.txt and guest.json.
    The files appear only when all of them arrived complete, guest.json last; the script, trial.py, is written there
    before it is sent, and beside it the package `scripts`, which it runs. `on_phase` is called as `Phases.follow` does.
    Raises GuestError when a step failed on the guest, LostMachineError when the machine ended or stands still,
    TrialError when the guest gives no result, RemoteError when it cannot be reached. When interrupted, it stops what it
    started on the guest.
    """
    started, config = time.monotonic(), script_config(trial, expected, attempt)
    if host.vigil is not None:
        host.vigil.tell = watcher.warn
    phases = Phases(monitor, config["label"], host.where, pace=host.clock, vigil=host.vigil)
    with stopped_on_error(host, phases, out_dir):
        _prepare(host, config, out_dir, watcher)
        phases.require_check()
        _start(host, config)
        guest = collect(host, config, trial.load, phases, out_dir, watcher, on_phase)
    return files_in(out_dir, guest, time.monotonic() - started)


def collect(
    host: Host,
    config: Mapping[str, Any],
    load: Load,
    phases: Phases,
    out_dir: Path,
    watcher: Watcher,
    on_phase: OnPhase,
) -> dict[str, Any]:
    """Wait until a started script is done, copy its files, remove them from the guest; return the guest's result.

    Raises what `run` does.
    """
    progress = TrialProgress(watcher, config["warmup_s"], config["seconds"], is_traced(config))
    late = phases.follow(phase_limits(config), on_phase, progress)
    guest = _result(host, config, late, watcher)
    _pull(host, config, guest, load, out_dir, watcher)
    with suppress(RemoteError, LostMachineError):  # the next trial removes it as well; a machine may end now
        host.run(f"rm -rf -- {shlex.quote(config['work_dir'])}", timeout_s=60, sudo=True)
    host.close()
    return guest


@contextmanager
def stopped_on_error(host: Host, phases: Phases, out_dir: Path) -> Iterator[None]:
    """After an error, keep the console, stop what the trial started on a guest that still runs, and disconnect."""
    try:
        yield
    except BaseException as error:
        if phases.text and isinstance(error, TrialError):
            error.log = _keep_console(phases.text, out_dir)
        if not phases.guest_ended and not isinstance(error, LostMachineError):
            _stop(host)
        host.close()
        raise


def files_in(out_dir: Path, guest: dict[str, Any], seconds: float | None) -> TrialFiles:
    """Return the files that a trial left in `out_dir`."""
    data = out_dir / "perf.data" if "perf.data" in guest["sha256"] else None
    return TrialFiles(data, out_dir / "load.txt", out_dir / "guest.json", guest, guest["metrics"], seconds)


def _prepare(host: Host, config: Mapping[str, Any], out_dir: Path, watcher: Watcher) -> None:
    """Remove earlier trials from the guest, upload the scripts, run the checks, and disconnect."""
    watcher.note("upload and checks on the guest")
    folder, scripts = shlex.quote(config["work_dir"]), shlex.quote(f"{config['work_dir']}/{SCRIPTS}")
    (out_dir / SCRIPTS).mkdir(parents=True, exist_ok=True)
    (out_dir / "trial.py").write_text(render(config), encoding="utf-8")
    for name, path in SENT_ALONG.items():
        (out_dir / SCRIPTS / name).write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    # The network's start at boot leaves this service behind, which would end itself in the middle of the recording.
    calm = "systemctl stop systemd-hostnamed.service 2>/dev/null"
    make = f"install -d -o {shlex.quote(host.user)} {GUEST_ROOT} {folder} {scripts}"
    host.run(f"{stop_command()}; {calm}; rm -rf {GUEST_ROOT}; {make}", timeout_s=240, sudo=True)
    host.put(out_dir / "trial.py", f"{config['work_dir']}/trial.py", 60)
    for name in SENT_ALONG:
        host.put(out_dir / SCRIPTS / name, f"{config['work_dir']}/{SCRIPTS}/{name}", 60)
    checked = host.run(f"python3 {folder}/trial.py check", timeout_s=300, sudo=True, check=False)
    last_line = checked.stdout.strip().rpartition("\n")[2]  # perf may print something before
    _require_ok(_parse(last_line, checked.stderr, host), host)


def _start(host: Host, config: Mapping[str, Any]) -> None:
    """Start the script as a systemd unit, and close the connection.

    A shell around it, which SIGTERM does not end, writes `done` as well: also when the script was killed.
    """
    script = shlex.quote(f"{config['work_dir']}/trial.py")
    done = f"printf '\\nharness-trial %s done\\n' {shlex.quote(config['label'])} >{config['console']}"
    command = f"trap '' TERM; python3 {script} record; {done}"
    unit = f"--unit={shlex.quote(config['unit'])} --property=TimeoutStopSec=90 --property=Nice=-10"
    host.run(f"systemd-run --quiet {unit} /bin/sh -c {shlex.quote(command)}", timeout_s=60, sudo=True)
    host.close()


def _result(host: Host, config: Mapping[str, Any], late: str | None, watcher: Watcher) -> dict[str, Any]:
    """Return the guest's result.json. `late`: why it is looked for although the guest did not write `done`.

    Raises TrialError when there is none.
    """
    watcher.note("reading the result")
    path, unit = shlex.quote(f"{config['work_dir']}/result.json"), shlex.quote(config["unit"])
    command = f"cat {path} 2>/dev/null || {{ systemctl is-active --quiet {unit} && exit 75; cat {path}; }}"
    answer = _run_again_if_lost(host, command, late)
    if answer.exit_code == 75:
        raise TrialError(late or "the guest wrote `done` without a result", where=host.where)
    if answer.exit_code != 0:
        raise _no_result(host, config, late)
    result = _parse(answer.stdout, answer.stderr, host)
    _require_ok(result, host)
    return guest_result.trial_result(result, host.where)


def _run_again_if_lost(host: Host, command: str, late: str | None) -> Result:
    """Run a command, a few times if the connection is lost; once if the guest is late. Raises TrialError."""
    lost = (TransientError, DeadlineError)
    tries = stop_after_attempt(1 if late else RESULT_TRIES)
    try:
        return Retrying(retry=retry_if_exception_type(lost), stop=tries, reraise=True)(
            host.run, command, timeout_s=60, check=False
        )
    except lost as error:
        what = f"{late}\n{error.what}" if late else f"the result cannot be read: {error.what}"
        raise TrialError(what, where=host.where, hint="see whether the machine is still up") from error


def _keep_console(text: str, out_dir: Path) -> str | None:
    """Write the console's output beside the files of the trial, for whoever asks why it failed; return its path.

    Return None if it cannot be written: this must not hide the error that led here.
    """
    path = out_dir / "console.log"
    with suppress(HostError, OSError):
        out_dir.mkdir(parents=True, exist_ok=True)
        write_atomic(path, visible_lines(text.replace("\r", "")))  # for whoever prints it on a terminal
        return str(path)
    return None


def _pull(
    host: Host, config: Mapping[str, Any], guest: dict[str, Any], load: Load, out_dir: Path, watcher: Watcher
) -> None:
    """Copy the files, compare each with the guest's hash of it, then rename them all.

    Add to the guest's result, under `metrics`, what the load measured.
    """
    watcher.note("copying the recording")
    pulled = {name: out_dir / f"{name}.pulled" for name in (PULLED if is_traced(config) else PULLED_UNTRACED)}
    if extra := guest["sha256"].keys() - pulled.keys():
        raise TrialError(f"the guest has {', '.join(sorted(extra))} of a trial without a tracer", where=host.where)
    try:
        for name, path in pulled.items():
            remote, most = f"{config['work_dir']}/{name}", most_bytes(config, name)
            digest = host.get(remote, path, 600, watcher.advance, hashed=True, most_bytes=most)
            if digest != guest["sha256"].get(name):
                raise TrialError(f"{name} changed after it was recorded", where=host.where, expected="the same SHA-256")
        if is_traced(config):
            _require_recording(pulled["perf.data"], host)
        guest["metrics"] = _metrics(load, timing_of(config), pulled["load.txt"], host)
        for name, path in pulled.items():
            path.replace(out_dir / name)
    finally:
        for path in pulled.values():
            path.unlink(missing_ok=True)
    write_atomic(out_dir / "guest.json", json.dumps(guest, indent=1, sort_keys=True) + "\n")


def most_bytes(config: Mapping[str, Any], name: str) -> int:
    """Return how many bytes a file of the guest may have."""
    if name != "perf.data":
        return MOST_TEXT_BYTES + int(TEXT_BYTES_PER_SECOND * (config["warmup_s"] + config["seconds"]))
    return int(256 + MOST_MB_PER_CPU_SECOND * config["seconds"] * (config["cpus"] or 1)) << 20


def _require_recording(path: Path, host: Host) -> None:
    """Raise TrialError for a file that the guest script cannot have recorded, such as one that unpacks to anything."""
    with path.open("rb") as recording:
        head = recording.read(HEADER_BYTES)
    features = int.from_bytes(head[FEATURES_AT:], "little")
    size = int.from_bytes(head[len(MAGIC) :][:8], "little")
    if not (head.startswith(MAGIC) and size == len(head) == HEADER_BYTES and features) or features >> COMPRESSED & 1:
        raise TrialError("perf.data is no recording that perf finished and left as it is", where=host.where)


def _metrics(load: Load, timing: Timing, output: Path, host: Host) -> Metrics:
    """Return what the load measured, by its output. Raises TrialError for what it cannot have printed."""
    text = output.read_text(encoding="utf-8", errors="replace")
    try:
        measured = load.parse(text, timing)
    except Exception as error:  # such as a number of thousands of digits; a load may be anybody's
        what = f"the load {load.kind} cannot read its load.txt: {type(error).__name__}: {error}"
        raise TrialError(what, where=host.where) from error
    return guest_result.metrics(measured, f"{host.where}: load.txt")


def stop_command(services_file: str = SERVICES_FILE) -> str:
    """Return what stops a trial and its load, and then the services that it started, also those of a dead trial."""
    units = "'harness-trial-*' 'harness-load-*'"
    services = f"[ ! -s {services_file} ] || systemctl stop $(cat {services_file}); rm -f {services_file}"
    return f"systemctl stop {units}; systemctl reset-failed {units} 2>/dev/null; {services}; true"


def _stop(host: Host) -> None:
    """Stop the trial's units if the guest still answers; an error here must not hide the one that led here."""
    with suppress(HarnessError):
        host.close()
        host.run(stop_command(), timeout_s=15, sudo=True)
    host.close()


def _require_ok(value: Any, host: Host) -> None:
    """Raise GuestError, with the reason, for a trial that failed on the guest; TrialError for no answer at all."""
    answer = guest_result.answer(value, host.where)
    if not answer.ok:
        more = "if the load had finished, give it more to do, such as load.requests"
        what, hint = f"{answer.stage}: {answer.error}", more if answer.stage == "warm-up" else None
        raise GuestError(what[:MOST_ERROR], where=host.where, hint=hint, retryable=answer.retryable)


def _no_result(host: Host, config: Mapping[str, Any], late: str | None) -> TrialError:
    """Return the error for a unit that ended without a result: it was killed, or the machine restarted."""
    journal = ""
    with suppress(RemoteError):
        unit = shlex.quote(config["unit"])
        journal = host.run(f"journalctl --no-pager -n 20 -u {unit}", timeout_s=30, sudo=True, check=False).stdout
    ending = f":\n{journal.strip()[-1500:]}" if journal.strip() else "; its journal is empty"
    waited = f"\n{late}" if late else ""
    return TrialError(f"the guest script ended without a result{ending}{waited}", where=host.where)


def _parse(stdout: str, stderr: str, host: Host) -> Any:
    if not stdout.lstrip().startswith("{"):
        output = (stderr.strip() or stdout.strip() or "it printed nothing")[-1500:]
        raise TrialError(f"the guest script did not print JSON: {output}", where=host.where)
    return guest_result.parse(stdout, host.where)
