"""Measures the memory that a large recording takes while it is read, counted, trained on and predicted.

    python benchmarks/streaming.py                      # 50 million slices, made in a temporary folder and removed
    python benchmarks/streaming.py --rows 2000000

It prints the largest *anonymous* memory of the process so far, which only swap can take back. The columns themselves
are mapped from unnamed files; their pages stay in memory only as long as it is free.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.data import streams, synthetic
from model.data.streams import Segment
from model.predictor import ignore_progress
from model.predictors import create

BLOCK = 1_000_000  # slices written at once
TASKS = 12
SCORED = 16384  # events at the end that are predicted


def write(folder: Path, rows: int) -> int:
    """A recording of `rows` slices: 12 tasks that mostly follow each other in turn. Returns the size of the file."""
    folder.mkdir()
    draw, start = np.random.default_rng(0), 10**9
    comms = pa.array([f"task{number}" for number in range(TASKS)])
    with pq.ParquetWriter(folder / "slices.parquet", synthetic.SLICES, compression="zstd") as file:
        for begin in range(0, rows, BLOCK):
            count = min(BLOCK, rows - begin)
            task = (np.arange(begin, begin + count) + (draw.random(count) < 0.2)) % TASKS
            slice_ns = np.maximum(draw.lognormal(np.log(20_000), 1.0, count), 1).astype(np.int64)
            starts = start + np.concatenate([[0], np.cumsum(slice_ns)[:-1]])
            file.write_table(block(task, starts, slice_ns, comms))
            start = int(starts[-1] + slice_ns[-1])
    return (folder / "slices.parquet").stat().st_size


def block(task: np.ndarray, start: np.ndarray, slice_ns: np.ndarray, comms: pa.Array) -> pa.Table:
    """Slices as `harness trace convert` would write them, two tasks runnable at each."""
    count, tid = len(task), (synthetic.FIRST_TID + task).astype(np.int32)
    other = synthetic.FIRST_TID + (task + 1) % TASKS
    lists = pa.ListArray.from_arrays(np.arange(count + 1) * 2, np.stack([tid, other], axis=1).ravel().astype(np.int32))
    comm = pa.DictionaryArray.from_arrays(task.astype(np.int32), comms)
    sleeping = pa.DictionaryArray.from_arrays(np.zeros(count, np.int32), pa.array(["S"]))
    columns = [start, slice_ns, np.zeros(count), comm, tid, np.full(count, 120), sleeping, start - 1000, lists]
    columns.append(np.ones(count, bool))
    schema = synthetic.SLICES
    arrays = [pa.array(column).cast(field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


class Peak:
    """The largest anonymous memory of this process, sampled a hundred times a second."""

    def __init__(self) -> None:
        self.bytes = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text()
            self.bytes = max(self.bytes, 1024 * int(status.split("RssAnon:")[1].split()[0]))
            time.sleep(0.01)

    def print_line(self, step: str, began: float) -> None:
        """Print a step, the peak so far, and the processor time since `began`."""
        print(f"{step:58}{self.bytes / 1e6:9,.0f} MB{time.process_time() - began:9,.0f} CPU s", flush=True)


def main() -> None:
    """Write a recording, do the steps of a training job with it, and print the peak after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--predictor", nargs="*", default=["markov", "gru"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, peak = Path(temporary) / "large", Peak()
        size = write(folder, options.rows)
        print(f"{options.rows:,} slices, {size / 1e6:,.0f} MB of Parquet")
        peak.bytes, began = 0, time.process_time()
        time.sleep(0.1)
        peak.print_line("before: the interpreter and its libraries", began)
        dataset = streams.load([folder])
        held = sum(column.nbytes for column in vars(dataset.train[0].stream).values() if isinstance(column, np.ndarray))
        peak.print_line(f"read: columns of {held / 1e6:,.0f} MB", began)
        for kind in options.predictor:
            learn(kind, dataset, peak)


def learn(kind: str, dataset: streams.Dataset, peak: Peak) -> None:
    """Fit on the train part, one epoch where there are epochs, and predict the end of the test part."""
    import torch

    torch.set_num_threads(1)
    began = time.process_time()
    predictor = create(kind, {"hidden": 8, "max_epochs": 1} if hasattr(create(kind, {}), "state_folder") else {})
    predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), ignore_progress)
    peak.print_line(f"{kind}: fitted on {sum(map(len, dataset.train)):,} slices", began)
    test = dataset.test[-1]
    predictor.predict(Segment(test.stream, test.stop - SCORED, test.stop))
    peak.print_line(f"{kind}: the last {SCORED:,} predicted", began)


if __name__ == "__main__":
    main()
