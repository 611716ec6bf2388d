"""Predictors exported to C predict the same, on a real recording, as in Python."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from compiled import Compiled
from locations import DATA

from model import checkpoint, export_c
from model.checkpoint import Checkpoint
from model.data import streams
from model.data.streams import Dataset, Segment, Stream
from model.errors import CheckpointError, SettingError
from model.export_c.count_table import GOLDEN, slots
from model.predictor import ignore_progress
from model.predictors import create

pytestmark = pytest.mark.slow

RECORDING = DATA / "cfs_6_1"
SMALL = {"max_epochs": 3, "learning_rate": 0.01}
KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "markov": ("markov", {"order": 3}),
    "order_0": ("markov", {"order": 0}),
    "slice_markov": ("slice_markov", {}),
    "tree": ("decision_tree", {"depth": 10}),
    "gru": ("gru", {"hidden": 32, **SMALL}),
    "gru_marks": ("gru", {"hidden": 11, "layers": 2, "regime": "marks", **SMALL}),
    "lstm": ("lstm", {"hidden": 51, "layers": 2, **SMALL}),
}
EXACT = ("markov", "order_0", "slice_markov", "tree")
NETWORKS = ("gru", "gru_marks", "lstm")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return streams.load([RECORDING], mark="task")


@pytest.fixture(scope="module")
def stream(dataset: Dataset) -> Stream:
    return dataset.train[0].stream


@pytest.fixture(scope="module")
def models(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One stored model per name in KINDS."""
    folder = tmp_path_factory.mktemp("models")
    for name, (kind, settings) in KINDS.items():
        predictor = create(kind, settings)
        predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
        checkpoint.save(folder / name, Checkpoint(predictor, kind, dataset.vocabulary, "task", {}))
    return folder


def in_python(folder: Path, stream: Stream) -> np.ndarray:
    """(n, marks) probabilities of the stored model, from the stream's first event on."""
    return np.exp(checkpoint.load(folder).predictor.predict(Segment(stream, 0, len(stream))).log_probs)


def in_c(folder: Path, out: Path, stream: Stream, quantize: str = "float") -> tuple[np.ndarray, ...]:
    source, _ = export_c.export(folder, out, quantize=quantize)
    return Compiled(source, len(checkpoint.load(folder).vocabulary)).walk(stream)


@pytest.mark.parametrize("name", EXACT)
def test_tables_and_trees_predict_the_same_bit_for_bit(name: str, models: Path, stream: Stream, tmp_path: Path) -> None:
    predictor = checkpoint.load(models / name).predictor
    mark, probability, distribution = in_c(models / name, tmp_path, stream)
    logs = predictor.predict(Segment(stream, 0, len(stream))).log_probs
    np.testing.assert_array_equal(np.log(distribution), logs)
    np.testing.assert_array_equal(mark, distribution.argmax(axis=1))
    np.testing.assert_array_equal(probability, distribution.max(axis=1))


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_predict_the_same_within_float_precision(
    name: str, models: Path, stream: Stream, tmp_path: Path
) -> None:
    expected = in_python(models / name, stream)
    mark, probability, distribution = in_c(models / name, tmp_path, stream)
    assert np.abs(distribution - expected).max() < 1e-5
    np.testing.assert_allclose(probability, expected.max(axis=1), atol=1e-5)
    two = np.sort(expected, axis=1)[:, -2:]
    clear = two[:, 1] - two[:, 0] > 2e-5  # equal probabilities have no order
    np.testing.assert_array_equal(mark[clear], expected.argmax(axis=1)[clear])
    assert clear.mean() > 0.99


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_of_eight_bits_cost_less_than_a_point_of_top1(
    name: str, models: Path, stream: Stream, tmp_path: Path
) -> None:
    expected = in_python(models / name, stream)
    mark, _, distribution = in_c(models / name, tmp_path, stream, "int8")
    loss = (expected.argmax(axis=1) == stream.mark).mean() - (mark == stream.mark).mean()
    assert loss < 0.01
    distance = np.abs(distribution - expected).sum(axis=1) / 2
    assert 0 < distance.mean() < 0.02  # total variation; 0 would mean that no weight was rounded


@pytest.mark.parametrize("quantize", ["float", "int8"])
@pytest.mark.parametrize("name", ["gru", "gru_marks", "lstm"])
def test_every_instruction_set_gives_the_same_bits(
    name: str, quantize: str, models: Path, stream: Stream, tmp_path: Path
) -> None:
    walks = []
    for index, flags in enumerate((["-O2"], ["-O2", "-U__SSE2__"], ["-O3", "-march=native", "-fno-trapping-math"])):
        source, _ = export_c.export(models / name, tmp_path / str(index), quantize=quantize)
        compiled = Compiled(source, len(checkpoint.load(models / name).vocabulary), (*flags, "-ffp-contract=off"))
        walks.append(compiled.walk(stream))
    for other in walks[1:]:
        for left, right in zip(walks[0], other, strict=True):
            np.testing.assert_array_equal(left, right)


