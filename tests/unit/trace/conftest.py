"""The recordings that are kept with the project; `perf_record` makes others here and now."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
from locations import DATA
from shorten import Named, shortened


def kept(name: str) -> bytes:
    """A recording of `tests/data`, unpacked."""
    return lzma.decompress((DATA / f"{name}.perf.data.xz").read_bytes())


@pytest.fixture(scope="session")
def nginx_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real recording of nginx and ab on one CPU of a 6.18 kernel: 5,756 switches."""
    target = tmp_path_factory.mktemp("kept") / "nginx_ab.perf.data"
    target.write_bytes(kept("nginx_ab_one_cpu"))
    return target


@pytest.fixture(scope="session")
def hostile_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All CPUs of the same kernel, hostile names, migrations, forks, execs and exits."""
    target = tmp_path_factory.mktemp("hostile") / "perf.data"
    target.write_bytes(kept("hostile_names"))
    return target


@pytest.fixture(scope="session")
def lossy_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that lost events."""
    target = tmp_path_factory.mktemp("lossy") / "perf.data"
    target.write_bytes(kept("lost_events"))
    return target


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
def piped() -> bytes:
    """The beginning of a recording that came out of a pipe."""
    return Named(kept("from_a_pipe"))


@pytest.fixture(scope="session")
def packed() -> bytes:
    """A short recording whose records are compressed, with callchains and every event."""
    return Named(kept("compressed"))
