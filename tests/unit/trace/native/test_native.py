"""The compiled code: compiles cleanly, says what is wrong where it cannot be loaded, and keeps to its own memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from ctypes import c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np
import pytest
from command_line import LIMIT_S
from hypothesis import given
from hypothesis import strategies as st
from kept import unpacked
from locations import HELPERS
from shorten import shortened

import hatch_build
from harness.errors import HostError
from harness.trace.native import library
from harness.trace.native.library import Signatures

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Where the library is looked for, in a process that has not loaded it yet."""
    monkeypatch.setattr(library, "LIBRARY", tmp_path / "libtrace.so")
    library.load_library.cache_clear()
    yield tmp_path / "libtrace.so"
    library.load_library.cache_clear()


def test_the_sources_compile_without_a_warning(tmp_path: Path) -> None:
    hatch_build.compile_library(tmp_path / "libtrace.so", ("-O1", "-pedantic", "-Werror"))
    assert [path.name for path in tmp_path.iterdir()] == ["libtrace.so"]


def test_without_a_compiler_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hatch_build, "COMPILER", ["no-such-cc"])
    with pytest.raises(SystemExit) as ended:
        hatch_build.compile_library(tmp_path / "libtrace.so")
    assert ended.value.code == (
        "harness needs a C compiler, and there is no `no-such-cc`: sudo apt-get install gcc libc6-dev"
    )


def test_a_compiler_that_fails_is_quoted_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        hatch_build.compile_library(tmp_path / "libtrace.so", ("-Dsort_by_time=1",))
    assert "error: " in str(ended.value.code)
    assert "apt-get install gcc libc6-dev" in str(ended.value.code)
    assert "\n" not in str(ended.value.code)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"", b"\x7fELF and no more"])
def test_a_library_that_is_missing_or_damaged_is_a_host_error(content: bytes | None, fresh: Path) -> None:
    if content is not None:
        fresh.write_bytes(content)
    with pytest.raises(HostError, match="the compiled trace decoder cannot be loaded") as caught:
        library.load_functions({})
    assert "make build" in str(caught.value)
    assert str(fresh) in str(caught.value)


def test_a_library_without_a_function_is_a_host_error() -> None:
    with pytest.raises(HostError, match="undefined symbol: decoder_of_tomorrow"):
        library.load_functions({"decoder_of_tomorrow": (None, [])})


def test_a_library_built_from_other_sources_is_a_host_error(fresh: Path) -> None:
    hatch_build.compile_library(fresh, ("-USOURCES_CHECKSUM", "-DSOURCES_CHECKSUM=1"))
    with pytest.raises(HostError, match="it was built from other sources"):
        library.load_functions({})


def test_the_sanitizers_are_at_work(
    run_sanitised: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    program = tmp_path / "too_far.py"
    program.write_text("import ctypes, sys; ctypes.CDLL(sys.argv[1]).chain_note_cpus(bytes(8), 1 << 20, bytes(8))")
    assert "AddressSanitizer" in run_sanitised(program).stderr


# a longer search: TRACE_FUZZ_SECONDS=600 pytest tests/unit/trace/native/test_native.py
def test_damaged_recordings_never_make_the_compiled_code_read_or_write_what_it_must_not(
    run_sanitised: Callable[..., subprocess.CompletedProcess[str]],
    small: bytes, piped: bytes, compressed: bytes, nginx_recording: Path, tmp_path: Path,
) -> None:  # fmt: skip
    longer, paths = shortened(nginx_recording.read_bytes(), 6000), []
    twice = unpacked("recorded_twice")
    damaged = {"small": small, "longer": longer, "piped": piped, "compressed": compressed, "twice": twice}
    for name, content in damaged.items():
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    seconds = os.environ.get("TRACE_FUZZ_SECONDS", "6")
    program = HELPERS / "sanitised.py"
    done = run_sanitised(program, seconds, str(tmp_path), *map(str, paths), limit_s=LIMIT_S + float(seconds))
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) >= 20


_ORDER: Signatures = {"sort_by_time": (c_int64, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p])}
times = st.integers(-4, 20) | st.sampled_from([-(1 << 63), (1 << 63) - 1])


@given(st.lists(st.lists(times, max_size=8), max_size=12), st.booleans(), st.data())
def test_rows_are_sorted_by_time_then_part_and_else_stay_as_they_are(
    runs: list[list[int]], has_parts: bool, data: st.DataObject
) -> None:
    native = library.load_functions(_ORDER)
    found = np.array([time for run in runs for time in sorted(run)], np.int64)
    rows = len(found)
    parts = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)), np.int32)
    order, spare = np.arange(rows, dtype=np.int32), np.empty(rows, np.int32)
    given = [array.ctypes.data for array in (found, parts, order, spare)]
    native.sort_by_time(given[0], given[1] if has_parts else None, rows, *given[2:])
    keys = [parts, found] if has_parts else [found]
    assert order.tolist() == np.lexsort(keys).tolist()
