"""Finds the stored model that a command is given: its folder, or a run, a trial or a folder of models, and a name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from harness.cli.output import note
from harness.errors import UsageError
from harness.visible import visible

CONFIG, WEIGHTS, MANIFEST, TRIALS = "config.json", "weights.safetensors", "manifest.json", "trials"


@dataclass(frozen=True)
class _Stored:
    """A model's folder, its predictor, its seed, and the trials that it learned from."""

    folder: Path
    predictor: str
    seed: int
    trials: tuple[str, ...]


def find_model(given: str, predictor: str | None, runs_dir: Path) -> Path:
    """Return the folder of the one model that is meant; of several seeds the lowest, with a note. Raises UsageError.

    `given` is the folder of a model or a file in it, a folder of models, a run by path or name, or one of its trials:
    then a model that learned from it. `predictor` is the name of a predictor, or of a model's folder.
    """
    path = Path(given)
    if path.name in (CONFIG, WEIGHTS):
        path = path.parent
    if (path / CONFIG).exists():
        return _require(path, predictor)
    folder, trial = _models_of(path, given, runs_dir)
    models = [model for model in _stored_in(folder) if trial is None or trial in model.trials]
    if not models:
        learned = f" that learned from {trial}" if trial else ""
        raise UsageError(f"no model{learned} here", where=given, expected="a model's folder, or a run with models")
    named = [model for model in models if predictor in (None, model.predictor, model.folder.name)]
    kinds = {(model.predictor, model.trials) for model in named}
    if len(kinds) != 1 or (len(named) > 1 and predictor is None):
        raise _not_one(given, predictor, models, named)
    return _first_seed(named)


def _require(folder: Path, predictor: str | None) -> Path:
    """Return the folder of a model. Raises UsageError if it is that of another predictor than the one named."""
    model = _read(folder)
    if predictor in (None, folder.name, model.predictor if model else None):
        return folder
    raise UsageError(f"this model is no {predictor}", where=str(folder), expected=model.predictor if model else None)


def _models_of(path: Path, given: str, runs_dir: Path) -> tuple[Path, str | None]:
    """Return the folder in which the models lie, and the trial that they learned from if one was given."""
    from harness import store

    if path.is_dir() and not (path / MANIFEST).exists() and any(path.glob(f"*/{CONFIG}")):
        return path, None
    if path.is_dir() and path.resolve().parent.name == TRIALS:
        return path.resolve().parents[1] / "models", path.resolve().name
    run, _, trial = given.partition("/")
    if trial and not path.exists():
        return store.resolve(runs_dir, run) / "models", trial.removeprefix(f"{TRIALS}/").rstrip("/")
    return store.resolve(runs_dir, given) / "models", None


def _stored_in(folder: Path) -> list[_Stored]:
    return [model for path in sorted(folder.glob(f"*/{CONFIG}")) if (model := _read(path.parent))]


def _read(folder: Path) -> _Stored | None:
    """Return what is needed to choose a model; None of one that cannot be read."""
    from model.files import read_json

    try:
        config = read_json(folder / CONFIG)
        about = config.get("about") or {}
        trials = tuple(map(str, about.get("trials") or ()))
        return _Stored(folder, str(config["predictor"]), int(about.get("seed") or 0), trials)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _first_seed(models: Iterable[_Stored]) -> Path:
    first, *others = sorted(models, key=lambda model: model.seed)
    if others:
        names = ", ".join(visible(model.folder.name) for model in others)
        note(f"note: this is {visible(first.folder.name)}; other seeds of it: {names}")
    return first.folder


def _not_one(given: str, predictor: str | None, models: list[_Stored], named: list[_Stored]) -> UsageError:
    names = ", ".join(model.folder.name for model in (named or models))
    what = f"{len(named)} models" if named else f"no model of {predictor}"
    if named and predictor:
        what += f" of {predictor}"
    return UsageError(f"{what} here", where=given, expected=f"--predictor with one of: {names}")
