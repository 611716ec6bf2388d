"""A mix: its parts, what it reads of their outputs, and how experiment files name them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import ValidationError

from harness import plan, spec
from harness.errors import SpecError
from harness.loads import Idle, Mix, NginxAb, StressNg, Timing

TIMING = Timing(seed=1, warmup_s=5.0, seconds=50.0)
AB = "Complete requests:      {}\nFailed requests:        0\nRequests per second:    261.90 [#/sec] (mean)\n"
FILE = """name: both
question: Which task is next?
machine: {box: debian-12}
load:
  kind: mix
  parts:
    - kind: nginx_ab
      concurrency: 2
    - {kind: stress_ng, workers: 1}
    - {kind: nginx_ab, keepalive: true}
"""


def mix(*parts: Any) -> Mix:
    return Mix.model_validate({"parts": parts})


def test_the_parts_of_a_mix_are_named_by_their_kinds_also_two_of_one_kind() -> None:
    both = mix(NginxAb(), StressNg(), NginxAb(concurrency=1))
    names = ["nginx_ab.requests_completed", "nginx_ab-2.requests_completed"]  # of stress_ng, none is limited
    assert [limit.metric for limit in both.limits] == names
    assert both.roles == (*NginxAb.roles, *StressNg.roles)


def test_each_part_reads_its_own_output() -> None:
    both = mix(NginxAb(), Idle(), NginxAb())
    first, second = AB.format(7), AB.format(9)
    output = f"==> nginx_ab <==\n{first}\n==> idle <==\n\n==> nginx_ab-2 <==\n{second}\n"
    metrics = both.parse(output, TIMING)
    assert metrics["nginx_ab.requests_completed"] == 7
    assert metrics["nginx_ab-2.requests_completed"] == 9
    assert not any(key.startswith("idle") for key in metrics)


@pytest.mark.parametrize("output", ["", "==> nginx_ab <==\n", AB.format(1), "==> idle <==\n" + AB.format(1)])
def test_a_part_whose_output_is_missing_measured_nothing(output: str) -> None:
    assert mix(NginxAb(), Idle()).parse(output, TIMING) == {}


def test_a_mix_leaves_a_cpu_idle_only_if_each_part_does() -> None:
    assert mix(Idle(), NginxAb()).keeps_cpu_busy
    assert not mix(Idle(), Idle()).keeps_cpu_busy


def test_the_parts_draw_different_numbers_and_the_first_those_of_a_load_alone() -> None:
    assert TIMING.of_part(0) == TIMING
    assert len({TIMING.of_part(index).seed for index in range(20)} | {TIMING.seed + 1}) == 21


def test_a_mix_of_one_load_or_of_a_mix_is_refused() -> None:
    for parts in ((NginxAb(),), ({"kind": "mix", "parts": []}, NginxAb()), ({"kind": "nginx"}, NginxAb()), (3, 4)):
        with pytest.raises(ValidationError):
            mix(*parts)


def refused(text: str, overrides: dict[str, str] | None = None) -> str:
    with pytest.raises(SpecError) as caught:
        spec.load_bytes(text.encode(), "both.yaml", overrides)
    return str(caught.value)


def test_what_is_wrong_in_a_part_has_its_line_and_column() -> None:
    text = FILE.replace("concurrency: 2", "concurrenzy: 2").replace("workers: 1", "workers: none")
    text += "    - {workers: 2}\n    - {kind: nginx}\n    - {kind: mix, parts: []}\n    - 7\n  more: 1\n"
    message = refused(text)
    assert "both.yaml:8:7: unknown key in load.parts[0]: 'concurrenzy'" in message
    assert "did you mean 'concurrency'?" in message
    assert "both.yaml:9:34: load.parts[1].workers is 'none'" in message
    assert "both.yaml:11:7: load.parts[3].kind is missing" in message
    assert "both.yaml:12:14: unknown load 'nginx'" in message
    assert "both.yaml:13:14: load.parts[5] is a mix within a mix" in message
    assert "both.yaml:14:7: load.parts[6] is 7" in message
    assert "both.yaml:15:3: unknown key in load: 'more'" in message


@pytest.mark.parametrize(
    ("parts", "why"), [("[]", "has 0 loads"), ("[{kind: idle}]", "has 1 load"), ("7", "is 7"), (None, "is missing")]
)
def test_a_mix_without_parts_is_refused(parts: str | None, why: str) -> None:
    head = FILE.partition("  parts:")[0]
    assert f"load.parts {why}\n" in refused(head + (f"  parts: {parts}\n" if parts else ""))


def loads_of(overrides: dict[str, str]) -> Sequence[Mix]:
    return [cast(Mix, arm.experiment.load) for arm in plan.arms(spec.load_bytes(FILE.encode(), "both.yaml", overrides))]


def test_a_parameter_of_a_part_can_be_set_and_swept() -> None:
    sweep = "{load.parts.1.workers: [1, 4], load.parts.2.requests: [5, 6]}"
    loads = loads_of({"load.parts.0.concurrency": "9", "sweep": sweep})
    assert {load.parts[0].concurrency for load in loads} == {9}
    assert [(load.parts[1].workers, load.parts[2].requests) for load in loads] == [(1, 5), (1, 6), (4, 5), (4, 6)]


def test_the_parts_themselves_can_be_swept_and_name_the_arms() -> None:
    one, two = '[{"kind": "nginx_ab"}, {"kind": "idle"}]', '[{"kind": "nginx_ab"}, {"kind": "stress_ng"}]'
    arms = plan.arms(spec.load_bytes(FILE.encode(), "both.yaml", {"sweep": f"{{load.parts: [{one}, {two}]}}"}))
    assert [arm.name for arm in arms] == ["mix__parts-nginx-ab-idle", "mix__parts-nginx-ab-stress-ng"]


@pytest.mark.parametrize(
    ("overrides", "why"),
    [
        ({"load.parts.9.workers": "1"}, "load.parts[9] is not a mapping"),
        ({"sweep": "{load.parts.1.concurrency: [1]}"}, "unknown path in sweep: 'load.parts.1.concurrency'"),
        ({"sweep": "{load.parts.1.workers: [1, 0]}"}, "in sweep: load.parts[1].workers is 0"),
        ({"sweep": "{load.parts: [[{kind: idle}, {kind: idel}]]}"}, "did you mean 'idle'?"),
    ],
)
def test_a_wrong_part_on_the_command_line_is_refused(overrides: dict[str, str], why: str) -> None:
    assert why in refused(FILE, overrides)


def test_a_mix_stays_the_same_in_a_stored_experiment() -> None:
    experiment = spec.load_bytes(FILE.encode(), "both.yaml")
    stored = json.loads(json.dumps(spec.to_dict(experiment)))
    assert spec.from_dict(stored, Path("both.yaml"), FILE) == experiment


def test_the_plan_shows_each_part() -> None:
    row = plan.describe(plan.trials(spec.load_bytes(FILE.encode(), "both.yaml")))[0]
    assert row.load.startswith("mix + nginx_ab concurrency=2")
    assert " + stress_ng workers=1 + nginx_ab " in row.load
