"""A run folder as what is sent to a tracker: parameters, results of the trials, scores, and the files worth having."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from harness import load_results, plan, spec
from harness.counted import counted
from harness.plan import Arm
from harness.report import load_rows, score_rows
from harness.store import RunFolder
from harness.store import label as labels
from harness.store.experiment_file import NAME as EXPERIMENT
from harness.store.manifest import NAME as MANIFEST
from harness.store.manifest import SHOWN, text_sha256
from harness.tracking.tracker import Point, SentFile, SentRun
from harness.visible import visible, visible_lines

FILES = (MANIFEST, EXPERIMENT, "report/index.html", "models/*/scores.json")
Steps = Mapping[str, Mapping[str, Any]]


def of(folder: RunFolder) -> SentRun:
    """Return a run as its folder has it now; recordings and tables stay where they are.

    The arms of a run with several are runs of their own within it, with metrics of the same names; the run itself then
    has what is of all of them. Raises StoreError, SpecError.
    """
    manifest, experiment, scores = folder.manifest, folder.experiment, score_rows.read(folder)
    arms = plan.arms(experiment)
    whole = SentRun(
        key=text_sha256(f"{folder.path.name} {manifest['created']}")[:32],
        name=visible(folder.path.name),
        experiment=experiment.name,
        state=folder.state,
        began_ms=_ms(manifest["created"]),
        ended_ms=None if folder.state == "running" else _last_ms(manifest["steps"], manifest["created"]),
        question=visible_lines(experiment.question or ""),
        commit=manifest.get("versions", {}).get("commit"),
        tags=_tags(manifest, _trials(manifest["steps"]), folder.state)
        | {"label": visible(labels.read(folder.path) or ""), "best predictor": _best(scores)},
        parameters=_without(flattened(spec.to_dict(experiment)), [path for arm in arms for path in arm.settings]),
        points=tuple(_of_all(manifest)),
        files=tuple(_files(folder.path)) if folder.state != "running" else (),
    )
    rows = {arm.name: [row for row in scores.rows if len(arms) == 1 or _arm_of(row) == arm.name] for arm in arms}
    sent = [_arm(whole, manifest, arm, rows[arm.name]) for arm in arms]
    if len(sent) > 1:
        return replace(whole, arms=tuple(sent))
    return replace(whole, parameters=sent[0].parameters, points=whole.points + sent[0].points)


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested values by their paths, as text in the spelling of JSON; a list of plain values is one text."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{path}.")
        elif isinstance(value, Sequence) and any(isinstance(item, Mapping) for item in value):
            flat |= flattened({str(number): item for number, item in enumerate(value)}, f"{path}.")
        else:
            flat[path] = visible_lines(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return flat


def _arm(whole: SentRun, manifest: Mapping[str, Any], arm: Arm, scores: Sequence[Mapping[str, Any]]) -> SentRun:
    trials = _trials(manifest["steps"], arm.name)
    known = manifest.get("arms", {}).get(arm.name, {})
    return replace(
        whole,
        key=f"{whole.key} {arm.name}",
        name=visible(arm.name),
        tags={**_tags({**manifest, **known}, trials, whole.state), "arm": visible(arm.name)},
        parameters=flattened(spec.to_dict(arm.experiment)),
        points=(*_of_trials(trials), *_of_load(manifest, arm.name, trials), *_of_scores(manifest, arm.name, scores)),
        files=(),
    )


def _without(parameters: dict[str, str], paths: Sequence[str]) -> dict[str, str]:
    """Leave out what differs between arms."""
    return {
        name: value
        for name, value in parameters.items()
        if not any(name == path or name.startswith(f"{path}.") for path in paths)
    }


def _tags(manifest: Mapping[str, Any], trials: Steps, state: str) -> dict[str, str]:
    """Return what the run, or an arm of it, was recorded on, and whether its recordings may be used."""
    host, box, machine = manifest.get("host") or {}, manifest.get("box") or {}, manifest.get("machine") or {}
    usable = sum(step["state"] == "done" for step in trials.values())
    complete = "passed" if state == "done" else "incomplete"
    verdict = complete if usable == len(trials) else "failed"
    tags = {
        "harness.version": manifest.get("versions", {}).get("harness"),
        "host": f"{host.get('cpu')}, {counted(host.get('cores') or 0, 'CPU')}" if host else None,
        "host.id": host.get("id"),
        "host.kernel": host.get("kernel"),
        "box": box.get("name"),
        "box.digest": box.get("digest"),
        "kernel": machine.get("kernel") or box.get("kernel"),
        "clock": machine.get("clock"),
        "accelerator": machine.get("accelerator"),
        "verdict": verdict if trials and state != "running" else None,
        "usable trials": f"{usable} of {len(trials)} recorded" if trials else None,
        "error": manifest.get("error"),
    }
    return {name: visible(value) for name, value in tags.items() if value}


def _best(scores: score_rows.RunScores) -> str:
    best = scores.best
    if best is None:
        return ""
    return visible(f"{best['predictor']} of {best['arm']}" if scores.several_arms else best["predictor"])


def _of_all(manifest: Mapping[str, Any]) -> Iterator[Point]:
    """Yield how many trials may be used so far."""
    trials = _trials(manifest["steps"])
    usable = sum(step["state"] == "done" for step in trials.values())
    if trials:
        yield Point("trials/usable", usable, _last_ms(trials), len(trials))


def _of_trials(trials: Steps) -> Iterator[Point]:
    """Yield what each usable trial measured; the step is the trial's number in the run."""
    for name, step in trials.items():
        if step["state"] != "done":
            continue
        detail = step["detail"]
        values = {result.key: result.values[0] for result in load_results.results(detail)}
        values |= {key: detail[key] for key in SHOWN if detail.get(key) is not None}
        for metric, value in values.items():
            yield Point(f"trial/{metric}", value, _end_ms(step), int(name.partition("_")[0]))


