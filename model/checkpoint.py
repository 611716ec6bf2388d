"""A fitted predictor on disk: arrays in `weights.safetensors`, everything else in `config.json`. Never a pickle."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy

from model.data.marks import Vocabulary
from model.errors import CheckpointError, NoModelError, SettingError
from model.files import WEIGHT_ERRORS, is_changed, read_bytes, read_json, sealed, write_atomic
from model.predictor import Predictor
from model.predictors import create

SCHEMA = 1
CONFIG, WEIGHTS = "config.json", "weights.safetensors"
FIELDS = {"predictor": str, "settings": dict, "mark": str, "vocabulary": list, "weights_sha256": str, "about": dict}


@dataclass(frozen=True)
class Checkpoint:
    """A predictor, its name in `KINDS`, its marks, and what else is stored with it (`about`)."""

    predictor: Predictor
    kind: str
    vocabulary: Vocabulary
    mark: str
    about: Mapping[str, object]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write both files of a checkpoint, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: np.ascontiguousarray(array) for name, array in checkpoint.predictor.arrays().items()}
    weights = safetensors.numpy.save(arrays)
    config = {
        "schema": SCHEMA,
        "predictor": checkpoint.kind,
        "regime": checkpoint.predictor.inputs,
        "settings": checkpoint.predictor.settings(),
        "mark": checkpoint.mark,
        "vocabulary": list(checkpoint.vocabulary.names),
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "about": dict(checkpoint.about),
    }
    write_atomic(folder / WEIGHTS, weights)
    write_atomic(folder / CONFIG, json.dumps(sealed(config), indent=1).encode())


def load(folder: Path) -> Checkpoint:
    """Rebuild a predictor from its folder. CheckpointError if a file is missing, changed, or of another schema."""
    config = _config(Path(folder) / CONFIG)
    path = Path(folder) / WEIGHTS
    weights = _bytes(path)
    if hashlib.sha256(weights).hexdigest() != config["weights_sha256"]:
        raise CheckpointError(f"{path}: not the weights that {CONFIG} was written with: train again")
    try:
        predictor = create(config["predictor"], config["settings"])
    except SettingError as error:
        raise CheckpointError(f"{Path(folder) / CONFIG}: {error}: train again with this version") from error
    try:
        arrays = safetensors.numpy.load(weights)
        _require_numbers(path, arrays)
        predictor.restore(arrays)
    except WEIGHT_ERRORS as error:
        raise CheckpointError(f"{path}: does not fit a {config['predictor']} ({error}): train again") from error
    vocabulary = Vocabulary(tuple(config["vocabulary"]))
    return Checkpoint(predictor, config["predictor"], vocabulary, config["mark"], config["about"])


@contextmanager
def applied(folder: Path) -> Iterator[None]:
    """Turn an error of a stored predictor at work into a CheckpointError: no array that was trained leads to one.

    Weights whose hash is right may still have been made by hand. Too little memory is this host's trouble.
    """
    try:
        yield
    except MemoryError:
        raise
    except WEIGHT_ERRORS as error:
        what = f"{type(error).__name__}: {error}"
        raise CheckpointError(f"{Path(folder) / WEIGHTS}: no weights to predict with ({what}): train again") from error


def sizes(recordings: Sequence[Path]) -> list[list[object]]:
    """Return the name of each recording and the bytes of its slices, which identify it wherever it is copied."""
    return [[Path(folder).name, (Path(folder) / "slices.parquet").stat().st_size] for folder in recordings]


def _config(path: Path) -> dict:
    try:
        config = read_json(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error}): train again") from error
    if not isinstance(config, dict) or config.get("schema") != SCHEMA:
        schema = config.get("schema") if isinstance(config, dict) else type(config).__name__
        raise CheckpointError(f"{path}: checkpoint schema {schema}: this version reads {SCHEMA}; train again")
    wrong = sorted(name for name, kind in FIELDS.items() if not isinstance(config.get(name), kind))
    if wrong or not all(isinstance(name, str) for name in config["vocabulary"]):
        raise CheckpointError(f"{path}: lacks {', '.join(wrong) or 'names in its vocabulary'}: train again")
    if is_changed(config):
        raise CheckpointError(f"{path}: not as it was written, as its SHA-256 differs: train again")
    return config


def _bytes(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    absent = path.name == CONFIG and isinstance(error, (FileNotFoundError, NotADirectoryError))
    kind = NoModelError if absent else CheckpointError
    return kind(f"{path}: {error.strerror}: expected the folder of a trained predictor")


def _require_numbers(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise CheckpointError for weights that are not finite: nothing trains to such, and scores would be none."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(f"{path}: its array {name} holds values that are no finite numbers: train again")
