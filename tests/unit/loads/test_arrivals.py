"""Arrivals: their times have the statistics of their process, follow from the seed, and become a schedule of wrk."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise
from pathlib import Path
from random import Random
from statistics import fmean, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.errors import SpecError
from harness.loads.arrivals import Arrivals, Bursts, Diurnal, Poisson, Process, geometric
from harness.loads.base import RECORDING_FILE, Timing

TIMING = Timing(seed=7, warmup_s=5.0, seconds=50.0)


def drawn(process: Process, seconds: float, seed: int = 1) -> list[float]:
    """Return the times of a process up to `seconds`."""
    times = []
    for time in process.times(Random(seed)):
        if time >= seconds:
            return times
        times.append(time)
    raise AssertionError("the process ended")


def dispersion(times: list[float], window_s: float, seconds: float) -> float:
    """Return the variance of the number of arrivals in a window, over its mean: 1 for a Poisson process."""
    numbers = Counter(int(time / window_s) for time in times)
    counts = [numbers[index] for index in range(int(seconds / window_s))]
    return pvariance(counts) / fmean(counts)


@pytest.mark.parametrize(
    "process", [Poisson(rate_per_s=20), Bursts(rate_per_s=20, requests=5), Diurnal(rate_per_s=20, day_s=10)]
)
def test_arrivals_come_in_order_at_the_mean_rate(process: Process) -> None:
    times = drawn(process, 2000)
    assert len(times) / 2000 == pytest.approx(20, rel=0.03)
    assert all(earlier <= later for earlier, later in pairwise(times))


def test_poisson_arrivals_are_spread_like_independent_ones_with_exponential_gaps() -> None:
    times = drawn(Poisson(rate_per_s=20), 2000)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert dispersion(times, 1.0, 2000) == pytest.approx(1, abs=0.1)
    assert pvariance(gaps) / fmean(gaps) ** 2 == pytest.approx(1, abs=0.05)


def test_bursts_are_as_uneven_as_their_sizes_make_them() -> None:
    times = drawn(Bursts(rate_per_s=20, requests=5, burst_ms=1), 4000)
    assert dispersion(times, 2.0, 4000) == pytest.approx(2 * 5 - 1, rel=0.15)  # of geometric sizes: 2 mean - 1


def test_bursts_of_one_request_are_poisson_arrivals() -> None:
    assert dispersion(drawn(Bursts(rate_per_s=20, requests=1), 2000), 1.0, 2000) == pytest.approx(1, abs=0.1)


def test_a_burst_spreads_over_its_length() -> None:
    times = drawn(Bursts(rate_per_s=2, requests=20, burst_ms=50), 1000)
    assert sum(later - earlier < 0.05 for earlier, later in pairwise(times)) / len(times) == pytest.approx(
        0.95, abs=0.02
    )


@given(mean=st.floats(1, 1000), seed=st.integers(0, 2**31 - 1))
def test_a_burst_has_at_least_one_request(mean: float, seed: int) -> None:
    assert geometric(Random(seed), mean) >= 1


def test_a_day_begins_quietly_and_is_busiest_at_noon() -> None:
    times = drawn(Diurnal(rate_per_s=50, day_s=20, swing=0.6), 2000)
    quarters = Counter(int(time % 20 / 5) for time in times)
    night, noon = quarters[0] + quarters[3], quarters[1] + quarters[2]
    assert noon / night == pytest.approx(1.382 / 0.618, rel=0.03)  # 1 +- 0.6 * 2 / pi


def test_the_same_seed_gives_the_same_arrivals_on_every_python() -> None:
    """`Random.random` is the one method whose numbers Python promises to keep."""
    processes = [Poisson(rate_per_s=20), Bursts(rate_per_s=20), Diurnal(rate_per_s=20)]
    first = {
        type(process).__name__: [round(1e6 * t) for t in islice(process.times(Random(7)), 5)] for process in processes
    }
    assert first == {
        "Poisson": [19566, 27742, 80366, 84126, 122507],
        "Bursts": [199279, 228204, 581340, 582366, 582958],
        "Diurnal": [12229, 45119, 74431, 95829, 270465],
    }


def test_another_seed_gives_other_arrivals() -> None:
    arrivals = Arrivals(poisson=Poisson(rate_per_s=20))
    assert list(arrivals.draw(TIMING)) == list(arrivals.draw(TIMING))
    assert list(arrivals.draw(TIMING)) != list(arrivals.draw(Timing(seed=8, warmup_s=5.0, seconds=50.0)))


def test_arrivals_come_from_the_beginning_of_the_warm_up_to_the_end_of_the_recording() -> None:
    first, *_, last = Arrivals(poisson=Poisson(rate_per_s=20)).draw(TIMING)
    assert 0 <= first < 2.5
    assert TIMING.warmup_s + TIMING.seconds - 2.5 < last < TIMING.warmup_s + TIMING.seconds


@pytest.mark.parametrize("keys", [{}, {"closed": 5, "poisson": {"rate_per_s": 5}}])
def test_arrivals_are_of_exactly_one_kind(keys: dict[str, object]) -> None:
    with pytest.raises(
        ValidationError, match=f"exactly one of closed, poisson, bursts, diurnal, times; here are {len(keys)}"
    ):
        Arrivals.model_validate(keys)


def test_a_dump_has_only_the_kind_that_was_chosen() -> None:
    arrivals = Arrivals(diurnal=Diurnal(rate_per_s=3, day_s=9))
    assert arrivals.model_dump() == {"diurnal": {"rate_per_s": 3, "day_s": 9, "swing": 0.6}}
    assert Arrivals.model_validate(arrivals.model_dump()) == arrivals


def test_the_times_of_a_file_count_from_its_first_and_begin_again(tmp_path: Path) -> None:
    (tmp_path / "times").write_text("1700000000.5\n1700000001\n1700000003.5\n")
    times = Arrivals(times=str(tmp_path / "times")).draw(TIMING)
    assert list(islice(times, 7)) == [0, 0.5, 3.0, 4.5, 5.0, 7.5, 9.0]  # a mean gap of 1.5 s from the last to the first


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("1\ntwo\n", ":2"),
        ("1\n3\n2\n", ":3"),
        ("1\nnan\n", ":2"),
        ("1\n", ""),
        ("", ""),
        ("2\n2\n", ""),
        ("1\n\n2\n", ":2"),
        ("0\n1e-4\n2e-4\n", ""),
    ],
)
def test_a_file_that_holds_no_times_is_refused_with_its_line(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "times"
    path.write_text(text)
    with pytest.raises(SpecError, match=f"{path}{where}: "):
        list(Arrivals(times=str(path)).draw(TIMING))


def test_a_file_of_times_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the times of arrivals"):
        list(Arrivals(times=str(tmp_path / "gone")).draw(TIMING))


def test_a_schedule_has_a_line_for_each_arrival_in_microseconds_of_the_recording() -> None:
    arrivals = Arrivals(poisson=Poisson(rate_per_s=20))
    lines = arrivals.schedule(TIMING)["arrivals.txt"].splitlines()
    assert [int(line) for line in lines] == [round(1e6 * (time - 5)) for time in arrivals.draw(TIMING)]


def test_a_schedule_has_a_request_beside_each_time() -> None:
    lines = Arrivals(closed=3).schedule(TIMING, iter(["/a", "/b\tc=1", ""]))["arrivals.txt"]
    assert lines == "0\t/a\n0\t/b\tc=1\n0\n"


def test_the_script_of_wrk_is_sent_along() -> None:
    files = Arrivals(closed=3).schedule(TIMING)
    assert "function delay()" in files["arrivals.lua"]


def test_only_an_open_loop_must_be_in_time() -> None:
    limits = {limit.metric for limit in Arrivals(poisson=Poisson(rate_per_s=20)).limits}
    assert limits == {"requests_completed", "oldest_unanswered_s", "late_p99_ms"}
    assert {limit.metric for limit in Arrivals(closed=3).limits} == {"requests_completed"}


def test_an_open_loop_is_told_where_the_beginning_of_the_recording_is_written() -> None:
    argv = Arrivals(poisson=Poisson(rate_per_s=20)).sender("http://127.0.0.1/")
    assert argv[0] == "wrk"
    assert argv[-2:] == ["arrivals.txt", RECORDING_FILE]


def test_a_closed_loop_has_as_many_connections_as_clients() -> None:
    assert Arrivals(closed=3).sender("http://127.0.0.1/")[3:5] == ["--connections", "3"]
    assert Arrivals(closed=3).sender("http://127.0.0.1/")[-1] == "closed"
