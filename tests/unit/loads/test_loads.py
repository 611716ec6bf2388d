"""Loads: their commands, and how they parse their output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.loads import KINDS, Idle, NginxAb, StressNg, Timing
from harness.loads.example import example_of

TIMING = Timing(seed=1, warmup_s=5.0, seconds=50.0)

# The final statistics of ab 2.3, interrupted by SIGINT.
AB_OUTPUT = """This is ApacheBench, Version 2.3 <$Revision: 1903618 $>
Benchmarking 127.0.0.1 (be patient)...

Server Software:        nginx/1.22.1
Server Hostname:        127.0.0.1
Server Port:            80

Document Path:          /
Document Length:        186 bytes

Concurrency Level:      5
Time taken for tests:   21.841 seconds
Complete requests:      5720
Failed requests:        2
   (Connect: 0, Receive: 0, Length: 2, Exceptions: 0)
Non-2xx responses:      3
Total transferred:      2379520 bytes
HTML transferred:       1063920 bytes
Requests per second:    261.90 [#/sec] (mean)
Time per request:       19.091 [ms] (mean)
Time per request:       3.818 [ms] (mean, across all concurrent requests)
Transfer rate:          106.40 [Kbytes/sec] received

Connection Times (ms)
              min  mean[+/-sd] median   max
Connect:        1    5   2.1      5      18
Processing:     3   14   4.1     13      61
Waiting:        1   10   3.4     10      52
Total:          8   19   4.8     18      66

Percentage of the requests served within a certain time (ms)
  50%     18
  66%     20
  75%     21
  80%     22
  90%     25
  95%     28
  98%     32
  99%     36
 100%     66 (longest request)
"""


def test_ab_runs_with_the_parameters_of_the_load() -> None:
    load = NginxAb(requests=100, concurrency=7, keepalive=True, path="/page")
    assert load.command() == ["ab", "-q", "-k", "-n", "100", "-c", "7", "http://127.0.0.1/page"]


def test_ab_never_sends_more_requests_at_once_than_in_total() -> None:
    assert NginxAb(requests=3, concurrency=50).command()[-2] == "3"


def test_the_statistics_of_ab_are_read() -> None:
    assert NginxAb().parse(AB_OUTPUT, TIMING) == {
        "requests_completed": 5720,
        "requests_failed": 2,
        "responses_non_2xx": 3,
        "requests_per_s": 261.9,
        "seconds": 21.841,
        "latency_mean_ms": 19.091,
        "latency_p50_ms": 18.0,
        "latency_p99_ms": 36.0,
    }


def test_no_line_of_non_2xx_responses_means_zero() -> None:
    without = AB_OUTPUT.replace("Non-2xx responses:      3\n", "")
    assert NginxAb().parse(without, TIMING)["responses_non_2xx"] == 0


def test_a_killed_ab_reports_nothing() -> None:
    assert (
        NginxAb().parse("Benchmarking 127.0.0.1 (be patient)...\napr_socket_recv: Connection refused (111)\n", TIMING)
        == {}
    )


def test_stress_ng_metrics_are_read() -> None:
    output = (
        "stress-ng: info:  [601] dispatching hogs: 2 switch\n"
        "stress-ng: info:  [601] stressor       bogo ops real time  usr time  sys time   bogo ops/s     bogo ops/s\n"
        "stress-ng: info:  [601]                           (secs)    (secs)    (secs)   (real time) (usr+sys time)\n"
        "stress-ng: info:  [601] switch           523776      5.00      0.61      4.29    104742.44      106893.06\n"
    )
    assert StressNg().parse(output, TIMING) == {"operations": 523776, "seconds": 5.0, "operations_per_s": 104742.44}


def test_an_idle_machine_is_not_expected_to_be_busy() -> None:
    assert not Idle().keeps_cpu_busy


@pytest.mark.parametrize("path", ["no-slash", "/with space", "/\n", ""])
def test_an_invalid_path_is_refused(path: str) -> None:
    with pytest.raises(ValidationError):
        NginxAb(path=path)


@given(st.text())
def test_no_parser_fails_on_any_output(output: str) -> None:
    for kind in KINDS.values():
        assert isinstance(example_of(kind).parse(output, TIMING), dict)
