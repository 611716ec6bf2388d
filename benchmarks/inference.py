"""How long one prediction takes, in Python and as exported C, beside what a context switch costs on this machine.

    python benchmarks/inference.py                      # on a source made for it
    python benchmarks/inference.py RECORDING            # on a recording: trees and tables depend on what they learned

A prediction is one step: take in the event that happened, say which task is most likely next. Python is this package's
own session, with eager torch for networks. ONNX Runtime is measured where `onnxruntime`, `onnx` and `onnxscript` are
installed. Networks are trained for one epoch: their weights do not change the time.
"""

from __future__ import annotations

import argparse
import ctypes
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx_step
import torch

from model import checkpoint, export_c
from model.checkpoint import Checkpoint
from model.data import streams, synthetic
from model.data.streams import Segment, Stream
from model.predictor import Predictor, ignore_progress
from model.predictors import create
from model.predictors.recurrent import Recurrent

HERE = Path(__file__).parent
ONE_EPOCH = {"max_epochs": 1}
MODELS: dict[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "GRU 32": ("gru", {"hidden": 32, **ONE_EPOCH}, ("float", "int8")),
    "LSTM 51 x 2": ("lstm", {"hidden": 51, "layers": 2, **ONE_EPOCH}, ("float", "int8")),
    "decision tree, depth 10": ("decision_tree", {"depth": 10}, ("float",)),
    "table, order 3": ("markov", {"order": 3}, ("float",)),
}
FLAGS = (("-O2",), ("-O3", "-march=native", "-fno-trapping-math"))
LIMITS_NS = {"GRU 32": 500, "LSTM 51 x 2": 3_000, "decision tree, depth 10": 50, "table, order 3": 50}
EVENT = np.dtype([("mark", np.int32), ("end_state", np.int32), ("slice_ns", np.int64)])
PYTHON_STEPS = 2_000
C_STEPS = 200_000
ROUNDS = 7  # the fastest counts: whatever else runs can only slow a round down


@dataclass(frozen=True)
class Row:
    """One model; nanoseconds per prediction, in C one for each of FLAGS; ONNX Runtime has only networks."""

    name: str
    python_ns: float
    onnx_ns: float | None
    c_ns: tuple[float, ...]


def in_python(predictor: Predictor, stream: Stream) -> float:
    """Nanoseconds per step of the package's own session."""
    session = predictor.session(Segment(stream, 0, 1))
    if session is None:
        raise SystemExit("this predictor cannot be walked")
    slice_us = stream.slice_us()
    steps = min(PYTHON_STEPS, len(stream))
    began = time.process_time_ns()
    for event in range(steps):
        session.marks().argmax()
        session.push(int(stream.mark[event]), float(slice_us[event]), int(stream.end_state[event]))
    return (time.process_time_ns() - began) / steps


def in_c(source: Path, stream: Stream, flags: Sequence[str]) -> float:
    """Nanoseconds per step of the exported C, compiled by gcc with these flags."""
    library = source.with_name("_".join([source.stem, *(flag.strip("-").replace("=", "_") for flag in flags)]) + ".so")
    named = [f'-DHEADER="{source.stem}.h"', f"-DNAME={source.stem}", f"-I{source.parent}"]
    build("-shared", "-fPIC", *flags, *named, "-o", str(library), str(source), str(HERE / "stepping.c"))
    step = ctypes.CDLL(str(library)).stepping_ns
    step.restype = ctypes.c_double
    events = np.resize(recorded(stream), C_STEPS)
    right = ctypes.c_long()
    arguments = events.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(len(events)), ctypes.byref(right)
    return min(step(*arguments) for _ in range(ROUNDS))


def in_onnx(predictor: Predictor, stream: Stream, folder: Path) -> float | None:
    """Nanoseconds per step in ONNX Runtime; None where there is none, or no network."""
    if not onnx_step.installed() or not isinstance(predictor, Recurrent):
        return None
    return min(onnx_step.step_ns(predictor, stream, folder) for _ in range(3))


def recorded(stream: Stream) -> np.ndarray:
    """(n,) the stream as the C takes it."""
    events = np.empty(len(stream), EVENT)
    events["mark"], events["end_state"], events["slice_ns"] = stream.mark, stream.end_state, stream.slice_ns
    return events


def switching(folder: Path) -> float:
    """Nanoseconds per context switch, with its read and its write."""
    build("-O2", "-o", str(folder / "switching"), str(HERE / "switching.c"))
    return min(float(subprocess.check_output([str(folder / "switching")])) for _ in range(ROUNDS))


def build(*arguments: str) -> None:
    """Run gcc."""
    subprocess.run(["gcc", *arguments], check=True)


def rows(dataset: streams.Dataset, folder: Path) -> list[Row]:
    """Fit, export, compile and measure every model."""
    stream = dataset.test[0].stream
    found = []
    for name, (kind, settings, quantized) in MODELS.items():
        predictor = create(kind, settings)
        predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
        checkpoint.save(folder / kind, Checkpoint(predictor, kind, dataset.vocabulary, "task", {}))
        python_ns = min(in_python(predictor, stream) for _ in range(3))
        onnx_ns = in_onnx(predictor, stream, folder / kind)
        for quantize in quantized:
            source, _ = export_c.export(folder / kind, folder / quantize, quantize=quantize)
            label = f"{name}, {quantize}" if len(quantized) > 1 else name
            found.append(Row(label, python_ns, onnx_ns, tuple(in_c(source, stream, flags) for flags in FLAGS)))
    return found


def report(dataset: streams.Dataset, found: list[Row], switch_ns: float) -> None:
    """The table, in nanoseconds of CPU time; the last column says how many fit into one context switch."""
    events = len(dataset.test[0].stream)
    print(f"{events:,} events, {len(dataset.vocabulary)} marks, one thread, torch {torch.__version__}")
    print("ns of CPU time per prediction; C compiled " + ", or ".join(f"{' '.join(flags)}" for flags in FLAGS))
    heads = ("Python", "ONNX Runtime", "C, first", "C, second", "at most", "per switch")
    print(f"{'':26}" + "".join(f"{head:>14}" for head in heads))
    for row in found:
        limit = next(limit for name, limit in LIMITS_NS.items() if row.name.startswith(name))
        onnx = "-" if row.onnx_ns is None else f"{row.onnx_ns:,.0f}"
        numbers = (f"{row.python_ns:,.0f}", onnx, *(f"{ns:,.1f}" for ns in row.c_ns), f"{limit:,}")
        print(f"{row.name:26}" + "".join(f"{n:>14}" for n in numbers) + f"{switch_ns / row.c_ns[-1]:14,.1f}")
    print(f"a context switch, its read and its write: {switch_ns:,.0f} ns (pipes between two processes on one CPU)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", nargs="?", type=Path, help="a folder with a slices table")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as made:
        folder = asked.recording or Path(made) / "source"
        if asked.recording is None:
            synthetic.write(folder, synthetic.Source(tasks=24, seed=0), events=60_000)
        dataset = streams.load([folder])
        report(dataset, rows(dataset, Path(made)), switching(Path(made)))


if __name__ == "__main__":
    main()