def _of_load(manifest: Mapping[str, Any], arm: str, trials: Steps) -> Iterator[Point]:
    """Yield the mean over the usable trials so far, and their standard deviation."""
    for row in load_rows.read(manifest):
        if row["arm"] == arm:
            for end, value in (("", row["mean"]), ("_sd", row["sd"])):
                if value is not None:
                    yield Point(f"load/{row['metric']}{end}", value, _last_ms(trials), row["trials"])


def _of_scores(manifest: Mapping[str, Any], arm: str, scores: Sequence[Mapping[str, Any]]) -> Iterator[Point]:
    """Yield the scores of each predictor, means over its seeds, with the ends of their 95 % intervals."""
    for row in scores:
        predictor, _, online = row["predictor"].partition(", ")
        scored = _last_ms(_models(manifest["steps"], arm, predictor), manifest["created"])
        for column in score_rows.ESTIMATES:
            for key in (column, f"{column}_low", f"{column}_high"):
                if row[key] is not None:
                    yield Point(f"{predictor} {online}".strip() + f"/{key}", row[key], scored)


def _arm_of(row: Mapping[str, Any]) -> str:
    """Return the arm of a row of scores, which names the clock, too, where an arm was recorded with several."""
    return str(row["arm"]).partition(", clock ")[0]


def _files(folder: Path) -> Iterator[SentFile]:
    """Yield the small files that say most: no recording, no table and no model."""
    for pattern in FILES:
        for path in sorted(folder.glob(pattern)):
            inside = path.parent.relative_to(folder).as_posix()
            yield SentFile(path, "" if inside == "." else inside)


def _trials(steps: Steps, arm: str | None = None) -> Steps:
    """Return the trials that ended, of one arm or of all, by their names, in recording order."""
    return {
        name.removeprefix("trial:"): step
        for name, step in sorted(steps.items())
        if name.startswith("trial:")
        and step["state"] in ("done", "failed")
        and arm in (None, step["detail"].get("arm"))
    }


def _models(steps: Steps, arm: str, predictor: str) -> Steps:
    """Return the models of one predictor, for all its seeds."""
    wanted = {"arm": arm, "predictor": predictor}
    return {
        name: step
        for name, step in steps.items()
        if name.startswith("model:") and wanted.items() <= step["detail"].items()
    }


def _last_ms(steps: Steps, default: str = "1970-01-01T00:00:00Z") -> int:
    """Return when the last of these steps ended: the same each time that the run is sent."""
    return max(map(_end_ms, steps.values()), default=_ms(default))


def _end_ms(step: Mapping[str, Any]) -> int:
    return _ms(step.get("started") or "1970-01-01T00:00:00Z") + round(1000 * (step["seconds"] or 0.0))


def _ms(time: str) -> int:
    return round(1000 * datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp())
