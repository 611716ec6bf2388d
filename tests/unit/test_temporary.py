"""What is swept and what is not: real processes hold, are killed, and sweep at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest
import waiting
from command_line import LIMIT_S

from harness import temporary
from harness.errors import Interrupted
from harness.files import atomic_path
from harness.temporary import OWNER, held_file, held_folder, remove_if_left, sweep

HOLDS = "import sys, time; from pathlib import Path; from harness.temporary import held_file, held_folder\n\
with held_file(Path(sys.argv[1]) / 'a') as file, held_folder(Path(sys.argv[1]), 'b') as folder:\n\
    (folder / 'part').mkdir(); (folder / 'part' / 'x').touch(); file.write_text('half')\n\
    print('held', flush=True); sys.stdin.read()"
SWEEPS = "import sys; from pathlib import Path; from harness.temporary import sweep\n\
while not Path(sys.argv[1], 'over').exists(): sweep(Path(sys.argv[1]))"
OTHER = ("unshare", "--pid", "--fork", "--mount-proc")  # a container: its processes do not see the others


def names(folder: Path) -> list[str]:
    return sorted(path.name.split(".")[1] for path in folder.iterdir())


def holder(folder: Path, *before: str) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [*before, sys.executable, "-c", HOLDS, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert started.stdout
    assert started.stdout.readline() == "held\n"
    return started


def test_what_a_killed_process_left_is_swept_and_what_a_live_one_holds_is_not(tmp_path: Path) -> None:
    with holder(tmp_path) as killed, holder(tmp_path) as live:
        sweep(tmp_path)
        assert names(tmp_path) == ["a", "a", "b", "b"]
        killed.kill()
        killed.wait(timeout=LIMIT_S)
        sweep(tmp_path)
        assert names(tmp_path) == ["a", "b"]
        live.communicate("", timeout=LIMIT_S)
    assert names(tmp_path) == []


def test_a_process_that_this_one_cannot_see_keeps_its_files(tmp_path: Path) -> None:
    if subprocess.run([*OTHER, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this host makes no process namespace")
    with holder(tmp_path, *OTHER) as hidden:
        swept = subprocess.run([*OTHER, sys.executable, "-c", SWEEPS.replace("while not", "if not"), str(tmp_path)])
        assert swept.returncode == 0
        sweep(tmp_path)
        assert names(tmp_path) == ["a", "b"]
        hidden.communicate("", timeout=LIMIT_S)


def test_a_new_process_with_the_id_of_the_killed_one_protects_nothing(tmp_path: Path) -> None:
    left = tmp_path / f".a.{os.getpid()}.0123abcd.tmp"
    left.touch()
    sweep(tmp_path)
    assert names(tmp_path) == []


def test_files_of_others_are_not_taken_for_temporary_ones(tmp_path: Path) -> None:
    others = {".a.tmp", ".a.12.tmp", "a.12.0123abcd.tmp", ".a.x.0123abcd.tmp", ".a.12.0123abcd.tmp~"}
    for name in others:
        (tmp_path / name).touch()
    (tmp_path / ".dir.12.0123abcd.tmp").mkdir()
    (tmp_path / ".dir.12.0123abcd.tmp" / "mine").touch()  # no folder of ours has content, and no owner
    (tmp_path / ".link.12.0123abcd.tmp").symlink_to(tmp_path / ".a.tmp")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*others, ".dir.12.0123abcd.tmp", ".link.12.0123abcd.tmp"}


def test_a_sweep_that_was_killed_half_way_is_taken_up_by_the_next(tmp_path: Path) -> None:
    for content in ([OWNER, "rest"], [OWNER], []):
        folder = tmp_path / ".b.12.0123abcd.tmp"
        folder.mkdir()
        for name in content:
            (folder / name).touch()
        sweep(tmp_path)
        assert names(tmp_path) == []


def test_writers_lose_nothing_to_sweeps_at_the_same_time(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SWEEPS, str(tmp_path)]) as sweeper:
        for number in range(300):
            with atomic_path(tmp_path / "a") as part, held_folder(tmp_path, "b") as folder:
                part.write_text(str(number))
                (folder / "x").touch()
            assert (tmp_path / "a").read_text() == str(number)
        (tmp_path / "over").touch()
        assert sweeper.wait(timeout=waiting.LIMIT_S) == 0


def test_a_long_name_gets_a_temporary_one_that_fits(tmp_path: Path) -> None:
    with held_file(tmp_path / ("x" * 255)) as long:
        assert len(long.name) < 255


def test_what_cannot_be_removed_stays_without_an_error(tmp_path: Path) -> None:
    remove_if_left(tmp_path / ".gone.1.0123abcd.tmp")
    sweep(tmp_path / "no folder")


def test_a_stop_signal_at_any_line_leaves_nothing_after_the_block(tmp_path: Path) -> None:
    """The signal is raised at each line of this module in turn, until a run passes fewer lines than that."""
    for line in range(1, 1000):
        if not stopped_at(line, tmp_path):
            break
        assert list(tmp_path.iterdir()) == [], f"line {line}"
    assert line > 40


def stopped_at(line: int, folder: Path) -> bool:
    """Hold and let go of a file and a folder; return whether Interrupted was raised at this line of the module."""
    passed = 0

    def count(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        nonlocal passed
        if frame.f_code.co_filename != temporary.__file__:
            return None
        passed += event == "line"
        if passed == line and event == "line":
            raise Interrupted("stopped")
        return count

    sys.settrace(count)
    try:
        with held_file(folder / "a"), held_folder(folder, "b") as held:
            (held / "part").touch()
    except Interrupted:
        return True
    finally:
        sys.settrace(None)
    return False
