"""The recordings that are kept with the project; `perf_record` makes fresh ones."""

from __future__ import annotations

import lzma
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command_line import LIMIT_S
from locations import DATA, ROOT
from shorten import ShortRepr, shortened

from hatch_build import COMPILER, compile_library


def kept(name: str) -> bytes:
    """A recording of `tests/data`, unpacked."""
    return lzma.decompress((DATA / f"{name}.perf.data.xz").read_bytes())


@pytest.fixture(autouse=True, scope="module")
def unflushed_files() -> Iterator[None]:
    """Leave out fsync, which takes most of the time of a small conversion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.files.sync", lambda path: None)
        yield


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


@pytest.fixture(scope="session")
def shifted_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """nginx and ab on Ubuntu's 4.15.0-55, which reports prev_state one bit too high; the idle task never appears."""
    target = tmp_path_factory.mktemp("shifted") / "perf.data"
    target.write_bytes(kept("ubuntu_4_15_0_55_shifted"))
    return target


@pytest.fixture(scope="session", params=["ubuntu_4_15_0_147_stress", "ubuntu_4_15_0_147_nginx_ab"])
def mended_recording(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two loads on Ubuntu's 4.15.0-147, which reports prev_state as it is; under stress the idle task never appears."""
    target = tmp_path_factory.mktemp("mended") / "perf.data"
    target.write_bytes(kept(request.param))
    return target


SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


@pytest.fixture(scope="session")
def run_sanitised(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a program with a library that ends the process where it reads or writes memory that is not its own.

    The library's path is the program's first argument.
    """
    library = tmp_path_factory.mktemp("sanitised") / "libtrace.so"
    compile_library(library, SANITIZERS)
    asan = subprocess.run([*COMPILER, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    sanitised = {"LD_PRELOAD": asan.strip(), "PYTHONMALLOC": "malloc", "ASAN_OPTIONS": "detect_leaks=0"}
    environment = os.environ | sanitised | {"PYTHONPATH": str(ROOT)}

    def run(program: Path, *arguments: str, limit_s: float = LIMIT_S) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), str(library), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=limit_s)

    return run


@pytest.fixture(scope="session")
def small(nginx_recording: Path) -> bytes:
    """The first 60 records of the recording of nginx and ab."""
    return shortened(nginx_recording.read_bytes())


@pytest.fixture(scope="session")
def piped() -> bytes:
    """The beginning of a recording from a pipe."""
    return ShortRepr(kept("from_a_pipe"))


@pytest.fixture(scope="session")
def compressed() -> bytes:
    """A short recording whose records are compressed, with callchains and every event."""
    return ShortRepr(kept("compressed"))
