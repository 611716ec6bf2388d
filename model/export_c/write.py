"""Writing a stored predictor as a C file and its header."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

from model import checkpoint
from model.checkpoint import CONFIG, WEIGHTS, Checkpoint
from model.data.clocks import Clock
from model.data.streams import STATES
from model.errors import CheckpointError, SettingError
from model.export_c import count_table, recurrent, tree
from model.export_c.literals import comment, fill, string_array
from model.export_c.parts import Parts
from model.export_c.quantize import QUANTIZE
from model.files import write_atomic
from model.predictors.count_based import CountBased
from model.predictors.decision_tree import DecisionTree
from model.predictors.recurrent import Recurrent

TABLES = ("markov", "slice_markov")
NETWORKS = ("gru", "lstm")
EXPORTED = (*TABLES, "decision_tree", *NETWORKS)


def export(model_folder: Path, out_dir: Path, *, quantize: str = "float") -> list[Path]:
    """Write the predictor stored in `model_folder` as NAME.c and NAME.h, named after the folder.

    The C is C99, allocates nothing and needs only the standard headers. `quantize` is `float` or, for networks, `int8`.
    The same model gives the same files. CheckpointError if the model cannot be read or the files cannot be written,
    SettingError if there is no C for this predictor.
    """
    model_folder, out_dir = Path(model_folder), Path(out_dir)
    if quantize not in QUANTIZE:
        raise SettingError(f"unknown quantization {quantize!r}: expected one of {', '.join(QUANTIZE)}")
    stored = checkpoint.load(model_folder)
    name = identifier(model_folder.resolve().name)
    parts = _parts(name, stored, quantize)
    about = _about(model_folder, stored, quantize, parts)
    texts = {f"{name}.c": _source(name, stored, parts, about), f"{name}.h": _header(name, stored, parts, about)}
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for file, content in texts.items():
            write_atomic(out_dir / file, content.encode())
    except OSError as error:
        raise CheckpointError(f"{out_dir}: {error.strerror}: expected a folder that can be written to") from error
    return [out_dir / file for file in texts]


def identifier(name: str) -> str:
    """Return a folder's name as a C identifier of plain ASCII."""
    plain = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_") or "predictor"
    return f"model_{plain}" if plain[0].isdigit() else plain


def _parts(name: str, stored: Checkpoint, quantize: str) -> Parts:
    predictor, kind = stored.predictor, stored.kind
    if quantize == "int8" and kind in EXPORTED and kind not in NETWORKS:
        raise SettingError(f"a {kind} has no weights to put into 8 bits: only {' and '.join(NETWORKS)} have")
    if kind in TABLES and isinstance(predictor, CountBased):
        return count_table.write_parts(name, predictor)
    if isinstance(predictor, DecisionTree):
        return tree.write_parts(name, predictor)
    if kind in NETWORKS and isinstance(predictor, Recurrent):
        return recurrent.write_parts(name, kind, predictor, quantize)
    raise SettingError(f"a {kind} cannot be exported to C: {', '.join(EXPORTED)} can")


def _about(folder: Path, stored: Checkpoint, quantize: str, parts: Parts) -> str:
    """Return the comment at the start of both files."""
    hashes = [f"{file} sha256 {hashlib.sha256((folder / file).read_bytes()).hexdigest()}" for file in (CONFIG, WEIGHTS)]
    lines = [
        f"A {stored.kind} that predicts which task the scheduler picks next. Generated: change the model instead.",
        "",
        f"Checkpoint {json.dumps(folder.resolve().name)}, {len(stored.vocabulary)} marks ({stored.mark}), {quantize}:",
        *hashes,
        f"Trained with {Clock.of(stored.about)}: it predicts recordings of that clock only.",
        "",
        parts.exactness,
    ]
    return comment(lines)


def _header(name: str, stored: Checkpoint, parts: Parts, about: str) -> str:
    values = {"marks": len(stored.vocabulary), "end_states": len(STATES), "state": "\n".join(parts.state)}
    return fill("header.h", name=name, NAME=name.upper(), about=about, **values) + "\n"


def _source(name: str, stored: Checkpoint, parts: Parts, about: str) -> str:
    marks = string_array(f"{name}_mark_names", list(stored.vocabulary.names), "MARKS")
    states = string_array(f"{name}_end_state_names", list(STATES), "END_STATES")
    values = {"names": f"{marks}\n\n{states}", "code": parts.code}
    return fill("common.c", name=name, NAME=name.upper(), about=about, **values) + "\n"
