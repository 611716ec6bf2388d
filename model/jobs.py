"""One unit of work: fit one predictor with one seed on some recordings, score it, and store it in a folder."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from model import checkpoint
from model.checkpoint import Checkpoint
from model.data import clocks, kernels, parquet, provenance, streams
from model.data.clocks import Clock
from model.data.find_recordings import require_run_queues
from model.data.metadata import GUEST, RECORDING
from model.data.provenance import Provenance
from model.files import is_changed, read_json, sealed, sha256, unsealed, write_atomic
from model.predictor import OnProgress, Predictor, TrainablePredictor, ignore_progress
from model.predictors import create, find
from model.scoring import caveats, outcomes, rollout, scores
from model.scoring.outcomes import Outcomes

if TYPE_CHECKING:
    from model.nn.training_state import StateFolder

Stamp = tuple[str, list[tuple[str, int, int]]]  # a recording's name; name, size and time (ns) of each of its files
SCORES, HISTORY, OUTCOMES = outcomes.SCORES, "history.parquet", outcomes.FILE
SCORER = 11  # raised when a score or a predictor changes: stored scores are then made again


@dataclass(frozen=True)
class Job:
    """`tables` are folders of converted recordings, `params` settings of the predictor without the seed.

    With `test_tables` the test part is those recordings, whole (another trial, another load, another host), and
    `tables` are divided into train and validation part by the first two shares of `split`.
    """

    tables: tuple[Path, ...]
    predictor: str
    seed: int
    mark: str
    split: tuple[float, float, float]
    out_dir: Path
    params: Mapping[str, Any] = field(default_factory=dict)
    test_tables: tuple[Path, ...] = ()
    across_clocks: bool = False  # whether `test_tables` may be of another clock than `tables`
    across_kernels: bool = False  # whether they may be of another kernel

    def digest(self) -> str:
        """Return the hash of what the scores depend on: the settings, and the files of the recordings."""
        known = {"scorer": SCORER, **asdict(self), "params": dict(self.params), **self.stamps(), "out_dir": None}
        del known["across_clocks"], known["across_kernels"]  # they allow the job, and change no score
        return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode()).hexdigest()

    def clocks(self) -> tuple[Clock, Clock]:
        """Return the clock of the recordings learned from and of those tested on.

        StreamError if the recordings of a side have several, or the two sides differ without `across_clocks`.
        """
        learned = clocks.one_clock(self.tables)
        tested = clocks.one_clock(self.test_tables) if self.test_tables else learned
        names = self._side_names()
        clocks.require_same((names[0], learned), (names[1], tested), self.across_clocks)
        return learned, tested

    def provenance(self) -> tuple[list[Provenance], list[Provenance]]:
        """Return the provenance of the recordings learned from and of those tested on.

        StreamError if the recordings of a side are of several kernels, or the two sides differ without
        `across_kernels`.
        """
        sides = self.tables, self.test_tables or self.tables
        for side in sides:
            kernels.require_one_kernel(side)
        learned, tested = ([provenance.of_recording(folder) for folder in side] for side in sides)
        names = self._side_names()
        kernels.require_same((names[0], learned), (names[1], tested), self.across_kernels)
        return learned, tested

    def _side_names(self) -> tuple[str, str]:
        return clocks.paths_in_words(self.tables), clocks.paths_in_words(self.test_tables or self.tables)

    def stamps(self) -> dict[str, list[Stamp]]:
        """Return the stamps of the recordings on both sides."""
        return {name: [_stamp(Path(folder)) for folder in getattr(self, name)] for name in ("tables", "test_tables")}


def done(job: Job) -> bool:
    """Return whether the job's folder holds the scores of this very job."""
    return stored(job) is not None


def stored(job: Job) -> dict[str, Any] | None:
    """Return the scores of this very job from its folder; None where it holds none, or those of another."""
    try:
        content = read_json(Path(job.out_dir) / SCORES)
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("job_sha256") != job.digest() or _damaged(job.out_dir, content):
        return None
    return {**Clock().facts(), "tested_clock": None, **unsealed(content)}  # scores of 0.2.0 do not name their clock


def _damaged(folder: Path, scores: Mapping[str, Any]) -> bool:
    """Return whether these scores, or a table beside them, are not as they were written."""
    tables = scores.get(outcomes.HASHES, {})  # 0.2.0 kept none
    if is_changed(scores):
        return True
    return any(not (path := Path(folder) / name).is_file() or sha256(path) != tables[name] for name in tables)


def run(job: Job, on_progress: OnProgress = ignore_progress) -> dict[str, Any]:
    """Fit, score and save; return what `scores.json` holds, which is written last. Raises PredictionError.

    A network whose training was killed in the job's folder continues after its last whole epoch, with the same result.
    torch, in what uses it, uses one thread, because the jobs of several seeds run in as many processes.
    """
    digest = job.digest()
    job.clocks()
    job.provenance()
    predictor = make_predictor(job)
    with _one_thread():
        return _run(job, predictor, digest, on_progress)


