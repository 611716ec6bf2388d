"""Models that were trained and scored once."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import jobs
from model.jobs import Job


@pytest.fixture(scope="session")
def markov_models(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Model folders of `markov` of order 0, 1 and 2 on one recording, 3,000 test events each. Not to be changed."""
    out = tmp_path_factory.mktemp("markov")
    for order in (0, 1, 2):
        jobs.run(Job((recording,), "markov", 0, "task", (0.7, 0.15, 0.15), out / str(order), {"order": order}))
    return [out / str(order) for order in (0, 1, 2)]
