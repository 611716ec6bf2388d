"""The scores of a run as plain rows, one for each predictor: for lists of runs, for programs, and as a data frame."""

from __future__ import annotations

from typing import Any, NamedTuple

from harness.report.baseline_comparison import compare_to_baselines, headline
from harness.report.model_scores import read_models
from harness.report.seed_groups import SeedGroup, group_seeds, with_online
from harness.store import Integrity, RunFolder
from harness.store.integrity import SCORES

ESTIMATES = {  # column -> part of the switches and metric; the ends of its 95 % interval are in _low and _high
    "contested_top1": ("contested", "top1"),
    "contested_above_chance": ("contested", "above_chance"),
    "top1": ("overall", "top1"),
    "top3": ("overall", "top3"),
    "bits_per_switch": ("overall", "bits_per_switch"),
    "time_bits": ("overall", "time_bits"),
    "time_mae_us": ("overall", "time_mae_us"),
    "joint_bits": ("overall", "joint_bits"),
}
COLUMNS = (  # of every row, in this order
    *("arm", "predictor", "inputs", "mark", "seeds", "best", "baseline"),
    *(f"{column}{end}" for column in ESTIMATES for end in ("", "_low", "_high")),
    *("chance_top1", "against_chance", "interval_trials", "scored_trials", "test_events"),
    *("parameters", "fit_seconds", "clock"),
)


class RunScores(NamedTuple):
    """The rows, and a sentence for each model whose scores cannot be read."""

    rows: list[dict[str, Any]]
    problems: list[str]
    several_arms: bool = False

    @property
    def best(self) -> dict[str, Any] | None:
        """The row that the run's report opens with; None where nothing was scored."""
        return next((row for row in self.rows if row["best"]), None)


def read(folder: RunFolder, integrity: Integrity | None = None) -> RunScores:
    """Return a row for each predictor of a run, all its seeds together, best first within each arm and inputs.

    Models whose files are not as the run wrote them are left out; without `integrity` their scores.json is compared.
    Each row has the same keys; what was not scored is None.
    """
    integrity = integrity or folder.check_files(SCORES)
    models, problems = read_models(folder.path / "models", integrity.unbelieved_models, curves=False)
    arms = _arms(folder)
    groups = group_seeds(models, arms)
    first = headline(compare_to_baselines(groups))
    best = first.best if first else None
    rows = [_row(group, best=group is best) for group in with_online(groups)]
    return RunScores(rows, problems, len({*arms.values()} | {group.arm for group in groups}) > 1)


def _arms(folder: RunFolder) -> dict[str, str]:
    """Return the arm of each trial."""
    steps = folder.manifest["steps"].items()
    return {name.removeprefix("trial:"): step["detail"].get("arm", "") for name, step in steps if name[:6] == "trial:"}


def _row(group: SeedGroup, *, best: bool) -> dict[str, Any]:
    estimates: dict[str, float | None] = {}
    for column, (split, metric) in ESTIMATES.items():
        score = group.score(split, metric)
        estimates[column] = score.value if score else None
        estimates[f"{column}_low"] = score.low if score else None
        estimates[f"{column}_high"] = score.high if score else None
    return {
        "arm": group.arm,
        "predictor": group.predictor,
        "inputs": group.inputs,
        "mark": group.mark,
        "seeds": [seed.seed for seed in group.seeds],
        "best": best,
        "baseline": group.baseline,
        **estimates,
        "chance_top1": group.mean(lambda seed: seed.chance),
        "against_chance": group.against_chance or None,
        "interval_trials": group.basis.trials,
        "scored_trials": group.basis.scored,
        "test_events": group.mean(lambda seed: seed.test_events),
        "parameters": group.mean(lambda seed: seed.parameters),
        "fit_seconds": group.mean(lambda seed: seed.fit_seconds),
        "clock": group.clock.short,
    }