def _run(job: Job, predictor: Predictor, digest: str, on_progress: OnProgress) -> dict[str, Any]:
    require_run_queues(predictor.inputs, [*job.tables, *job.test_tables])
    on_progress("reading tables", 0, None)
    dataset = read_dataset(job)
    state_folder = _state_folder(job, predictor)
    began = time.monotonic()
    history = predictor.fit(dataset.train, dataset.valid, len(dataset.vocabulary), on_progress)
    fit_seconds = time.monotonic() - began
    on_progress("scoring", 0, None)
    tested = outcomes.evaluate(predictor, dataset.test)
    parameters = sum(int(array.size) for array in predictor.arrays().values())
    result = {**describe(job, predictor, dataset), "parameters": parameters, "job_sha256": digest}
    result |= scores.score_outcomes(tested)
    result["online"] = scores.score_online(predictor, dataset.test)
    result["by_trial"] = scores.score_recordings(tested, dataset.test)
    result["valid"] = scores.score_for_selection(predictor, dataset.valid)
    result |= {"fit_seconds": fit_seconds, "rollout": _rollout(predictor, dataset, job.seed)}
    if state_folder:
        result["fit_seconds"] += state_folder.seconds_before
        result |= {"went_on_after_epoch": state_folder.resumed_after, "training_set_aside": state_folder.set_aside}
    _write(job, predictor, dataset, history, tested, result)
    if state_folder:
        state_folder.clear()
    return result


def _state_folder(job: Job, predictor: Predictor) -> StateFolder | None:
    """Give a network the folder for its epochs, inside the job's own."""
    if not hasattr(predictor, "state_folder"):
        return None
    from model.nn.training_state import StateFolder  # and with it torch, as the network has

    identity = {"predictor": job.predictor, "settings": predictor.settings(), "mark": job.mark, "split": job.split}
    predictor.state_folder = StateFolder(Path(job.out_dir), {**identity, **job.stamps()})
    return predictor.state_folder


def read_dataset(job: Job) -> streams.Dataset:
    """Read the recordings of a job, cut into train, validation and test. Raises PredictionError."""
    if not job.test_tables:
        return streams.load(job.tables, job.mark, job.split)
    return streams.across(job.tables, job.test_tables, job.mark, job.split[1] / (job.split[0] + job.split[1]))


def make_predictor(job: Job) -> Predictor:
    """Make the predictor that a job names, not yet fitted. Raises PredictionError."""
    seed = {"seed": job.seed} if find(job.predictor).seeded else {}
    return create(job.predictor, {**job.params, **seed})


def _one_thread() -> AbstractContextManager[None]:
    if "torch" not in sys.modules:  # a predictor that counts has not imported it
        return nullcontext()
    from model.nn.one_thread import one_thread

    return one_thread()


def describe(job: Job, predictor: TrainablePredictor, dataset: streams.Dataset) -> dict[str, Any]:
    """Return what stands beside the scores of a job: predictor, inputs, recordings, clocks, kernels, caveats."""
    learned, tested = job.clocks()
    sides, recordings = job.provenance(), [*job.tables, *job.test_tables]
    return {
        "predictor": job.predictor,
        "regime": predictor.inputs,
        "mark": job.mark,
        **learned.facts(),
        "tested_clock": tested.facts() if tested != learned else None,
        "caveat": caveats.join(
            caveats.find_caveat(predictor.inputs, recordings),
            caveats.find_guesses(predictor, recordings),
            clocks.caveat(learned, tested),
            kernels.caveat(*sides),
            provenance.caveat([*sides[0], *sides[1]]),
            provenance.overlap(*sides) if job.test_tables else None,
        ),
        **provenance.beside_scores(*sides),
        "seed": job.seed,
        "trials": list(dataset.recordings),
        "marks": len(dataset.vocabulary),
    }


def _rollout(predictor: Predictor, dataset: streams.Dataset, seed: int) -> dict[str, object] | None:
    test = dataset.test[0]
    sampled = rollout.sample_rollout(predictor, dataset.train, test, rollout.STEPS, seed)
    return None if sampled is None else rollout.compare_rollout(sampled, test, dataset.vocabulary.names)


def _write(
    job: Job, predictor: Predictor, dataset: streams.Dataset, history: list, tested: Outcomes, result: dict
) -> None:
    out = Path(job.out_dir)
    about = {"seed": job.seed, "split": list(job.split), "trials": list(dataset.recordings)}
    about |= {"learned_from": checkpoint.sizes(job.tables), "tested_elsewhere": bool(job.test_tables)}
    about |= clocks.one_clock(job.tables).facts()
    about |= {provenance.RECORDINGS: [recording.facts() for recording in job.provenance()[0]]}
    out.mkdir(parents=True, exist_ok=True)
    (out / SCORES).unlink(missing_ok=True)
    checkpoint.save(out, Checkpoint(predictor, job.predictor, dataset.vocabulary, job.mark, about))
    write_atomic(out / HISTORY, _parquet(pa.Table.from_pylist(history or [{"step": 0.0}])))
    write_atomic(out / OUTCOMES, _parquet(outcomes.to_table(tested)))
    result[outcomes.HASHES] = {name: sha256(out / name) for name in (HISTORY, OUTCOMES)}
    write_atomic(out / SCORES, json.dumps(sealed(result), indent=1).encode())


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", write_page_checksum=True)
    return buffer.getvalue()


def _stamp(folder: Path) -> Stamp:
    """Return the stamp of all that a predictor may read: replays read every table, and the kernel from GUEST.

    RECORDING counts where it is: 0.2.0 wrote none, and its scores are still those of its recordings.
    """
    files = []
    others = (GUEST, RECORDING) if (folder / RECORDING).exists() else (GUEST,)
    for name in (*(f"{table}.parquet" for table in parquet.COLUMNS), *others):
        status = (folder / name).stat() if (folder / name).exists() else None
        files.append((name, status.st_size, status.st_mtime_ns) if status else (name, 0, 0))
    return folder.name, files
