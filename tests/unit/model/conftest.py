"""Recordings of a known source, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.data import streams, synthetic


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
def short_recording(source: synthetic.Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 switches of the source."""
    folder = tmp_path_factory.mktemp("short") / "000_known"
    synthetic.write(folder, source, events=2_000)
    return folder


@pytest.fixture(scope="session")
def dataset(recording: Path) -> streams.Dataset:
    """The recording, cut."""
    return streams.load([recording], mark="task")
