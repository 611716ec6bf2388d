"""Whether the trials of an experiment will have the metric that it is to be compared by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness.load_results import results
from harness.spec.document import Keys
from harness.spec.fields import Experiment
from harness.spec.problems import Problem, shown, unknown

OF_THE_GUEST = (  # which a trial has whatever traces it
    *("guest switches/s", "guest idle share", "host share"),
    "guest connections/s",  # a load that makes none has none, which is found after the first blocks
)
OF_A_TRACE = (
    "switches/s",
    *(f"{times} {quantile}" for times in ("slice", "wakeup latency") for quantile in ("p50", "p90", "p99")),
    *(f"{name} share" for name in ("contested", "idle", "tracer")),
)
OF_A_PREDICTOR = ("contested accuracy", "bits/switch")
OF_A_LOAD = ("/s", " latency")
METRIC: Keys = ("compare", "metric")


def metric_problems(arm: Experiment) -> Iterator[Problem]:
    """Report a `compare.metric` that no trial of an arm will have, so that no hour is recorded for it.

    What an installed load measures may be unknown: then a metric of it is found missing after the first blocks.
    """
    wanted = arm.compare.metric
    if wanted is None:
        return
    of_load = _of_load(arm)
    known = [*(of_load or ()), *OF_THE_GUEST, *(OF_A_TRACE if arm.record.tracer == "perf" else ())]
    if wanted in known:
        return
    if wanted.endswith(OF_A_PREDICTOR):
        yield from _score_problems(arm, wanted)
    elif wanted in OF_A_TRACE:
        what = f"compare.metric is {shown(wanted)}, and a trial without a tracer has none"
        yield Problem(METRIC, what, f"one of: {', '.join(known)}")
    elif of_load is not None or not wanted.endswith(OF_A_LOAD):
        yield unknown(METRIC, f"metric of {getattr(arm.load, 'kind', 'a load')}:", wanted, known)


def metric_of(arms: Sequence[Experiment]) -> str | None:
    """Return what arms are compared by before one of them is recorded: `compare.metric`, or what that being null means.

    The first rate that every load measures, else switches/s; None where only a trial shows what a load measures.
    """
    if arms[0].compare.metric is not None:
        return arms[0].compare.metric
    measured = [_of_load(arm) for arm in arms]
    shared = [name for name in measured[0] or () if all(name in (names or ()) for names in measured)]
    if None in measured:
        return None
    traced = all(arm.record.tracer == "perf" for arm in arms)
    return next((name for name in shared if name.endswith("/s")), OF_A_TRACE[0] if traced else OF_THE_GUEST[0])


def _of_load(arm: Experiment) -> list[str] | None:
    """Return the names of what the load measures, rates first; None where only a trial shows it."""
    keys = getattr(arm.load, "measures", None)
    return None if keys is None else [result.name for result in results({"metrics": dict.fromkeys(keys, 1.0)})]


def _score_problems(arm: Experiment, wanted: str) -> Iterator[Problem]:
    """Report a score that does not decide while a campaign is recorded, or of a predictor that is not trained."""
    known = [f"{name}: {score}" for name in arm.model.predictors for score in OF_A_PREDICTOR]
    if arm.trials.blocks == "auto":
        what = f"compare.metric is {shown(wanted)}, which is known after the last block: models are trained then"
        yield Problem(METRIC, what, "with trials.blocks: auto, a metric of the recordings, such as requests/s")
    elif wanted not in known:
        yield unknown(METRIC, "score of a predictor:", wanted, known)
