"""Time of one step of a recurrent predictor in ONNX Runtime; needs `onnxruntime`, `onnx` and `onnxscript`."""

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

PACKAGES = ("onnxruntime", "onnx", "onnxscript")
STEPS = 2_000


def installed() -> bool:
    """Return whether the packages are installed."""
    return all(importlib.util.find_spec(name) is not None for name in PACKAGES)


class Step(torch.nn.Module):
    """A module from an event and the memory to the probabilities of the next mark and the memory."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, mark: torch.Tensor, log_dt: torch.Tensor, end_state: torch.Tensor, *memory: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Run one step. The first three are (1, 1), the memory one (GRU) or two (LSTM) tensors (layers, 1, hidden)."""
        inputs = Inputs(mark, log_dt, end_state, mark, log_dt)
        output, state = self.network.run(inputs, memory if len(memory) > 1 else memory[0])
        parts = state if isinstance(state, tuple) else (state,)
        return (torch.softmax(self.network.mark_out(output[0, 0]), dim=-1), *parts)


def step_ns(predictor: Recurrent, stream: Stream, folder: Path) -> float:
    """Return nanoseconds of CPU time per step on one thread."""
    import onnxruntime

    parts = 2 if predictor.cell is torch.nn.LSTM else 1
    memory = [np.zeros((predictor.layers, 1, predictor.hidden), np.float32)] * parts
    path = export(predictor, memory, folder / "step.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [argument.name for argument in session.get_inputs()]
    events = to_arrays(stream, predictor.scale)
    began = time.process_time_ns()
    for event in events:
        probability, *memory = session.run(None, dict(zip(names, [*event, *memory], strict=True)))
        probability.argmax()
    return (time.process_time_ns() - began) / len(events)


def export(predictor: Recurrent, memory: list[np.ndarray], path: Path) -> Path:
    """Write the network of one step as an ONNX file."""
    mark, log_dt = torch.zeros(1, 1, dtype=torch.int64), torch.zeros(1, 1)
    example = (mark, log_dt, mark.clone(), *(torch.from_numpy(part) for part in memory))
    logging.getLogger("torch.onnx").setLevel(
        logging.ERROR
    )  # it warns about torchvision, which this network does not use
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Step(predictor.network).eval(), example, str(path), dynamo=True, verbose=False)
    return path


def to_arrays(stream: Stream, scale: Scale) -> list[tuple[np.ndarray, ...]]:
    """Return the first STEPS events as the network reads them."""
    log_dt = (np.log(stream.slice_us()) - scale.mean) / scale.deviation
    columns = stream.mark.astype(np.int64), log_dt.astype(np.float32), stream.end_state.astype(np.int64)
    return [tuple(value.reshape(1, 1) for value in event) for event in zip(*(c[:STEPS] for c in columns), strict=True)]
