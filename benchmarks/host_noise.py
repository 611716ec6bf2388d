"""The same experiment on a quiet host and beside busy loops, for each of the guest's clocks.

    python benchmarks/host_noise.py                                    # about 12 minutes on two cores without KVM
    python benchmarks/host_noise.py --clock counted --loops 8 --seconds 50 --repeat 3

It runs `harness run experiments/nginx_ab.yaml --machine debian-12` twice for each clock. The loops begin with the first
recording and end with the last, so that they disturb no boot and no training. On the host's clock it raises
verdict.max_host_share to 1, because the recordings that it shows would be refused otherwise. It prints one table of
the runs, and one that says which metrics are equal within 1 %. Ctrl-C ends the loops and takes the machine down.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.comparison.repeat.measurement import Measurement, measure
from harness.comparison.repeat.repeated import EQUAL, RepeatComparison, compare_repeated
from harness.errors import HarnessError
from harness.store import RunFolder
from harness.store.finished_steps import usable_trials
from harness.store.trial_record import read_trial
from harness.terminal.repeated_tables import difference, noise
from model.scoring.seeds import summarise

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "nginx_ab.yaml"
HARNESS = [sys.executable, "-c", "from harness.cli import main; main()"]
# A loop ends by itself when this process is gone, even after SIGKILL.
LOOP = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    for _ in range(10**6): pass"
CLOCKS = ("counted", "host")


@dataclass
class BusyLoops:
    """Processes that each keep one CPU of the host busy, from `start` to `end`."""

    count: int
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        """Start them, unless they run."""
        while len(self._running) < self.count:
            self._running.append(subprocess.Popen([sys.executable, "-c", LOOP]))

    def end(self) -> None:
        """End them, each by its own process id."""
        for process in self._running:
            process.kill()
        while self._running:
            self._running.pop().wait()


def main() -> None:
    """Record, print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clock", action="append", choices=CLOCKS, help="may be given twice; default: both")
    parser.add_argument("--loops", type=int, default=4, help="busy loops beside the second run of each clock")
    parser.add_argument("--seconds", type=float, default=20.0, help="seconds recorded in each trial")
    parser.add_argument("--repeat", type=int, default=2, help="trials of each run")
    parser.add_argument("--predictors", nargs="+", default=["markov", "slice_markov", "lstm"])
    parser.add_argument("--epochs", type=int, default=20, help="epochs of an lstm")
    parser.add_argument("--runs", type=Path, help="where to keep the runs; default: a folder that is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="host-noise-") as scratch:
        try:
            pairs = {
                clock: record_pair(clock, arguments, arguments.runs or Path(scratch)) for clock in chosen(arguments)
            }
            for line in (*runs_table(pairs, arguments.loops), "", *verdict_table(pairs)):
                print(line)
        except HarnessError as error:
            parser.exit(1, f"{error}\n")
        except KeyboardInterrupt:
            parser.exit(130, "interrupted\n")


def chosen(arguments: argparse.Namespace) -> list[str]:
    """Return the clocks, each once."""
    return list(dict.fromkeys(arguments.clock or CLOCKS))


def record_pair(clock: str, arguments: argparse.Namespace, runs: Path) -> tuple[RunFolder, RunFolder]:
    """Record on the quiet host, then beside the loops."""
    settings = {
        "machine.clock": clock,
        "machine.accelerator": "tcg",
        "record.seconds": arguments.seconds,
        "trials.repeat": arguments.repeat,
        "trials.wait_for_calm_s": 0,
        "model.predictors": json.dumps(arguments.predictors),
        "model.seeds": "[0, 1]",
        "model.params": json.dumps({"lstm": {"max_epochs": arguments.epochs}}),
        **({"verdict.max_host_share": 1} if clock == "host" else {}),
    }
    return record(settings, runs, 0), record(settings, runs, arguments.loops)


def record(settings: dict[str, Any], runs: Path, loops: int) -> RunFolder:
    """Carry out one campaign, its progress on stderr; the loops run while it records."""
    options = [part for path, value in settings.items() for part in ("--set", f"{path}={value}")]
    command = [*HARNESS, "run", str(EXPERIMENT), "--machine", "debian-12", *options, "--runs", str(runs), "--json"]
    busy, before = BusyLoops(loops), set(runs.glob("*/manifest.json"))
    print(f"{settings['machine.clock']} clock, {loops} busy loops", file=sys.stderr, flush=True)
    process = subprocess.Popen(command, stdout=2, stderr=subprocess.PIPE, text=True)  # its answer is shown, too
    try:
        for event in events(process):
            follow(event, busy)
    except BaseException:
        process.terminate()
        raise
    finally:
        busy.end()
        finish(process)
    if process.returncode:
        raise HarnessError("the run failed", where=str(runs), hint="its own messages are above")
    (manifest,) = set(runs.glob("*/manifest.json")) - before
    return RunFolder.open(manifest.parent)


def events(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Yield what the campaign reports, one JSON object a line."""
    for line in process.stderr or ():
        with suppress(ValueError):
            yield json.loads(line)


def follow(event: dict[str, Any], busy: BusyLoops) -> None:
    """Start the loops with the first trial, end them with the machine; show each step."""
    step = str(event.get("step", ""))
    if event.get("event") == "step_started":
        print(f"  {event.get('title')}", file=sys.stderr, flush=True)
        if step.startswith("trial:"):
            busy.start()
        if step.startswith("down:"):
            busy.end()
    elif event.get("event") in ("message", "step_failed"):
        print(f"  {event.get('text') or event.get('error')}", file=sys.stderr, flush=True)


def finish(process: subprocess.Popen[str]) -> None:
    """Wait for a campaign, which takes its machine down before it ends."""
    while True:
        try:
            process.communicate()
            return
        except KeyboardInterrupt:  # a second Ctrl-C does not leave a machine behind
            continue


def runs_table(pairs: dict[str, tuple[RunFolder, RunFolder]], loops: int) -> Iterator[str]:
    """Yield one row for each run."""
    rows = [(clock, count, run) for clock, pair in pairs.items() for count, run in zip((0, loops), pair, strict=True)]
    predictors = list(dict.fromkeys(name for _, _, run in rows for name in accuracies(run)))
    headings = [
        "clock",
        "busy loops",
        "vCPU waited %",
        "requests/s",
        "switches/s",
        "contested %",
        "slice p50 / p90, us",
    ]
    headings += [f"{name}, % of contested" for name in predictors] + ["host s for guest s"]
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---' for _ in headings)} |"
    for clock, count, run in rows:
        known = accuracies(run)
        scores = [known.get(name, "-") for name in predictors]
        yield f"| {' | '.join([clock, str(count), *recorded(run), *scores, pace(run)])} |"


def recorded(run: RunFolder) -> list[str]:
    """Return the cells of a run's recordings, means over its trials."""
    known = {metric: measured for (_, metric), measured in measure(run).items()}
    waited = host_mean(run, "share")
    slices = " / ".join(_cell(known.get(name), 1e-3, ".0f") for name in ("slice p50", "slice p90"))
    return [
        "-" if waited is None else f"{100 * waited:.1f}",
        _cell(known.get("requests/s"), 1, ".1f"),
        _cell(known.get("switches/s"), 1, ".0f"),
        _cell(known.get("contested share"), 100, ".1f"),
        slices,
    ]


def _cell(measured: Measurement | None, factor: float, form: str) -> str:
    return "-" if measured is None else format(measured.mean * factor, form)


def accuracies(run: RunFolder) -> dict[str, str]:
    """Return each predictor's accuracy at contested switches, mean of the seeds, with its 95 % interval."""
    folders = sorted(path.parent for path in run.path.glob("models/*/scores.json"))
    tables = summarise([json.loads((folder / "scores.json").read_text()) for folder in folders], folders)
    cells = {}
    for table in tables:
        contested = table["contested"]
        if contested.get("top1") is not None:
            ends = [f"{100 * end:.1f}" for end in contested.get("top1_ci") or ()]
            cells[table["predictor"]] = f"{100 * contested['top1']:.1f}" + (f" ({' to '.join(ends)})" if ends else "")
    return cells


def pace(run: RunFolder) -> str:
    """Return the seconds that the host took for a recording, and how many they were in the guest."""
    host, guest = host_mean(run, "seconds"), host_mean(run, "guest_seconds")
    return "-" if host is None or guest is None else f"{host:.1f} / {guest:.1f}"


def host_mean(run: RunFolder, name: str) -> float | None:
    """Return the mean over trials of one number about the host; None where a trial lacks it."""
    trials = [read_trial(run.trial_dir(trial)) for names in usable_trials(run.manifest).values() for trial in names]
    values = [(trial.get("host") or {}).get(name) for trial in trials]
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None


def verdict_table(pairs: dict[str, tuple[RunFolder, RunFolder]]) -> Iterator[str]:
    """Yield how far the run beside the loops is from the quiet one, metric by metric, and a sentence for each clock."""
    found = {clock: compare_repeated(*pair) for clock, pair in pairs.items()}
    yield f"| metric | {' | '.join(f'{clock}: difference | noise | within 1 %' for clock in found)} |"
    yield f"| --- |{' --- | --- | --- |' * len(found)}"
    for metric in dict.fromkeys(row.metric for comparison in found.values() for row in comparison.metrics):
        cells = [cell for comparison in found.values() for cell in verdict(comparison, metric)]
        yield f"| {metric} | {' | '.join(cells)} |"
    yield ""
    for clock, comparison in found.items():
        yield f"{clock} clock, quiet against busy: {comparison.conclusion}."


def verdict(comparison: RepeatComparison, metric: str) -> Sequence[str]:
    """Return the cells of one metric: the difference, the noise, and whether it is within 1 % or at least the noise."""
    row = next((row for row in comparison.metrics if row.metric == metric), None)
    if row is None:
        return "-", "-", "-"
    within = abs(row.difference) <= row.margin
    text = "yes" if within else "no, but within the noise" if row.outcome == EQUAL else "no"
    return difference(row), noise(row), text


if __name__ == "__main__":
    main()
