"""Whether prev_state is shifted is decided by what tasks do after they leave a CPU, not by the kernel's version."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from read_and_convert import assert_same
from shorten import DATA_OFFSET, DATA_SIZE, shortened

import harness.trace
from harness.errors import UsageError
from harness.trace.converter import convert
from harness.trace.export import ReadOptions, export
from harness.trace.tracepoint.state_reading import ENOUGH, FEW, StateReading, decide

LETTERS = ("R", "S", "D", "R+", "I")


class Names:
    """The numbers of states are their places in LETTERS."""

    @staticmethod
    def letters(state: int) -> str:
        return LETTERS[state]


def beginning(recording: Path, records: int, folder: Path) -> Path:
    path = folder / f"{records}.data"
    path.write_bytes(shortened(recording.read_bytes(), records))
    return path


def leave(time: int, tid: int, letters: str) -> tuple[int, ...]:
    """A switch from `tid` to another task, which is seen nowhere else."""
    return time, tid, 10**6 + time, LETTERS.index(letters)


def pick(time: int, tid: int) -> tuple[int, ...]:
    return time, 10**6 + time - 1, tid, LETTERS.index("I")


def decided(
    switches: Sequence[tuple[int, ...]], wakeups: Sequence[tuple[int, int]] = (), release: str | None = "4.15.0"
) -> StateReading:
    columns = zip(("time_ns", "prev_tid", "next_tid", "prev_state"), zip(*switches, strict=True), strict=True)
    woken = zip(("time_ns", "tid"), zip(*wakeups, strict=True) if wakeups else ((), ()), strict=True)
    return decide(Names(), release, None, [({"switches": dict(columns), "wakeups": dict(woken)}, range(5))])  # type: ignore[arg-type]


def naps(count: int, letters: str, woken: bool, start: int = 0) -> tuple[list[tuple[int, ...]], list[tuple[int, int]]]:
    """Tasks that leave in a state and run again, woken before that or not."""
    times = range(start, start + 10 * count, 10)
    switches = [row for time in times for row in (leave(time, 5, letters), pick(time + 2, 5))]
    return switches, [(time + 1, 5) for time in times if woken]


def test_a_shifted_kernel_is_known_by_tasks_that_left_as_s_and_needed_no_wakeup(shifted_recording: Path) -> None:
    trace = harness.trace.read(shifted_recording)
    states = trace.quality.states
    assert 0 not in trace.switches["prev_tid"].to_pylist()
    assert (states.shifted, states.decided_by) == (True, "wakeups")
    assert (states.left_s_woken, states.left_d_woken) == (0, states.left_d)
    assert states.left_s > FEW
    assert any("4.15.0-55-generic reports prev_state one bit too high" in note for note in trace.quality.warnings)


def test_a_mended_kernel_of_the_same_version_is_known_by_a_task_that_left_as_r(mended_recording: Path) -> None:
    quality = harness.trace.read(mended_recording).quality
    assert (quality.states.shifted, quality.states.decided_by) == (False, "left running")
    assert quality.warnings == ()


def test_a_killed_recorder_takes_the_kernel_of_its_lender_and_its_events_decide(
    shifted_recording: Path, tmp_path: Path
) -> None:
    whole = shifted_recording.read_bytes()
    offset, size = struct.unpack_from("<QQ", whole, DATA_OFFSET)
    killed = bytearray(whole[: offset + size])
    struct.pack_into("<Q", killed, DATA_SIZE, 0)
    (tmp_path / "killed.data").write_bytes(killed)
    trace = harness.trace.read(tmp_path / "killed.data", formats_from=shifted_recording)
    assert trace.header.os_release == "4.15.0-55-generic"
    assert trace.quality.states == harness.trace.read(shifted_recording).quality.states
    assert any("kernel 4.15.0-55-generic reports" in note for note in trace.quality.warnings)


@pytest.mark.parametrize("records", [300, 1500, 4000])
def test_no_beginning_of_a_recording_is_read_wrongly(
    records: int, shifted_recording: Path, mended_recording: Path, tmp_path: Path
) -> None:
    states = harness.trace.read(beginning(shifted_recording, records, tmp_path)).quality.states
    assert states.shifted or states.decided_by == "nothing"
    assert not harness.trace.read(beginning(mended_recording, records, tmp_path)).quality.states.shifted


def test_a_recording_read_at_once_and_in_parts_is_decided_alike(
    shifted_recording: Path, mended_recording: Path, tmp_path: Path
) -> None:
    for path in (shifted_recording, mended_recording, beginning(shifted_recording, 400, tmp_path)):
        assert_same(path)


def test_too_short_a_recording_is_undecided_and_says_what_each_reading_means(
    shifted_recording: Path, tmp_path: Path
) -> None:
    quality = harness.trace.read(beginning(shifted_recording, 400, tmp_path)).quality
    assert quality.states.decided_by == "nothing"
    assert quality.whole
    (warning,) = quality.warnings
    states = quality.states
    assert "UNDECIDED whether kernel 4.15.0-55-generic" in warning
    assert f"{states.left_d_woken} of {states.left_d} that left as D" in warning
    assert f"{100 * states.runnable / states.left:.0f} % of the tasks" in warning
    assert f"if shifted, {100 * states.runnable_if_shifted / states.left:.0f} %" in warning
    assert "The tables take it as printed" in warning
    assert "--states shifted" in warning


def test_a_caller_who_contradicts_the_events_is_warned(shifted_recording: Path, mended_recording: Path) -> None:
    quality = harness.trace.read(mended_recording, states="shifted").quality
    assert quality.states.shifted
    assert quality.states.contradicted_by == "left running"
    assert any("read as shifted, as asked for, but a task left as R" in warning for warning in quality.warnings)
    quality = harness.trace.read(shifted_recording, states="unshifted").quality
    assert any("read as unshifted, as asked for, but 0 of" in warning for warning in quality.warnings)


def test_an_undecided_reading_follows_what_few_tasks_suggest() -> None:
    (running, _), (sleeping, woken) = naps(FEW - 1, "S", woken=False), naps(FEW - 1, "D", woken=True, start=10_000)
    reading = decided(running + sleeping, woken)
    assert (reading.shifted, reading.decided_by) == (True, "nothing")
    assert "The tables take it as shifted" in reading.warning("4.15.0")
    assert not decided(running).shifted
    assert not decided(*naps(FEW - 1, "S", woken=True)).shifted


def test_a_caller_can_say_how_states_are_read(shifted_recording: Path, tmp_path: Path) -> None:
    short = beginning(shifted_recording, 400, tmp_path)
    for states in ("shifted", "unshifted"):
        read, made = harness.trace.read(short, states=states), convert(short, tmp_path / states, states=states)
        assert read.quality == made.quality
        assert (read.quality.states.shifted, read.quality.states.decided_by) == (states == "shifted", "caller")
        assert ("D" in harness.trace.slices(read)["end_state"].to_pylist()) is (states == "unshifted")


@pytest.mark.parametrize("run", [harness.trace.read, harness.trace.summarize])
def test_an_unknown_reading_of_states_is_refused_before_anything_is_read(run: Callable[..., object]) -> None:
    with pytest.raises(UsageError, match="--states: unknown reading of states 'shift'") as caught:
        run("/nowhere", states="shift")
    assert caught.value.expected == "shifted or unshifted"
    for write in (convert, lambda path, out, states: export(path, "csv", out, ReadOptions(states=states))):
        with pytest.raises(UsageError, match="unknown reading"):
            write(Path("/nowhere"), "/nowhere/out", states="shift")  # type: ignore[operator]


def test_an_idle_task_that_leaves_as_s_shows_that_states_are_shifted() -> None:
    reading = decided([leave(0, 5, "D"), leave(1, 0, "S"), leave(2, 5, "R")])
    assert (reading.shifted, reading.decided_by, reading.left) == (True, "idle task", 1)


def test_many_woken_sleepers_show_that_states_are_as_printed() -> None:
    reading = decided(*naps(FEW, "S", woken=True))
    assert (reading.shifted, reading.decided_by) == (False, "wakeups")
    assert decided(*naps(FEW - 1, "S", woken=True)).decided_by == "nothing"


def test_sleepers_without_wakeups_show_nothing_where_no_wakeup_was_recorded() -> None:
    (running, _), (sleeping, woken) = naps(FEW, "S", woken=False), naps(FEW, "D", woken=True, start=10_000)
    assert decided(running).decided_by == "nothing"
    assert decided(running + sleeping).decided_by == "nothing"
    assert decided(running + sleeping, woken).decided_by == "wakeups"
    assert decided(running + sleeping, woken).shifted


def test_a_task_that_was_woken_before_it_left_shows_nothing() -> None:
    switches, _ = naps(FEW, "S", woken=False)
    reading = decided(switches, [(row[0] - 1, 5) for row in switches[::2]])
    assert (reading.left_s, reading.decided_by) == (0, "nothing")


def test_no_more_events_are_taken_than_decide() -> None:
    (switches, woken), late = naps(ENOUGH, "S", woken=True), leave(10**6, 7, "R")
    assert decided([*switches, late], woken).decided_by == "wakeups"
    assert decided([*switches[:-2], late], woken[:-1]).decided_by == "left running"


@pytest.mark.parametrize(
    ("release", "decided_by"),
    [("4.13.0", "kernel"), ("6.1.0", "kernel"), (None, "left running"), ("4.19.1", "left running")],
)
def test_only_kernels_that_may_shift_states_are_judged(release: str | None, decided_by: str) -> None:
    assert decided([leave(0, 5, "R")], release=release).decided_by == decided_by
