"""The compiled code: made once, by whoever comes first; done without where it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from ctypes import c_int32, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import waiting
from command_line import LIMIT_S
from hypothesis import given
from hypothesis import strategies as st
from locations import HELPERS
from shorten import shortened

from harness.errors import HostError
from harness.trace.native import Signatures, build, library

ASK = "from harness.trace.native import state; print(*state()[:2])"
MAKE = "from harness.trace.native import functions; print(functions({}) is not None)"


@pytest.fixture(autouse=True)
def as_the_machine_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (library.VARIABLE, "CC"):
        monkeypatch.delenv(name, raising=False)


def ask(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, timeout=LIMIT_S
    )


def test_the_library_is_made_once_and_kept_in_the_cache(tmp_path: Path) -> None:
    first = ask(ASK, HARNESS_CACHE=str(tmp_path)).stdout
    (made,) = (tmp_path / "native").iterdir()
    assert first == f"True {made}\n"
    written = made.stat().st_mtime_ns
    assert ask(ASK, HARNESS_CACHE=str(tmp_path)).stdout == first
    assert made.stat().st_mtime_ns == written


def test_processes_that_make_the_library_at_once_all_get_it_whole(tmp_path: Path) -> None:
    environment = os.environ | {"HARNESS_CACHE": str(tmp_path)}
    started = [
        subprocess.Popen([sys.executable, "-c", MAKE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [process.communicate(timeout=LIMIT_S)[0] for process in started] == ["True\n"] * 4
    assert len(list((tmp_path / "native").iterdir())) == 1


def test_without_a_compiler_it_is_done_without_and_the_reason_is_told(tmp_path: Path) -> None:
    asked = ask(ASK, HARNESS_CACHE=str(tmp_path), PATH=str(tmp_path))
    assert asked.stdout == "False there is no C compiler `cc` (no CC is set)\n"
    assert ask(MAKE, HARNESS_CACHE=str(tmp_path), PATH=str(tmp_path)).stdout == "False\n"


FAILING = """#!/bin/sh
echo tried >>{tried}
[ -e {headers} ] && exec cc "$@"
echo 'stdint.h: fatal error: No such file or directory' >&2
exit 1
"""


@dataclass
class FailingCompiler:
    """Compiles nothing until its headers are `installed`, and counts how often it was `tried`."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "failing-cc"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def note(self) -> Path:
        (found,) = (self.cache / "native").glob("*.failed")
        return found

    @property
    def tried(self) -> int:
        return len((self.folder / "tried").read_text().splitlines())

    def install_headers(self) -> None:
        (self.folder / "headers").touch()

    def ask(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return ask(code, HARNESS_CACHE=str(self.cache), CC=str(self.path), **environment)


@pytest.fixture
def failing(tmp_path: Path) -> FailingCompiler:
    made = FailingCompiler(tmp_path)
    made.path.write_text(FAILING.format(tried=tmp_path / "tried", headers=tmp_path / "headers"))
    made.path.chmod(0o755)
    return made


def test_a_compiler_that_fails_is_quoted_and_not_tried_at_every_start(failing: FailingCompiler) -> None:
    first, second = failing.ask(ASK).stdout, failing.ask(ASK).stdout
    assert first == "False the C compiler failed: stdint.h: fatal error: No such file or directory\n"
    assert second == f"{first.strip()} (noted in {failing.note}; HARNESS_NATIVE=1 tries again)\n"
    assert failing.tried == 1
    assert list((failing.cache / "native").iterdir()) == [failing.note]


def test_demanded_a_compiler_that_failed_is_tried_again_and_quoted(failing: FailingCompiler) -> None:
    failing.ask(ASK)
    demanded = failing.ask(MAKE, HARNESS_NATIVE="1")
    assert "the compiled code cannot be had: the C compiler failed: stdint.h: fatal error" in demanded.stderr
    assert failing.tried == 2
    failing.install_headers()
    assert failing.ask(MAKE, HARNESS_NATIVE="1").stdout == "True\n"
    assert not list((failing.cache / "native").glob("*.failed"))


def test_what_a_compiler_failed_at_yesterday_is_tried_again(failing: FailingCompiler) -> None:
    failing.ask(ASK)
    failing.install_headers()
    old = failing.note.stat().st_mtime - library.RETRY_AFTER_S - 60
    os.utime(failing.note, (old, old))
    assert failing.ask(MAKE).stdout == "True\n"


def test_another_compiler_is_tried_where_one_has_failed(failing: FailingCompiler) -> None:
    failing.ask(ASK)
    assert ask(MAKE, HARNESS_CACHE=str(failing.cache), CC=f"{failing.path} -m64").stdout == "False\n"
    assert failing.tried == 2
    assert ask(MAKE, HARNESS_CACHE=str(failing.cache)).stdout == "True\n"


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder should be")
    assert ask(MAKE, HARNESS_CACHE=str(tmp_path / "cache")).stdout == "False\n"


def test_forbidden_it_is_not_used_and_demanded_it_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(library.VARIABLE, "0")
    assert library.functions({}) is None
    asked = ask(MAKE, HARNESS_CACHE=str(tmp_path), PATH=str(tmp_path), **{library.VARIABLE: "1"})
    assert "the compiled code cannot be had: there is no C compiler" in asked.stderr


def test_another_flag_or_compiler_makes_another_library(tmp_path: Path) -> None:
    compiler, copy = build.compiler(), tmp_path / "copied-cc"
    copy.write_bytes(b"another compiler")
    others = [build.digest(compiler, ["-O1"]), build.digest([*compiler, "-m64"]), build.digest([str(copy)])]
    assert len({build.digest(compiler), *others}) == 4


def test_sources_that_do_not_compile_are_told_of(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="C compiler failed"):
        build.build(tmp_path / "x.so", build.compiler(), [*build.FLAGS, "-Dtime_order=1"])
    assert list(tmp_path.iterdir()) == []


def test_a_compiler_may_be_asked_for_with_arguments_or_by_a_name_it_goes_by(tmp_path: Path) -> None:
    by_name = tmp_path / "wrapped-cc"  # a link to a wrapper that looks at what it is called, as ccache does
    wrapper = tmp_path / "wrapper"
    wrapper.write_text('#!/bin/sh\ncase "$0" in *wrapped-cc) exec cc "$@" ;; esac\nexit 3\n')
    wrapper.chmod(0o755)
    by_name.symlink_to(wrapper)
    for number, words in enumerate([f"{by_name} -m64", "cc -O1"]):
        asked = ask(ASK, HARNESS_CACHE=str(tmp_path / str(number)), CC=words).stdout
        assert asked.startswith("True "), asked
    assert ask(ASK, CC="no-such-cc").stdout == "False there is no C compiler `no-such-cc` (from CC)\n"


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    hanging, started = tmp_path / "hanging-cc", tmp_path / "started"
    hanging.write_text(f"#!/bin/sh\nsleep 300 &\necho $! >{started}\nwait\n")
    hanging.chmod(0o755)
    for limit_s in waiting.GROWING_S:
        with pytest.raises(HostError, match=f"took longer than {limit_s} s"):
            build.build(tmp_path / "made" / "x.so", [str(hanging)], limit_s=limit_s)
        assert list((tmp_path / "made").iterdir()) == []
        if child := waiting.number_in(started):
            break
    assert child
    assert waiting.ends(child)


@pytest.mark.parametrize("left", [0, 100, 20_000])
def test_a_damaged_library_is_made_again(left: int, tmp_path: Path) -> None:
    first = ask(ASK, HARNESS_CACHE=str(tmp_path)).stdout
    (made,) = (tmp_path / "native").iterdir()
    whole = made.read_bytes()
    made.write_bytes(whole[:left])
    assert ask(ASK, HARNESS_CACHE=str(tmp_path)).stdout == first
    assert made.stat().st_size == len(whole)


@pytest.mark.parametrize("what", ["folder", "library"])
def test_a_library_that_others_can_write_is_not_loaded(what: str, tmp_path: Path) -> None:
    ask(ASK, HARNESS_CACHE=str(tmp_path))
    (made,) = (tmp_path / "native").iterdir()
    (made if what == "library" else made.parent).chmod(0o777)
    asked = ask(ASK, HARNESS_CACHE=str(tmp_path)).stdout
    if what == "folder":
        assert asked == f"False {made.parent} may have been written by another user\n"
    else:  # in a folder of this user's alone it is made again
        assert asked == f"True {made}\n"
        assert made.stat().st_mode & 0o022 == 0


THREADS = """
import threading
from harness.trace.native import functions
found = []
threads = [threading.Thread(target=lambda: found.append(functions({}) is not None)) for _ in range(6)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found)
"""


def test_threads_that_ask_at_once_all_get_it(tmp_path: Path) -> None:
    asked = ask(THREADS, HARNESS_CACHE=str(tmp_path))
    assert asked.stdout == f"{[True] * 6}\n", asked.stderr
    assert len(list((tmp_path / "native").iterdir())) == 1


SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g")


@pytest.fixture(scope="module")
def sanitised(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the library is one that ends the process where it reads or writes what it must not."""
    cache, compiler = tmp_path_factory.mktemp("sanitised"), build.compiler()
    build.build(cache / "native" / f"trace-{build.digest(compiler)}.so", compiler, (*build.FLAGS, *SANITIZERS))
    runtime = subprocess.run([*compiler, "-print-file-name=libasan.so"], capture_output=True, text=True, check=True)
    return {
        **{name: value for name, value in os.environ.items() if name != library.VARIABLE},
        "HARNESS_CACHE": str(cache), "LD_PRELOAD": runtime.stdout.strip(), "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=0", library.VARIABLE: "1",
    }  # fmt: skip


def under_sanitizers(
    environment: dict[str, str], *command: str, limit_s: float = LIMIT_S
) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, timeout=limit_s)


def test_the_sanitizers_are_at_work(sanitised: dict[str, str]) -> None:
    too_far = "from harness.trace.native import functions; functions({}).chain_cpus(bytes(8), 1 << 20, bytes(8))"
    assert "AddressSanitizer" in under_sanitizers(sanitised, "-c", too_far).stderr


# a longer search: TRACE_FUZZ_SECONDS=600 pytest tests/unit/trace/test_trace_native.py
def test_damaged_recordings_never_make_the_compiled_code_read_or_write_what_it_must_not(
    sanitised: dict[str, str], small: bytes, piped: bytes, packed: bytes, nginx_recording: Path, tmp_path: Path
) -> None:
    longer, paths = shortened(nginx_recording.read_bytes(), 6000), []
    for name, content in (("small", small), ("longer", longer), ("piped", piped), ("packed", packed)):
        paths.append(tmp_path / name)
        paths[-1].write_bytes(content)
    seconds = os.environ.get("TRACE_FUZZ_SECONDS", "6")
    driver = str(HELPERS / "sanitised.py")
    done = under_sanitizers(
        sanitised, driver, seconds, str(tmp_path), *map(str, paths), limit_s=LIMIT_S + float(seconds)
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert int(done.stdout) >= 20


_ORDER: Signatures = {"time_order": (c_int64, [c_void_p, c_void_p, c_int32, c_void_p, c_void_p])}
times = st.integers(-4, 20) | st.sampled_from([-(1 << 63), (1 << 63) - 1])


@given(st.lists(st.lists(times, max_size=8), max_size=12), st.booleans(), st.data())
def test_rows_are_sorted_by_time_then_part_and_else_stay_as_they_are(
    runs: list[list[int]], has_parts: bool, data: st.DataObject
) -> None:
    native = library.functions(_ORDER)
    assert native is not None
    found = np.array([time for run in runs for time in sorted(run)], np.int64)
    rows = len(found)
    parts = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)), np.int32)
    order, spare = np.arange(rows, dtype=np.int32), np.empty(rows, np.int32)
    given = [array.ctypes.data for array in (found, parts, order, spare)]
    native.time_order(given[0], given[1] if has_parts else None, rows, *given[2:])
    keys = [parts, found] if has_parts else [found]
    assert order.tolist() == np.lexsort(keys).tolist()
