"""Time of one prediction, in Python and as exported C, beside the cost of a context switch on this machine.

    python benchmarks/inference.py                      # on a synthetic source
    python benchmarks/inference.py RECORDING            # on a recording: trees and tables depend on their training data

A prediction is one step: read the event that happened, return the most likely next task. Python is the predictor's
session, with eager torch for networks. ONNX Runtime is measured if its packages are installed (see `onnx_step`).
Networks are trained for one epoch: their weights do not change the time.
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
ROUNDS = 7  # the fastest counts: other load can only slow a round down


@dataclass(frozen=True)
class Row:
    """Nanoseconds per prediction of one model. `c_ns` has one number per entry of FLAGS; `onnx_ns` is for networks."""

    name: str
    python_ns: float
    onnx_ns: float | None
    c_ns: tuple[float, ...]


def in_python(predictor: Predictor, stream: Stream) -> float:
    """Return nanoseconds per step of the predictor's session."""
    session = predictor.session(Segment(stream, 0, 1))
    if session is None:
        raise SystemExit("this predictor has no session")
    slice_us = stream.slice_us()
    steps = min(PYTHON_STEPS, len(stream))
    began = time.process_time_ns()
    for event in range(steps):
        session.marks().argmax()
        session.push(int(stream.mark[event]), float(slice_us[event]), int(stream.end_state[event]))
    return (time.process_time_ns() - began) / steps


def in_c(source: Path, stream: Stream, flags: Sequence[str]) -> float:
    """Return nanoseconds per step of the exported C, compiled by gcc with these flags."""
    library = source.with_name("_".join([source.stem, *(flag.strip("-").replace("=", "_") for flag in flags)]) + ".so")
    names = [f'-DHEADER="{source.stem}.h"', f"-DNAME={source.stem}", f"-I{source.parent}"]
    gcc("-shared", "-fPIC", *flags, *names, "-o", str(library), str(source), str(HERE / "stepping.c"))
    step = ctypes.CDLL(str(library)).stepping_ns
    step.restype = ctypes.c_double
    events = np.resize(c_events(stream), C_STEPS)
    hits = ctypes.c_long()
    arguments = events.ctypes.data_as(ctypes.c_void_p), ctypes.c_long(len(events)), ctypes.byref(hits)
    return min(step(*arguments) for _ in range(ROUNDS))


def in_onnx(predictor: Predictor, stream: Stream, folder: Path) -> float | None:
    """Return nanoseconds per step in ONNX Runtime; None if it is not installed or this is no network."""
    if not onnx_step.installed() or not isinstance(predictor, Recurrent):
        return None
    return min(onnx_step.step_ns(predictor, stream, folder) for _ in range(3))


def c_events(stream: Stream) -> np.ndarray:
    """Return the stream (n,) as the event struct of the exported C."""
    events = np.empty(len(stream), EVENT)
    events["mark"], events["end_state"], events["slice_ns"] = stream.mark, stream.end_state, stream.slice_ns
    return events


def switch_ns(folder: Path) -> float:
    """Return nanoseconds per context switch, with its read and its write."""
    gcc("-O2", "-o", str(folder / "switching"), str(HERE / "switching.c"))
    return min(float(subprocess.check_output([str(folder / "switching")])) for _ in range(ROUNDS))


def gcc(*arguments: str) -> None:
    """Run gcc."""
    subprocess.run(["gcc", *arguments], check=True)


def measure(dataset: streams.Dataset, folder: Path) -> list[Row]:
    """Fit, export, compile and measure every model."""
    stream = dataset.test[0].stream
    rows = []
    for name, (kind, settings, quantized) in MODELS.items():
        predictor = create(kind, settings)
        predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
        checkpoint.save(folder / kind, Checkpoint(predictor, kind, dataset.vocabulary, "task", {}))
        python_ns = min(in_python(predictor, stream) for _ in range(3))
        onnx_ns = in_onnx(predictor, stream, folder / kind)
        for quantize in quantized:
            source, _ = export_c.export(folder / kind, folder / quantize, quantize=quantize)
            label = f"{name}, {quantize}" if len(quantized) > 1 else name
            rows.append(Row(label, python_ns, onnx_ns, tuple(in_c(source, stream, flags) for flags in FLAGS)))
    return rows


def report(dataset: streams.Dataset, rows: list[Row], switch_ns: float) -> None:
    """Print the table, in nanoseconds of CPU time; the last column is the number of predictions per context switch."""
    events = len(dataset.test[0].stream)
    print(f"{events:,} events, {len(dataset.vocabulary)} marks, one thread, torch {torch.__version__}")
    print("ns of CPU time per prediction; C compiled " + ", or ".join(f"{' '.join(flags)}" for flags in FLAGS))
    heads = ("Python", "ONNX Runtime", "C, first", "C, second", "at most", "per switch")
    print(f"{'':26}" + "".join(f"{head:>14}" for head in heads))
    for row in rows:
        limit = next(limit for name, limit in LIMITS_NS.items() if row.name.startswith(name))
        onnx = "-" if row.onnx_ns is None else f"{row.onnx_ns:,.0f}"
        numbers = (f"{row.python_ns:,.0f}", onnx, *(f"{ns:,.1f}" for ns in row.c_ns), f"{limit:,}")
        print(f"{row.name:26}" + "".join(f"{n:>14}" for n in numbers) + f"{switch_ns / row.c_ns[-1]:14,.1f}")
    print(f"a context switch, its read and its write: {switch_ns:,.0f} ns (pipes between two processes on one CPU)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("recording", nargs="?", type=Path, help="a folder with a slices table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.recording or Path(scratch) / "source"
        if arguments.recording is None:
            synthetic.write(folder, synthetic.Source(tasks=24, seed=0), events=60_000)
        dataset = streams.load([folder])
        report(dataset, measure(dataset, Path(scratch)), switch_ns(Path(scratch)))


if __name__ == "__main__":
    main()
