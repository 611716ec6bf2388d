"""Recordings for the tests: one that is kept with the project, and one made here and now."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
from perf_record import MORE_EVENTS, record, record_to_pipe
from shorten import Named, shortened, shortened_pipe

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="session")
def nginx_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real recording of nginx and ab on one CPU of a 6.18 kernel: 5,756 switches."""
    target = tmp_path_factory.mktemp("kept") / "nginx_ab.perf.data"
    target.write_bytes(lzma.decompress((DATA / "nginx_ab_one_cpu.perf.data.xz").read_bytes()))
    return target


@pytest.fixture(scope="session")
def hostile_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All CPUs, hostile names, migrations, forks, execs and exits, recorded now."""
    return record(tmp_path_factory.mktemp("hostile") / "perf.data", *MORE_EVENTS)


@pytest.fixture(params=["0", "1"], ids=["numpy", "compiled"], scope="module")
def either_way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything twice: without and with compiled code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_NATIVE", request.param)
        yield


@pytest.fixture(scope="session")
def small(nginx_recording: Path) -> bytes:
    """The kept recording with the first 60 of its records."""
    return shortened(nginx_recording.read_bytes())


@pytest.fixture(scope="session")
def piped(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The beginning of a recording that came out of a pipe."""
    return shortened_pipe(record_to_pipe(tmp_path_factory.mktemp("piped") / "perf.data", rounds=1).read_bytes())


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A short recording whose records are compressed, with callchains and every event."""
    return Named(
        record(tmp_path_factory.mktemp("packed") / "perf.data", "-z", "-g", *MORE_EVENTS, rounds=1).read_bytes()
    )
