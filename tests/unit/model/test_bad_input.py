"""Recordings, models and settings that cannot be used: each has one clear error."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import model
from model import checkpoint, jobs, predict, predictors
from model.data import find_recordings, synthetic
from model.errors import CheckpointError, PredictionError, SettingError, StreamError, TableError
from model.files import sealed
from model.jobs import Job
from model.predictors import create

SPLIT = (0.7, 0.15, 0.15)


def rewritten(recording: Path, out: Path, **columns: object) -> Path:
    """The slices of a recording with some columns replaced by one value each."""
    table = pq.read_table(recording / "slices.parquet")
    for name, value in columns.items():
        field = table.schema.field(name)
        values = pa.array([value] * len(table)).cast(field.type)
        table = table.set_column(table.schema.get_field_index(name), field, values)
    out.mkdir(parents=True)
    pq.write_table(table, out / "slices.parquet")
    return out


@pytest.fixture(scope="module")
def stored(source: synthetic.Source, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored")
    synthetic.write(folder / "tables", source, 2_000)
    jobs.run(Job((folder / "tables",), "markov", 0, "task", SPLIT, folder / "markov_s0"))
    return folder / "markov_s0"


@pytest.fixture
def copied(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "model"))


def test_a_recording_of_one_task_is_refused(recording: Path, tmp_path: Path) -> None:
    alone = rewritten(recording, tmp_path / "alone", comm="ab", tid=7)
    with pytest.raises(StreamError, match=r"only 'ab#0' runs in the train part: expected at least two tasks"):
        jobs.run(Job((alone,), "markov", 0, "task", SPLIT, tmp_path / "out"))
    assert not (tmp_path / "out" / "scores.json").exists()


@pytest.mark.slow
def test_tasks_that_were_never_learned_are_scored_as_unknown(
    stored: Path, source: synthetic.Source, tmp_path: Path
) -> None:
    synthetic.write(tmp_path / "plain", source, 2_000)
    strangers = rewritten(tmp_path / "plain", tmp_path / "strangers", comm="stranger")
    scored = predict.scores(stored, [strangers])
    assert scored["share_unknown"] == 1
    assert scored["overall"]["top1"] == 0  # to bet on a stranger names no task
    assert np.isfinite(scored["overall"]["bits_per_switch"])


def test_two_folders_of_different_kernels_are_refused(recording: Path, tmp_path: Path) -> None:
    for name, kernel in (("a", "5.10"), ("b", "6.1")):
        folder = rewritten(recording, tmp_path / name)
        (folder / "guest.json").write_text(json.dumps({"facts": {"kernel": kernel}}))
    with pytest.raises(StreamError, match=r"several kernels \(5\.10 in a; 6\.1 in b\)"):
        find_recordings.recordings([tmp_path / "a", tmp_path / "b"])


def test_weights_that_are_a_pickle_are_not_loaded(copied: Path) -> None:
    class Harmful:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (copied / "loaded",))

    content = pickle.dumps(Harmful())
    (copied / "weights.safetensors").write_bytes(content)
    config = json.loads((copied / "config.json").read_text())
    config["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (copied / "config.json").write_text(json.dumps(sealed(config)))
    with pytest.raises(CheckpointError, match="does not fit a markov"):
        checkpoint.load(copied)
    assert not (copied / "loaded").exists()


def with_weights(model_folder: Path, **changed: np.ndarray) -> Path:
    """Change arrays of a stored model, and its hash with them, as one who means harm would."""
    arrays = {**safetensors.numpy.load_file(model_folder / "weights.safetensors"), **changed}
    weights = safetensors.numpy.save(arrays)
    (model_folder / "weights.safetensors").write_bytes(weights)
    config = json.loads((model_folder / "config.json").read_text())
    changed_hash = {"weights_sha256": hashlib.sha256(weights).hexdigest()}
    (model_folder / "config.json").write_text(json.dumps(sealed({**config, **changed_hash})))
    return model_folder


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_although_their_hash_is_right(copied: Path, value: float) -> None:
    with pytest.raises(CheckpointError, match=r"its array slice_weights holds values that are no finite numbers"):
        checkpoint.load(with_weights(copied, slice_weights=np.full(3, value)))


def test_weights_that_lead_to_an_error_are_refused_although_their_hash_is_right(stored: Path, copied: Path) -> None:
    begin = safetensors.numpy.load_file(stored / "weights.safetensors")["0.begin"]
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: (does not fit|no weights to predict with)"):
        predict.scores(with_weights(copied, **{"0.begin": begin + 2**40}), [stored.parent / "tables"])


@pytest.mark.parametrize("claim", ["header", "offsets"])
def test_weights_that_claim_terabytes_are_refused_although_their_hash_is_right(copied: Path, claim: str) -> None:
    path, config = copied / checkpoint.WEIGHTS, copied / checkpoint.CONFIG
    whole = path.read_bytes()
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    next(value for name, value in header.items() if name != "__metadata__")["data_offsets"] = [0, 1 << 42]
    text = json.dumps(header).encode()
    claims = {"header": (1 << 40).to_bytes(8, "little") + whole[8:]}
    claims["offsets"] = len(text).to_bytes(8, "little") + text + whole[8 + size :]
    path.write_bytes(claims[claim])
    known = json.loads(config.read_text())
    config.write_text(json.dumps(sealed({**known, "weights_sha256": hashlib.sha256(claims[claim]).hexdigest()})))
    with pytest.raises(CheckpointError, match="does not fit"):
        checkpoint.load(copied)


def test_a_config_that_is_nested_too_deeply_is_refused(copied: Path) -> None:
    (copied / "config.json").write_text("[" * 200_000)
    with pytest.raises(CheckpointError, match=r"config\.json: not JSON \(it is nested too deeply\): train again"):
        checkpoint.load(copied)


@pytest.mark.parametrize("kind", [pa.string(), pa.float64(), pa.bool_(), pa.list_(pa.string()), pa.int64(), pa.null()])
@pytest.mark.parametrize("column", synthetic.SLICES.names)
def test_a_column_of_another_type_is_refused_by_name(recording: Path, tmp_path: Path, column: str, kind: Any) -> None:
    table = pq.read_table(recording / "slices.parquet")
    right = table.schema.field(column).type
    if kind == right or (pa.types.is_integer(kind) and pa.types.is_integer(right)):
        return
    if pa.types.is_string(kind) and pa.types.is_dictionary(right):
        return
    place = table.schema.get_field_index(column)
    (tmp_path / "odd").mkdir()
    pq.write_table(table.set_column(place, column, pa.nulls(len(table), kind)), tmp_path / "odd" / "slices.parquet")
    with pytest.raises(TableError, match=rf"slices\.parquet: its column {column} holds .*: expected .*; convert"):
        jobs.run(Job((tmp_path / "odd",), "markov", 0, "task", SPLIT, tmp_path / "out"))


def test_nothing_in_the_package_can_load_a_pickle() -> None:
    words = r"\bpickle\b|torch\.load|torch\.save|joblib|allow_pickle|\bmarshal\b|\beval\(|\bexec\("
    grep = subprocess.run(
        ["grep", "-rnE", words, "--include=*.py", str(Path(model.__file__).parent)], capture_output=True, text=True
    )
    harmless = ("Never a pickle", ".eval()", "safetensors.torch.")
    assert [line for line in grep.stdout.splitlines() if not any(one in line for one in harmless)] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"settings": {"order": "three"}}, "markov.order 'three': expected a whole number"),
        ({"settings": {"ordr": 3}}, "has no setting 'ordr'"),
        ({"settings": 5}, "lacks settings"),
        ({"predictor": "markow"}, "did you mean 'markov'"),
        ({"predictor": "gru", "settings": {}}, "does not fit a gru"),
        ({"vocabulary": [1, 2]}, "names in its vocabulary"),
        ({"schema": 2}, "checkpoint schema 2: this version reads 1"),
        ({"weights_sha256": "0"}, "not the weights"),
    ],
)
def test_a_config_that_was_changed_is_refused(copied: Path, change: dict[str, object], words: str) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(sealed({**config, **change})))
    with pytest.raises(CheckpointError, match=words):
        checkpoint.load(copied)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.data())
def test_a_model_of_any_bytes_is_refused_or_is_the_one_that_was_stored(copied: Path, drawn: st.DataObject) -> None:
    path = copied / drawn.draw(st.sampled_from(["config.json", "weights.safetensors"]))
    whole = path.read_bytes()
    place = drawn.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:place] + drawn.draw(st.binary(max_size=4)) + whole[place + drawn.draw(st.integers(0, 4)) :])
    message = ""
    try:
        checkpoint.load(copied)
    except PredictionError as error:
        message = str(error)
    path.write_bytes(whole)
    assert not message or str(copied) in message


@pytest.mark.parametrize(
    ("kind", "wrong", "words"),
    [
        ("gru", {"hidden": "wide"}, "gru.hidden 'wide': expected a whole number"),
        ("gru", {"hidden": True}, "hidden True: expected a whole number"),
        ("gru", {"max_seconds": [1]}, r"max_seconds \[1\]: expected a number from 0"),
        ("markov", {"order": 2.5}, "order 2.5: expected a whole number from 0 to 8, or null"),
    ],
)
def test_a_setting_of_another_type_is_refused(kind: str, wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        create(kind, wrong)


def test_an_integer_is_accepted_for_a_float() -> None:
    assert create("gru", {"max_seconds": 3, "learning_rate": 1}).settings()["max_seconds"] == 3


NETWORKS = ("gru", "lstm", "mingru", "transformer", "rmtpp", "nhp")
OUT_OF_RANGE = [
    *(
        (kind, name, value)
        for kind in NETWORKS
        for name in ("hidden", "steps", "lanes", "max_epochs")
        for value in (0, -3)
    ),
    *((kind, "learning_rate", value) for kind in NETWORKS for value in (0.0, -1.0, float("nan"), float("inf"))),
    *((kind, "slice_weight", float("nan")) for kind in NETWORKS),
    *((kind, "max_seconds", -1) for kind in NETWORKS),
    *((kind, "patience", 0) for kind in NETWORKS),
    ("lstm", "layers", 0),
    ("transformer", "hidden", 6),
    ("lstm", "seed", -1),
    ("decision_tree", "depth", 0),
    ("decision_tree", "least_in_leaf", 0),
    ("gradient_boosting", "leaves", 1),
    ("gradient_boosting", "rounds", 0),
    ("gradient_boosting", "learning_rate", float("nan")),
]


@pytest.mark.parametrize(("kind", "name", "value"), OUT_OF_RANGE)
def test_a_setting_out_of_its_range_is_refused_by_name(kind: str, name: str, value: object) -> None:
    if predictors.installed(kind):
        with pytest.raises(SettingError, match=rf"^({kind}\.)?{name} .+: expected "):
            create(kind, {name: value})
