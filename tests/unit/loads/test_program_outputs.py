"""What loads read in the real outputs of their programs (of Debian 12), whole, cut anywhere, and empty."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.load_results import results
from harness.loads import (
    Compile,
    Encode,
    Fio,
    Hackbench,
    Load,
    Metrics,
    PerfBenchMessaging,
    RtApp,
    StressNg,
    Sysbench,
    Timing,
)

OUTPUTS = Path(__file__).parents[2] / "data" / "load_outputs"
TIMING = Timing(seed=1, warmup_s=5.0, seconds=10.0)
LOADS: dict[str, Load] = {
    "compile": Compile(),
    "encode": Encode(),
    "fio": Fio(),
    "fio_randrw": Fio(pattern="randrw", direct=False),
    "hackbench": Hackbench(loops=500),
    "hackbench_threads": Hackbench(loops=500, threads=True, pipes=True),
    "perf_bench_messaging": PerfBenchMessaging(loops=50),
    "rt_app": RtApp(),
    "stress_ng_switch": StressNg(),
    "sysbench_cpu": Sysbench(test="cpu"),
    "sysbench_memory": Sysbench(test="memory"),
    "sysbench_mutex": Sysbench(test="mutex"),
    "sysbench_threads": Sysbench(),
}


def read(name: str) -> str:
    return (OUTPUTS / f"{name}.txt").read_text(encoding="utf-8")


def parse(name: str) -> Metrics:
    return LOADS[name].parse(read(name), TIMING)


@pytest.mark.parametrize("name", sorted(LOADS))
def test_a_whole_output_meets_the_limits_of_its_load(name: str) -> None:
    metrics = parse(name)
    for limit in LOADS[name].limits:
        value = metrics[limit.metric]
        assert isinstance(value, int | float)
        assert value >= (limit.at_least or 0)
        assert limit.at_most is None or value <= limit.at_most


@pytest.mark.parametrize("name", sorted(LOADS))
def test_a_whole_output_has_operations_and_their_rate(name: str) -> None:
    metrics = parse(name)
    rate = metrics.get("operations_per_s") or metrics["frames_per_s"]
    assert float(metrics["operations"]) / float(metrics["seconds"]) == pytest.approx(float(rate), rel=0.01)


@pytest.mark.parametrize("name", sorted(LOADS))
def test_a_cut_output_never_counts_more_than_the_whole_one(name: str) -> None:
    output, whole = read(name), parse(name)
    for end in range(0, len(output), max(1, len(output) // 50)):
        cut = LOADS[name].parse(output[:end], TIMING)
        assert cut.get("operations", 0) <= whole["operations"]  # type: ignore[operator]


@pytest.mark.parametrize("name", sorted(LOADS))
def test_an_empty_output_has_no_metrics(name: str) -> None:
    assert LOADS[name].parse("", TIMING) == {}


def test_the_time_of_a_round_that_was_stopped_is_not_counted() -> None:
    output, metrics = read("hackbench"), parse("hackbench")
    stopped = "Running in process mode\nSignal 2 caught, longjmp'ing out!\nTime: 99.0\n"
    assert LOADS["hackbench"].parse(output + stopped, TIMING) == metrics


def test_a_message_is_counted_for_each_sender_and_each_receiver_of_its_group() -> None:
    once = "Running in process mode with 2 groups\nTime: 2.000\n"
    assert Hackbench(groups=2, fds=3, loops=5).parse(once, TIMING)["operations"] == 2 * 3 * 3 * 5


def test_counters_that_stress_ng_found_corrupted_are_not_reported() -> None:
    assert StressNg().parse(read("stress_ng_corrupted"), TIMING) == {}


def test_sysbench_gives_latencies_of_events() -> None:
    assert {"latency_mean_ms", "latency_p99_ms"} <= set(parse("sysbench_threads"))
    assert "latency_p99_ms" not in parse("sysbench_mutex")  # of many rounds


def test_a_parameter_of_another_test_of_sysbench_is_refused() -> None:
    with pytest.raises(ValueError, match="thread_yields is a parameter of test threads, not of cpu"):
        Sysbench(test="cpu", thread_yields=7)


def test_an_error_of_fio_is_a_metric() -> None:
    broken = read("fio").replace('"error" : 0', '"error" : 5')
    assert Fio().parse(broken, TIMING)["errors"] == 5


@pytest.mark.parametrize("workload", ["periodic", "bursty", "mixed"])
def test_threads_of_rt_app_ask_for_the_share_of_the_cpu_that_was_set(workload: str) -> None:
    load = RtApp.model_validate({"workload": workload, "threads": 5, "busy_percent": 50})
    tasks = json.loads(load.files(TIMING)["rt_app.json"])["tasks"]
    assert len(tasks) == 5
    assert sum(share(task) for task in tasks.values()) == pytest.approx(0.5, rel=0.01)


def share(task: dict[str, object]) -> float:
    """Return the share of a CPU that a thread of rt-app's file asks for, if it never waits for the CPU."""
    run, span = 0, 0
    for phase in task.get("phases", {"only": task}).values():  # type: ignore[attr-defined]
        loops = phase.get("loop", 1)
        run += loops * phase.get("run", 0)
        span += loops * (phase.get("run", 0) + phase.get("sleep", 0)) if "timer" not in phase else 0
        span += loops * phase["timer"]["period"] if "timer" in phase else 0
    return run / span


def test_own_threads_of_rt_app_are_written_as_they_are() -> None:
    tasks = {"worker": {"instance": 2, "run": 1000, "sleep": 500}}
    load = RtApp.model_validate({"tasks": tasks})
    assert json.loads(load.files(TIMING)["rt_app.json"])["tasks"] == tasks


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tasks": {"worker": {"run": 1000, "loop": 5}}}, "without end"),
        ({"tasks": {"worker": [1]}}, "must be a mapping"),
        ({"tasks": {"worker": {"run": 1000}}, "threads": 3}, "threads says nothing where tasks are given"),
        ({"tasks": {"two words": {"run": 1000}}}, "pattern"),
    ],
)
def test_threads_that_rt_app_would_ignore_or_end_are_refused(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RtApp.model_validate(parameters)


@pytest.mark.parametrize("name", sorted(LOADS))
def test_what_a_load_measures_is_what_it_says_that_it_measures(name: str) -> None:
    found = {result.key for result in results({"metrics": parse(name)})}
    assert next(iter(LOADS[name].measures or ())) in found  # its rate comes first
    assert found <= {*(LOADS[name].measures or ())}
