"""A real recording, as perf.data and as tables; and training without worker processes."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import harness
from locations import DATA
from shorten import shortened

RECORDING = DATA / "debian12_guest_nginx_ab.perf.data.xz"


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "perf.data"
    path.write_bytes(lzma.decompress(RECORDING.read_bytes()))
    return path


@pytest.fixture(scope="session")
def tables(raw: Path) -> Path:
    """The tables of the first 12,000 records, which are enough to train on."""
    short = raw.parent / "short.data"
    short.write_bytes(shortened(raw.read_bytes(), 12_000))
    harness("trace", "convert", short, "-o", raw.parent / "tables")
    return raw.parent / "tables"


@pytest.fixture(autouse=True)
def _trained_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace worker processes, which take seconds to import torch; tests/unit/test_workers.py tests the real ones."""

    def run(
        jobs: Iterable[tuple[str, Any]], work: Callable[..., Any], *, on_progress: Callable[..., None], **_: Any
    ) -> Iterator[tuple[str, Any]]:
        for name, job in jobs:
            try:
                result = work(job, lambda *progress, name=name: on_progress(name, *progress))
            except Exception as error:
                result = error
            yield name, result

    monkeypatch.setattr("harness.workers.run_in_processes", run)
