"""One step of a recurrent predictor in ONNX Runtime, where `onnxruntime`, `onnx` and `onnxscript` are installed."""

from __future__ import annotations

import importlib.util
import logging
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from model.data.streams import Stream
from model.nn.batches import Scale
from model.nn.network import Inputs, Network
from model.predictors.recurrent import Recurrent

NEEDED = ("onnxruntime", "onnx", "onnxscript")
STEPS = 2_000


def installed() -> bool:
    """Whether there is anything to measure with."""
    return all(importlib.util.find_spec(name) is not None for name in NEEDED)


class Step(torch.nn.Module):
    """An event and the memory in, the probabilities of the next mark and the memory out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, mark: torch.Tensor, log_dt: torch.Tensor, end_state: torch.Tensor, *memory: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Each of the first three is (1, 1), of the memory (layers, 1, hidden): one part of a GRU, two of an LSTM."""
        inputs = Inputs(mark, log_dt, end_state, mark, log_dt)
        seen, after = self.network.run(inputs, memory if len(memory) > 1 else memory[0])
        kept = after if isinstance(after, tuple) else (after,)
        return (torch.softmax(self.network.mark_out(seen[0, 0]), dim=-1), *kept)


def step_ns(predictor: Recurrent, stream: Stream, folder: Path) -> float:
    """Nanoseconds of CPU time per step on one thread."""
    import onnxruntime

    parts = 2 if predictor.cell is torch.nn.LSTM else 1
    memory = [np.zeros((predictor.layers, 1, predictor.hidden), np.float32)] * parts
    path = exported(predictor, memory, folder / "step.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    events = fed(stream, predictor.scale)
    began = time.process_time_ns()
    for event in events:
        probability, *memory = session.run(None, dict(zip(names, [*event, *memory], strict=True)))
        probability.argmax()
    return (time.process_time_ns() - began) / len(events)


def exported(predictor: Recurrent, memory: list[np.ndarray], path: Path) -> Path:
    """The network of one step as a file."""
    seen, log_dt = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1)
    example = (seen, log_dt, seen.clone(), *(torch.from_numpy(part) for part in memory))
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, which this network has no use for
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Step(predictor.network).eval(), example, str(path), dynamo=True, verbose=False)
    return path


def fed(stream: Stream, scale: Scale) -> list[tuple[np.ndarray, ...]]:
    """The first STEPS events as the network takes them."""
    log_dt = (np.log(stream.slice_us()) - scale.mean) / scale.deviation
    columns = stream.mark.astype(np.int64), log_dt.astype(np.float32), stream.end_state.astype(np.int64)
    return [tuple(value.reshape(1, 1) for value in event) for event in zip(*(c[:STEPS] for c in columns), strict=True)]