def test_a_table_of_another_strength_is_the_same_in_c(models: Path, stream: Stream, tmp_path: Path) -> None:
    stored = checkpoint.load(models / "slice_markov")
    distributions = []
    for strength in (1, 16):
        stored.predictor.counts.strength = strength  # type: ignore[attr-defined]
        checkpoint.save(tmp_path / f"table_{strength}", stored)
        _, _, distribution = in_c(tmp_path / f"table_{strength}", tmp_path / f"c_{strength}", stream)
        logs = stored.predictor.predict(Segment(stream, 0, len(stream))).log_probs
        np.testing.assert_array_equal(np.log(distribution), logs)
        distributions.append(distribution)
    assert np.abs(distributions[0] - distributions[1]).max() > 0.1


def test_a_hash_table_holds_every_context_and_half_of_its_slots_are_free() -> None:
    keys = np.random.default_rng(0).choice(10**12, 5_000, replace=False) + 1
    bits, slot_key, slot_value = slots(keys, np.arange(5_000))
    assert len(slot_key) == 1 << bits >= 10_000
    filled = slot_key > 0
    assert dict(zip(slot_key[filled].tolist(), slot_value[filled].tolist(), strict=True)) == {
        key: index for index, key in enumerate(keys.tolist())
    }
    home = np.array([(key * GOLDEN % 2**64) >> (64 - bits) for key in slot_key[filled].tolist()])
    assert ((np.flatnonzero(filled) - home) % (1 << bits)).mean() < 1  # slots looked at beyond the first


@pytest.mark.parametrize("name", ["markov", "lstm"])
def test_the_same_model_gives_the_same_files_which_name_its_hash(name: str, models: Path, tmp_path: Path) -> None:
    first = export_c.export(models / name, tmp_path / "a")
    second = export_c.export(models / name, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [path.name for path in first] == [f"{name}.c", f"{name}.h"]
    digest = hashlib.sha256((models / name / checkpoint.WEIGHTS).read_bytes()).hexdigest()
    assert all(digest in path.read_text()[:800] for path in first)


@pytest.mark.parametrize("name", ["slice_markov", "tree", "gru"])
def test_codes_out_of_range_count_as_unknown(name: str, models: Path, stream: Stream, tmp_path: Path) -> None:
    source, _ = export_c.export(models / name, tmp_path)
    compiled = Compiled(source, len(checkpoint.load(models / name).vocabulary))
    distributions = []
    for event in ((2**31 - 1, -7, -(2**63)), (0, len(streams.STATES) - 1, 1), (1, 2, 10**6)):
        compiled.init()
        compiled.step(*event)
        distributions.append(compiled.distribution())
    np.testing.assert_array_equal(distributions[0], distributions[1])
    assert (distributions[0] != distributions[2]).any()


def test_names_of_marks_survive_any_characters(dataset: Dataset, models: Path, tmp_path: Path) -> None:
    stored = checkpoint.load(models / "markov")
    odd = ('say "hi"?', "back\\slash*/", "n\new??/line", "ü")
    names = (*odd, *dataset.vocabulary.names[len(odd) :])
    checkpoint.save(
        tmp_path / "9 odd", Checkpoint(stored.predictor, "markov", type(stored.vocabulary)(names), "task", {})
    )
    source, _ = export_c.export(tmp_path / "9 odd", tmp_path / "out")
    assert source.name == "model_9_odd.c"
    assert Compiled(source, len(names)).names("model_9_odd_mark_names") == list(names)


def test_a_predictor_without_export_is_an_error_that_lists_those_with_one(
    dataset: Dataset, models: Path, tmp_path: Path
) -> None:
    predictor = create("most_frequent", {})
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    checkpoint.save(tmp_path / "m", Checkpoint(predictor, "most_frequent", dataset.vocabulary, "task", {}))
    with pytest.raises(SettingError, match=r"most_frequent cannot be exported.*lstm can"):
        export_c.export(tmp_path / "m", tmp_path / "out")
    with pytest.raises(SettingError, match="expected one of float, int8"):
        export_c.export(models / "gru", tmp_path / "out", quantize="int4")
    with pytest.raises(SettingError, match="no weights to put into 8 bits"):
        export_c.export(models / "tree", tmp_path / "out", quantize="int8")
    assert not (tmp_path / "out").exists()


def test_changed_weights_are_not_exported(models: Path, tmp_path: Path) -> None:
    for file in (checkpoint.CONFIG, checkpoint.WEIGHTS):
        (tmp_path / file).write_bytes((models / "markov" / file).read_bytes())
    (tmp_path / checkpoint.WEIGHTS).write_bytes(b"other")
    with pytest.raises(CheckpointError, match="not the weights"):
        export_c.export(tmp_path, tmp_path / "out")
