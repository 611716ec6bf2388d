"""Recordings of a known source, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from model import data, synthetic


@pytest.fixture(scope="session")
def source() -> synthetic.Source:
    """Five tasks, two of memory."""
    return synthetic.Source(tasks=5, seed=3)


@pytest.fixture(scope="session")
def recording(source: synthetic.Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20,000 switches of the source."""
    folder = tmp_path_factory.mktemp("known") / "000_known"
    synthetic.write(folder, source, events=20_000)
    return folder


@pytest.fixture(scope="session")
def dataset(recording: Path) -> data.Dataset:
    """The recording, cut."""
    return data.load([recording], mark="task")
