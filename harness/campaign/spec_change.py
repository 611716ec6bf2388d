"""A run that goes on with other models: the change is written down, and models of the old experiment are set aside.

Recordings stay as they are. A model that the new experiment does not want, or wants with other settings, is moved to
`models.set-aside/`, with its step, so that nothing is lost and nothing old is taken for an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Any

from harness import spec
from harness.campaign import blocks
from harness.campaign.training import planned_models
from harness.files import as_host_error, sync
from harness.spec import Experiment
from harness.store import RunFolder, experiment_file, input_files, spec_changes

MODEL, SET_ASIDE = "model:", "set-aside:"
OLD_REPORT = "the models changed after it was written"


def make(folder: RunFolder, experiment: Experiment, command: Sequence[str]) -> list[str]:
    """Replace the experiment of a run by one with other models; return the names of the models that were set aside."""
    with folder.lock():
        old = folder.manifest["spec"]
        new = {**old, "model": spec.to_dict(experiment)["model"]}
        if old["model"] == new["model"]:
            return []
        stale = list(_stale(folder, experiment, old["model"]))
        record = {**spec_changes.change(old, new, command), "set_aside": stale}
        folder.update(
            spec=new,
            **experiment_file.facts(experiment, folder.path.name, _files(folder)),
            spec_changes=[*folder.manifest.get("spec_changes", ()), record],
            steps=_with_models_set_aside(folder, stale),
            state="interrupted",
            error=None,
        )
        finish(folder)
    return stale


def finish(folder: RunFolder) -> None:
    """Write the changed experiment file, and move the folders of the models that are set aside; also after a kill."""
    _write_experiment_file(folder)
    steps = folder.manifest["steps"]
    for name, step in steps.items():
        source = step["detail"].get("moved_from")
        if not (name.startswith(SET_ASIDE) and isinstance(source, str)):
            continue
        origin = folder.path / "models" / PurePosixPath(source).name  # never outside of the run folder
        target = folder.path / _target(name.removeprefix(SET_ASIDE))
        if f"{MODEL}{origin.name}" in steps or target.exists() or not origin.is_dir():
            continue
        with as_host_error(target):
            target.parent.mkdir(exist_ok=True)
            origin.rename(target)
            sync(target.parent)


def _write_experiment_file(folder: RunFolder) -> None:
    """Write the file that the manifest has the SHA-256 of since a change, unless the folder has another name by now."""
    if not folder.manifest.get("spec_changes"):
        return
    current = experiment_file.facts(folder.experiment, folder.path.name, _files(folder))
    if current.items() <= folder.manifest.items():
        experiment_file.write(folder.path, folder.experiment, _files(folder))


def _files(folder: RunFolder) -> input_files.Entries:
    return dict(folder.manifest.get(input_files.KEY, {}))


def _stale(folder: RunFolder, experiment: Experiment, old: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the models that are not wanted any more, and of those trained with other settings."""
    wanted = {model.name: model.job for model in planned_models(folder, blocks.planned(experiment, folder))}
    same_data = (old["mark"], old["split"]) == (experiment.model.mark, list(experiment.model.split))
    for step, record in folder.manifest["steps"].items():
        name = step.removeprefix(MODEL)
        if not step.startswith(MODEL):
            continue
        if name not in wanted:
            yield name
        elif record["outputs"]:
            predictor = wanted[name].predictor
            if not same_data or old["params"].get(predictor, {}) != experiment.model.params.get(predictor, {}):
                yield name


def _with_models_set_aside(folder: RunFolder, stale: Sequence[str]) -> dict[str, Any]:
    """Return the steps of the manifest, those of `stale` models under other names and paths."""
    steps = folder.manifest["steps"]
    for name in stale:
        step, kept = steps.pop(f"{MODEL}{name}"), _free_name(folder, name, steps)
        outputs = {
            path.replace(f"models/{name}/", f"{_target(kept)}/", 1): digest for path, digest in step["outputs"].items()
        }
        moved = {"moved_from": f"models/{name}"} if (folder.path / "models" / name).is_dir() else {}
        steps[f"{SET_ASIDE}{kept}"] = {**step, "outputs": outputs, "detail": {**step["detail"], **moved}}
    if steps.get("report", {}).get("state") == "done":
        steps["report"] |= {"state": "interrupted", "error": OLD_REPORT}
    return steps


def _free_name(folder: RunFolder, name: str, steps: Mapping[str, Any]) -> str:
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(
        free for free in names if f"{SET_ASIDE}{free}" not in steps and not (folder.path / _target(free)).exists()
    )


def _target(name: str) -> str:
    return f"models.set-aside/{name}"
