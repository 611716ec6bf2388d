"""A run as an object: its trials, its scores, its manifest."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api import html
from harness.api.opening import open_recording
from harness.api.trial import Trial
from harness.counted import counted
from harness.errors import HarnessError
from harness.report import load_rows
from harness.store import RunFolder, resolve
from harness.store.finished_steps import arm_of
from harness.store.integrity import MODELS, SHOWN

if TYPE_CHECKING:
    import pandas as pd

    from harness.spec import Experiment

NUMBERS = ("contested_share", "idle_share", "tracer_share", "host_share")  # of trial.json, in verdicts()
VERDICT = ("trial", "arm", "block", "usable", "failed", "switches")


class Run:
    """A run folder, made by `open_run`. It is read as it is now; a run under way is seen as far as it came.

    `os.fspath` gives its folder, so that a run goes wherever a path does: `model.evaluate("markov", run)`. The files of
    its trials are then those that it wrote: StoreError if one is not.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @property
    def path(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def name(self) -> str:
        """The name of the folder: the time, and the experiment."""
        return self.path.name

    @property
    def state(self) -> str:
        """running, interrupted, failed or done."""
        return self._folder.state

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The content of `manifest.json`: spec, versions, host, box, machine, steps and their SHA-256."""
        return self._folder.manifest

    @property
    def experiment(self) -> Experiment:
        """The experiment, with every value resolved. Raises SpecError where this version cannot read it."""
        return self._folder.experiment

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """The trials that were recorded, by name, also those that may not be used."""
        folders = sorted(path.parent for path in self.path.glob("trials/*/trial.json"))
        return tuple(trial for trial in map(open_recording, folders) if isinstance(trial, Trial))

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """The names of the arms, as the experiment lists them; those of its trials where it cannot be read."""
        from harness import plan

        recorded = sorted(self.manifest["steps"].items())
        names = [arm_of(step) for name, step in recorded if name.startswith("trial:")]
        with suppress(HarnessError):  # this version, or this host, cannot read it
            return tuple(dict.fromkeys([*(arm.name for arm in plan.arms(self.experiment)), *filter(None, names)]))
        return tuple(dict.fromkeys(filter(None, names)))

    @property
    def load(self) -> str | None:
        """The kind of the load, or the kinds where it is swept; None where the manifest does not tell."""
        return ", ".join(dict.fromkeys(map(load_rows.kind, self.arms))) or None

    @cached_property
    def models(self) -> tuple[Path, ...]:
        """The folders of the models that were trained; `model.load` opens one."""
        return tuple(sorted(path.parent for path in self.path.glob("models/*/config.json")))

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence for each file that is not as the run wrote it, and how much that matters.

        It reads `trial.json` and the files of models again; `harness verify` does so with all files.
        """
        return tuple(self._folder.check_files((*SHOWN, *MODELS)).sentences)

    def scores(self) -> pd.DataFrame:
        """Return a row for each predictor, its seeds together, best first within each arm and inputs.

        `contested_top1`, `top1` and so on are shares, bits or microseconds (docs/predictors.md); `_low` and `_high` are
        the ends of the 95 % interval over `interval_trials` trials; `best` marks what the report opens with. A model
        with a file that is not as the run wrote it is left out, and `problems` names it.
        """
        import pandas as pd

        from harness.report import score_rows

        return pd.DataFrame(score_rows.read(self._folder).rows, columns=[*score_rows.COLUMNS])

    def load_results(self) -> pd.DataFrame:
        """Return a row for each rate and latency of the load of each arm, over the arm's usable trials.

        `metric` is the key of `Trial.metrics`, such as `requests_per_s` or, of a mix, `web.latency_p99_ms`; `sd` is
        the standard deviation over the trials, `low` and `high` are the smallest and the largest value.
        """
        import pandas as pd

        return pd.DataFrame(load_rows.read(self.manifest), columns=[*load_rows.COLUMNS])

    def verdicts(self) -> pd.DataFrame:
        """Return a row for each trial: arm, block, whether it is usable, failed checks, and what was measured.

        Shares are between 0 and 1; the columns after them are the metrics of the load.
        """
        import pandas as pd

        verdicts = [_verdict(trial) for trial in self.trials]
        return pd.DataFrame(verdicts, columns=None if verdicts else [*VERDICT, *NUMBERS])

    def query(self, sql: str) -> pd.DataFrame:
        """Answer one SELECT over the tables of this run; `harness.open_runs(...).query` asks several at once.

        docs/query.md lists the tables. Raises QueryError for a wrong query, StoreError for a damaged file, HostError,
        and MissingExtraError without the extra `query`.
        """
        from harness.api.answer import answer

        return answer(sql, [self._folder])

    def predict(
        self,
        predictor: str | os.PathLike[str],
        recordings: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        *,
        arm: str | None = None,
        seed: int | None = None,
        share: float | None = None,
        across_clocks: bool = False,
        across_kernels: bool = False,
    ) -> pd.DataFrame:
        """Return what stored models predict: a row for each switch and model, beside what the kernel did.

        `predictor`: the name of one that the run trained (all its arms and seeds, unless `arm` or `seed` is given), of
        a model's folder, or the path of any stored model. Without `recordings`, each model of the run predicts the part
        of its trials that it was tested on and did not learn from, and another one all of the run's usable trials, or
        those of `arm`. `share`: predict the last share of each recording instead.

        The columns are those of `model.StoredModel.predict`, and `model`, `seed` and the `arm` of the trial. Where
        `learned` is true, the model learned from this recording, and is better than it would be elsewhere.

        Raises UsageError (no such model or recording), ModelError (the two do not fit together, such as clocks),
        StoreError (a file is not as the run wrote it), MissingExtraError.
        """
        from harness.api.prediction import Choice, predict

        across = {"across_clocks": across_clocks, "across_kernels": across_kernels}
        usable = [trial for trial in self.trials if trial.usable is not False]
        return predict(Choice(self._folder, usable, predictor, arm, seed), recordings, share, across)

    def __fspath__(self) -> str:
        for trial in self.trials:
            os.fspath(trial)
        return os.fspath(self.path)

    def __repr__(self) -> str:
        models = counted(len(self.models), "model")
        return f"Run({self.name!r}: {self.state}, {counted(len(self.trials), 'trial')}, {models})"

    @html.said
    def _repr_html_(self) -> str:
        box, question = self.manifest.get("box") or {}, self.manifest["spec"].get("question")
        machine = " ".join(str(box[key]) for key in ("name", "kernel") if box.get(key))
        known = {"question": question, "state": self.state, "box": machine, "models": len(self.models)}
        counts = [
            (arm, len(trials), sum(bool(trial.usable) for trial in trials))
            for arm in self.arms
            for trials in [[trial for trial in self.trials if trial.arm == arm]]
        ]
        return html.facts(f"Run {self.name}", known.items()) + html.table("", ("arm", "trials", "usable"), counts)


def open_run(path: str | os.PathLike[str] | None = None, runs_dir: str | os.PathLike[str] = "runs") -> Run:
    """Open a run by its folder, or by its name or the beginning of it below `runs_dir`; without one, the latest.

    Raises UsageError where there is no such run, StoreError where its manifest is damaged or of another schema.
    """
    found = resolve(Path(runs_dir), None if path is None else os.fspath(path))
    return Run(RunFolder.open(found))


def _verdict(trial: Trial) -> dict[str, Any]:
    return {
        "trial": trial.name,
        "arm": trial.arm,
        "block": trial.block,
        "usable": trial.usable,
        "failed": ", ".join(trial.failed_checks),
        "switches": trial.switches,
        **{name: trial.facts.get(name) for name in NUMBERS},
        **trial.metrics,
    }
