"""Finds, for each switch of the timeline, whether a predictor named the task that came.

`outcomes.parquet` has one row for each switch of the test part, which is the end of each recording. A CPU of a
recording is one stream of rows; streams are numbered in the order of the recordings and CPUs.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as parquet

from harness.report.model_scores import ModelScores
from harness.report.recording_summary import RecordingSummary
from harness.report.seed_groups import SeedGroup

SWITCHES_A_PAGE = 2_000_000  # one bit each


@dataclass(frozen=True)
class Hits:
    """One predictor on the last switches of one CPU: True where its likeliest task came."""

    predictor: str
    name: str  # of the model's folder
    trial: str
    cpu: int
    hit: np.ndarray

    def meta(self, shown: int) -> list[object]:
        """Return its name, its label, the number of switches and their bits, of the last `shown` slices."""
        kept = self.hit[max(0, len(self.hit) - shown) :]
        bits = base64.b64encode(np.packbits(kept, bitorder="little").tobytes()).decode("ascii")
        return [self.name, self.predictor, len(kept), bits]


def read_hits(groups: Sequence[SeedGroup], recordings: Mapping[str, RecordingSummary]) -> list[Hits]:
    """Return the hits of the first seed of each predictor, as long as there is room, in the order of `groups`.

    Left out are models of an earlier version, and those whose switches are not the last ones of these recordings.
    """
    found: list[Hits] = []
    left = SWITCHES_A_PAGE
    for group in groups:
        hits = list(_hits_of(group.seeds[0], recordings))
        left -= sum(len(each.hit) for each in hits)
        if left < 0:
            break
        found += hits
    return found


def _hits_of(model: ModelScores, recordings: Mapping[str, RecordingSummary]) -> Iterator[Hits]:
    frame = _outcomes(model)
    if frame is None or not all(trial in recordings for trial in model.trials):
        return
    places = [
        (trial, int(str(cpu)), rows)
        for trial in model.trials
        for cpu, rows in recordings[trial].slices.groupby("cpu", sort=True)
    ]
    streams = [rows for _, rows in frame.groupby("stream", sort=True)]
    if len(places) != len(streams) or not all(map(_ends_with, (rows for *_, rows in places), streams)):
        return
    label = f"{model.predictor}, seed {model.seed}"
    for (trial, cpu, _), scored in zip(places, streams, strict=True):
        yield Hits(label, model.path.name, trial, cpu, scored["hit"].to_numpy(dtype=bool))


def _outcomes(model: ModelScores) -> pd.DataFrame | None:
    path = model.path / "outcomes.parquet"
    if not path.is_file():
        return None
    try:
        with pa.OSFile(os.fsencode(path)) as source:
            columns = ["stream", "contested", "hit"]
            return parquet.read_table(source, columns=columns, page_checksum_verification=True).to_pandas()
    except (OSError, ValueError, KeyError):  # the comparison of the same outcomes names what is wrong with them
        return None


def _ends_with(slices: pd.DataFrame, scored: pd.DataFrame) -> bool:
    """Whether the scored switches are contested where the last slices are."""
    last = slices["contested"].fillna(False).to_numpy(dtype=bool)[max(0, len(slices) - len(scored)) :]
    return np.array_equal(last, scored["contested"].to_numpy(dtype=bool))
