"""Arms without a tracer in comparisons: what their loads got, and what their kernels counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import campaign_run
import pytest

from harness.comparison import compare
from harness.comparison.measured.metrics import is_of_load
from harness.comparison.repeat.measurement import measure
from harness.errors import UsageError
from harness.store import RunFolder

PERF, NONE = "ab__tracer-perf", "ab__tracer-none"
OF_A_TRACE = ("switches", "contested_share", "idle_share", "tracer_share", "quality")


def campaign(path: Path, *untraced: str, connections: float = 0.0) -> RunFolder:
    """Eight blocks in which perf costs 4 % of the requests; the kernels of both arms count switches and connections."""
    rates = [480.0, 481.5, 479.0, 480.5, 482.0, 478.5, 480.0, 481.0]
    run = campaign_run.make(path, {PERF: [0.96 * rate for rate in rates], NONE: rates})
    for folder in (path / "trials").iterdir():
        known: dict[str, Any] = json.loads((folder / "trial.json").read_text())
        rate = known["metrics"]["requests_per_s"]
        known |= {"tracer": "perf", "guest_switches_per_s": 5 * rate, "guest_idle_share": 0.002}
        known |= {"guest_connections_per_s": connections * rate}
        if known["arm"] in untraced:
            known = {key: value for key, value in known.items() if key not in OF_A_TRACE} | {"tracer": "none"}
            (folder / "slices.parquet").unlink()
        (folder / "trial.json").write_text(json.dumps(known))
    return run


def test_a_traced_and_an_untraced_arm_are_compared_by_load_and_kernel_and_the_rest_is_named(tmp_path: Path) -> None:
    result = compare([campaign(tmp_path / "run", NONE)])
    names = [effect.metric.name for effect in result.effects]
    assert names == ["requests/s", "guest switches/s", "guest idle share", "host share"]
    cost = result.effect("requests/s")
    assert round(cost.value, 4) == round(1 / 0.96 - 1, 4)
    assert cost.outcome == "higher"
    assert result.effect("guest switches/s").metric.better is None
    assert {"switches/s", "contested share", "slice p50", "tracer share"} <= {*result.missing["first"]}
    assert result.missing["second"] == ()
    assert "guest switches/s and guest idle share: as the guest's kernel counted" in result.design.notes


def test_a_metric_that_one_side_has_is_not_called_unknown(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run", NONE)
    for metric in ("slice p50", "slice"):
        with pytest.raises(UsageError, match=f"metric '{metric}' is not on both sides: only tracer-perf has it"):
            compare([run], metrics=["requests/s", metric])
    with pytest.raises(UsageError, match="no metric 'slcie p50'"):
        compare([run], metrics=["slcie p50"])


def test_connections_that_the_kernel_counted_are_compared_where_a_load_makes_them_and_are_no_rate_of_the_load(
    tmp_path: Path,
) -> None:
    run = campaign(tmp_path / "run", NONE, connections=1.1)
    result = compare([run])
    assert round(result.effect("guest connections/s").value, 4) == round(1 / 0.96 - 1, 4)
    assert result.primary == "requests/s"
    assert result.effect("guest connections/s").metric.better is None
    assert not is_of_load("guest connections/s")


def test_two_traced_arms_are_not_compared_twice_by_the_same(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    names = [effect.metric.name for effect in compare([run]).effects]
    assert not [name for name in names if name.startswith("guest ")]
    assert not [note for note in compare([run]).design.notes if "kernel counted" in note]
    assert {"switches/s", "idle share"} <= {*names}
    (wanted,) = compare([run], metrics=["guest switches/s"]).effects
    assert wanted.metric.name == "guest switches/s"


def test_a_traced_arm_of_an_earlier_version_lacks_nothing_that_its_trace_has(tmp_path: Path) -> None:
    run = campaign(tmp_path / "run")
    for path in (tmp_path / "run" / "trials").glob(f"*_{PERF}/trial.json"):
        known = {key: value for key, value in json.loads(path.read_text()).items() if not key.startswith("guest_")}
        path.write_text(json.dumps(known))
    assert compare([run]).missing == {"first": (), "second": ()}


def test_a_repetition_compares_only_the_load_of_an_arm_without_a_tracer(tmp_path: Path) -> None:
    measured = measure(campaign(tmp_path / "run", NONE))
    assert [metric for arm, metric in measured if arm == NONE] == ["requests/s"]
    assert len([metric for arm, metric in measured if arm == PERF]) > 5
