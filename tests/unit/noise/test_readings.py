"""Pressure, load averages, frequency and clocks of the host; whatever it does not show is unknown."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import pytest
from fake_proc import FakeProc

from harness.noise.clocks import elapsed_s, read_clocks, step_s, suspended_s
from harness.noise.frequency import read_frequency
from harness.noise.pressure import load_averages, stalled_us

UNKNOWN = {"governor": None, "mhz_min": None, "mhz_max": None, "turbo": None}


def test_the_pressure_is_the_time_in_which_some_task_waited(proc: FakeProc) -> None:
    proc.stall(123_456)
    assert stalled_us(proc.path) == 123_456
    assert load_averages(proc.path) == [0.5, 0.25, 0.1]


def test_a_host_without_pressure_or_load_averages_shows_none(tmp_path: Path) -> None:
    assert stalled_us(tmp_path) is None
    assert load_averages(tmp_path) is None


def frequency_files(base: Path, governors: list[str], khz: list[int]) -> None:
    for number, (governor, frequency) in enumerate(zip(governors, khz, strict=True)):
        folder = base / f"devices/system/cpu/cpu{number}/cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_governor").write_text(governor + "\n")
        (folder / "scaling_cur_freq").write_text(f"{frequency}\n")


def test_the_frequency_is_the_range_over_all_cpus(tmp_path: Path) -> None:
    frequency_files(tmp_path, ["powersave", "performance"], [800_000, 3_600_123])
    assert read_frequency(tmp_path) == {
        "governor": "performance, powersave",
        "mhz_min": 800,
        "mhz_max": 3600,
        "turbo": None,
    }


@pytest.mark.parametrize(
    ("path", "text", "turbo"),
    [("intel_pstate/no_turbo", "1", False), ("intel_pstate/no_turbo", "0", True), ("cpufreq/boost", "1", True)],
)
def test_turbo_is_read_from_either_driver(tmp_path: Path, path: str, text: str, turbo: bool) -> None:
    target = tmp_path / "devices/system/cpu" / path
    target.parent.mkdir(parents=True)
    target.write_text(text + "\n")
    assert read_frequency(tmp_path) == {**UNKNOWN, "turbo": turbo}


def test_a_virtual_host_shows_no_frequency(tmp_path: Path) -> None:
    assert read_frequency(tmp_path) == UNKNOWN


def clocks(monotonic: float, boottime: float, realtime: float) -> dict[str, float]:
    return {"monotonic_s": monotonic, "boottime_s": boottime, "realtime_s": realtime}


def test_a_step_and_a_suspend_are_told_apart() -> None:
    before = clocks(10.0, 110.0, 1_700_000_000.0)
    after = clocks(30.0, 135.0, 1_700_003_625.5)
    assert elapsed_s(before, after) == 20.0
    assert suspended_s(before, after) == 5.0
    assert step_s(before, after) == 3600.5


@pytest.mark.parametrize("missing", [None, {}, {"monotonic_s": 1.0}])
def test_without_clocks_there_is_no_step(missing: dict[str, float] | None) -> None:
    assert step_s(missing, clocks(1.0, 1.0, 1.0)) is None
    assert suspended_s(clocks(1.0, 1.0, 1.0), missing) is None
    assert elapsed_s(missing, None) is None


def test_a_task_that_loses_its_cpu_between_two_readings_reports_no_step() -> None:
    readings = count()

    def read(clock: int) -> float:
        number = next(readings)
        return number * 1e-6 + (3.0 if number > 5 else 0.0)  # three seconds pass within the second try

    taken = read_clocks(read)
    assert abs(taken["realtime_s"] - taken["monotonic_s"]) < 0.1


def test_the_clocks_of_this_host_can_be_read() -> None:
    before = read_clocks()
    assert before["boottime_s"] >= 0
    assert before["monotonic_s"] <= time.monotonic()
