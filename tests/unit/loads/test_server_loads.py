"""The loads with servers: their commands, and what they read from outputs that their programs printed."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest
import waiting
from pydantic import ValidationError

from harness.loads import LoadModel, Metrics, NginxAb, NginxWrk, Pgbench, Redis, Timing, Web
from harness.loads.arrivals import Arrivals, Poisson

OUTPUTS = Path(__file__).parents[2] / "data" / "load_outputs" / "servers"
TIMING = Timing(seed=7, warmup_s=5.0, seconds=50.0)
OPEN = Arrivals(poisson=Poisson(rate_per_s=400.0))


def printed(name: str) -> str:
    """Return the output of a program, with its carriage returns."""
    return (OUTPUTS / f"{name}.txt").read_bytes().decode()


def parsed(load: LoadModel, name: str) -> Metrics:
    return load.parse(printed(name), TIMING)


def test_wrk_gives_its_rate_and_latencies() -> None:
    assert parsed(NginxWrk(), "nginx_wrk") == {
        "requests_completed": 22405,
        "requests_failed": 0,
        "responses_non_2xx": 0,
        "requests_per_s": 1061.28,
        "seconds": 21.11,
        "latency_mean_ms": 10.56,
        "latency_p50_ms": 8.34,
        "latency_p99_ms": 67.56,
    }


def test_wrk_counts_requests_without_an_answer_and_answers_with_an_error() -> None:
    metrics = parsed(NginxWrk(), "web_errors_closed")
    assert (metrics["requests_failed"], metrics["responses_non_2xx"]) == (4, 3014)


@pytest.mark.parametrize("load", [NginxAb(arrivals=OPEN), NginxWrk(arrivals=OPEN)], ids=lambda load: load.kind)
def test_open_arrivals_are_counted_from_when_they_were_due(load: LoadModel) -> None:
    assert parsed(load, "nginx_open") == {
        "requests_completed": 8515,
        "requests_failed": 0,
        "responses_non_2xx": 0,
        "requests_per_s": pytest.approx(402.7, abs=0.1),
        "seconds": 21.146,
        "arrivals": 8567,
        "arrivals_unanswered": 52,
        "oldest_unanswered_s": 0.124,
        "late_p99_ms": 20.014,
        "latency_mean_ms": 5.581,
        "latency_p50_ms": 3.88,
        "latency_p99_ms": 26.888,
    }


def test_requests_of_no_time_have_no_rate() -> None:
    assert NginxAb(arrivals=OPEN).parse(printed("nginx_open").replace("in 21.146 s", "in 0.000 s"), TIMING) == {}


def test_a_closed_loop_of_web_has_no_late_requests() -> None:
    metrics = parsed(Web(arrivals=Arrivals(closed=4)), "web_errors_closed")
    assert "late_p99_ms" not in metrics
    assert metrics["responses_non_2xx"] == 3014


def test_pgbench_gives_the_percentiles_of_its_log() -> None:
    assert parsed(Pgbench(), "pgbench") == {
        "operations": 63171,
        "seconds": 7.48,
        "transactions_per_s": pytest.approx(8445.3, abs=0.1),
        "latency_mean_ms": 0.435,
        "latency_p50_ms": 0.049,
        "latency_p99_ms": 7.092,
    }


LOGGING = r"""#!/bin/sh
printf '0 1 %d 0 1700000000 %d\n' 900 100000 1100 600000 >transactions.1
exec sleep 1000
"""


def test_pgbench_reads_its_log_when_its_unit_is_stopped(tmp_path: Path) -> None:
    load, program = Pgbench(), tmp_path / "pgbench"
    program.write_text(LOGGING)
    program.chmod(0o755)
    for name, text in load.files(TIMING).items():
        (tmp_path / name).write_text(text)
    with (tmp_path / "out").open("wb") as out:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
        argv = ["env", "--default-signal=INT", *load.command()]
        shell = subprocess.Popen(argv, cwd=tmp_path, env=environment, stdout=out, stderr=out, start_new_session=True)
    try:
        waiting.until(lambda: [path for path in tmp_path.glob("transactions.*") if path.stat().st_size])
        to = os.killpg if load.stops_all else os.kill
        to(shell.pid, signal.Signals[load.stop_signal])
        shell.wait(waiting.LIMIT_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
    assert load.parse((tmp_path / "out").read_text(), TIMING)["operations"] == 2


def test_redis_counts_whole_tests_and_merges_their_latencies() -> None:
    metrics = parsed(Redis(), "redis_7_0")  # one whole test of SET, and the beginning of one of GET
    assert metrics == {
        "operations": 20000,
        "seconds": 3.77,
        "operations_per_s": pytest.approx(5305, abs=1),
        "latency_p50_ms": 0.191,
        "latency_p99_ms": 14.103,
    }


def test_redis_reads_the_reports_of_version_6_0() -> None:
    metrics = parsed(Redis(), "redis_6_0")  # 13 tests of 2000, most of them with latencies in whole milliseconds
    assert (metrics["operations"], metrics["latency_p50_ms"], metrics["latency_p99_ms"]) == (26_000, 1.0, 11.0)


@pytest.mark.parametrize(
    ("load", "name"),
    [
        (NginxWrk(), "nginx_wrk"),
        (NginxWrk(arrivals=OPEN), "nginx_open"),
        (Web(), "web"),
        (Pgbench(), "pgbench"),
        (Redis(), "redis_6_0"),
        (Redis(), "redis_7_0"),
    ],
    ids=lambda value: getattr(value, "kind", value),
)
def test_an_output_that_ends_anywhere_is_read_without_an_error(load: LoadModel, name: str) -> None:
    text = printed(name)
    for end in range(0, len(text), 37):
        assert all(isinstance(value, int | float) for value in load.parse(text[:end], TIMING).values())


@pytest.mark.parametrize(
    ("load", "argv"),
    [
        (NginxAb(arrivals=Arrivals(closed=7)), ["ab", "-q", "-n", "1000000", "-c", "7", "http://127.0.0.1/"]),
        (
            NginxWrk(arrivals=Arrivals(closed=7), threads=2, path="/page"),
            [
                "wrk",
                "--threads",
                "2",
                "--connections",
                "7",
                "--duration",
                "24h",
                "--timeout",
                "30s",
                "--latency",
                "http://127.0.0.1/page",
            ],
        ),
        (
            Redis(tests=("get",), pipeline=4),
            [
                "redis-benchmark",
                "-h",
                "127.0.0.1",
                "-l",
                "-t",
                "get",
                "-n",
                "2000",
                "-c",
                "10",
                "-P",
                "4",
                "-d",
                "100",
                "-r",
                "1000",
            ],
        ),
    ],
)
def test_parameters_become_words_of_the_command(load: LoadModel, argv: list[str]) -> None:
    assert load.command() == argv


def test_open_arrivals_are_sent_by_wrk_as_often_as_connections_are_kept() -> None:
    closing, keeping = NginxAb(arrivals=OPEN), NginxAb(arrivals=OPEN, keepalive=True)
    assert closing.command()[0] == keeping.command()[0] == "wrk"
    assert "Connection: close" in closing.command()
    assert "Connection: close" not in keeping.command()


@pytest.mark.parametrize("kind", [NginxAb, NginxWrk, Web])
def test_only_a_closed_loop_must_keep_the_cpu_busy(kind: Any) -> None:
    assert not kind(arrivals=OPEN).keeps_cpu_busy
    assert kind(arrivals=Arrivals(closed=3)).keeps_cpu_busy


def test_the_pages_of_web_come_in_their_shares_and_from_the_seed() -> None:
    load = Web(static_share=0.5, write_share=0.2, search_share=0.1)
    pages = list(islice(load._requests(Random(1)), 10_000))
    found = {word: sum(word in page for page in pages) / len(pages) for word in ("static", "reply\t", "search")}
    assert found == {
        "static": pytest.approx(0.5, abs=0.02),
        "reply\t": pytest.approx(0.2, abs=0.02),
        "search": pytest.approx(0.1, abs=0.02),
    }
    assert pages == list(islice(load._requests(Random(1)), 10_000))


def test_the_topics_of_web_exist() -> None:
    pages = islice(Web(topics=3, static_share=0, search_share=0)._requests(Random(1)), 1000)
    assert {page.split("/")[2] for page in pages} == {"1", "2", "3"}


def test_shares_of_pages_that_are_more_than_all_are_refused() -> None:
    with pytest.raises(ValidationError, match="add up to at most 1"):
        Web(static_share=0.6, search_share=0.6)


def test_more_threads_of_wrk_than_connections_are_refused() -> None:
    with pytest.raises(ValidationError, match="at most as many threads as connections: 2"):
        NginxWrk(threads=3, connections=2)


def test_files_of_a_load_do_not_take_the_names_of_the_trial() -> None:
    """Beside them the trial writes what starts each command, and what it prints."""
    for load in (Web(), Pgbench(), Redis(), NginxAb(arrivals=OPEN)):
        assert not {"load.sh", "load.txt", "prepare.sh", "prepare.txt"} & set(load.files(TIMING))
