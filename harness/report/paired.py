"""Two predictors of a run on the same events, seed by seed and together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.report.groups import Group
from harness.report.text import visible

if TYPE_CHECKING:
    from model.scoring.compare import Comparison


@dataclass(frozen=True)
class Paired:
    """`found` holds what could be compared; where that is nothing, `missing` says why."""

    best: Group
    baseline: Group
    split: str
    found: tuple[Comparison, ...] = ()
    missing: str = ""

    def one(self, part: str, score: str) -> Comparison | None:
        """A score on a part, or None where it was not compared."""
        return next((one for one in self.found if (one.part, one.score) == (part, score)), None)

    @property
    def top1(self) -> Comparison | None:
        """The score that the contest is about."""
        return self.one(self.split, "top1")

    @property
    def bits(self) -> Comparison | None:
        """The surprise on the same part."""
        return self.one(self.split, "bits_per_switch")

    @property
    def parts(self) -> list[str]:
        """The parts that were compared, each once."""
        return list(dict.fromkeys(one.part for one in self.found))


def paired(best: Group, baseline: Group, split: str) -> Paired:
    """Every seed of `best` against the mean of the baseline's seeds, on the events that both were scored on.

    Runs of older versions did not keep what became of each event.
    """
    from model.errors import PredictionError
    from model.scoring.compare import compare

    try:
        found = compare(_folders(best), _folders(baseline))
    except PredictionError as error:
        return Paired(best, baseline, split, missing=visible(error))
    return Paired(best, baseline, split, tuple(found))


def _folders(group: Group) -> list[Path]:
    return [seed.path for seed in group.seeds]
