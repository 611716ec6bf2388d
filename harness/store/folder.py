"""The run folder: all files of one campaign, and its manifest."""

from __future__ import annotations

import copy
import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import Interrupted, StoreError
from harness.files import as_host_error, make_folder, sync, write_atomic
from harness.store import events, experiment_file, input_files, integrity, manifest, verify
from harness.store.clock import name_of_now, now
from harness.store.integrity import Integrity
from harness.store.lock import is_locked, locked
from harness.temporary import remove_if_left, sweep

if TYPE_CHECKING:
    from harness.spec import Experiment


class RunFolder:
    """One run on disk. Change it only inside `lock()`; reading needs no lock.

    A step is done when its outputs exist and have the hashes that `finish` recorded.
    """

    def __init__(self, path: Path, content: dict[str, Any]) -> None:
        self.path = path.resolve()  # Vagrant and Ansible work from other folders than this process
        self._content = content
        self._hashes: dict[tuple[str, int, int, int], str] = {}
        self._held = False
        self._mutex = threading.RLock()

    @classmethod
    def create(cls, runs_dir: Path, experiment: Experiment, command: Sequence[str] | None = None) -> RunFolder:
        """Make a new run folder, named after the time and the experiment. Raises HostError."""
        path = _new_folder(runs_dir, f"{name_of_now()}_{experiment.name}")
        content = manifest.new(path.name, experiment, sys.argv if command is None else command)
        if files := input_files.record(path, experiment):
            content |= {input_files.KEY: files, "steps": input_files.step(files)}
        content |= experiment_file.facts(experiment, path.name, files)
        experiment_file.write(path, experiment, files)
        folder = cls(path, content)
        folder._write(content)
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """Read an existing run folder. Raises StoreError when its manifest is missing, damaged or of another schema."""
        return cls(path, manifest.read(path))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the lock of this folder, which only one process can have. Raises LockedError, which names the holder."""
        with locked(self.path):
            self._content = manifest.read(self.path)
            self._held = True
            _sweep(self.path)
            if self._content != (left := manifest.without_process(self._content)):
                self._write(left)
            try:
                yield
            finally:
                self._held = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, also where this object holds it already."""
        with nullcontext() if self._held else self.lock():
            yield

    @property
    def manifest(self) -> dict[str, Any]:
        """A copy of the manifest; what a killed process left running in it is interrupted."""
        with self._mutex:
            return copy.deepcopy(self._as_left())

    @property
    def is_edited(self) -> bool:
        """Whether something other than harness changed the manifest, now or before it was last written."""
        return manifest.is_edited(self._content)

    @property
    def state(self) -> str:
        """running, interrupted, failed or done; a run whose process was killed is interrupted."""
        return str(self._as_left()["state"])

    def _as_left(self) -> dict[str, Any]:
        """Return the manifest, with the truth about a process that was killed; its report may have been the last step.

        A report that is written again may be killed as well; the run is done once more when it was written.
        """
        content, running = self._content, manifest.without_process(self._content)
        if running != content and not self._held and not is_locked(self.path):
            content = running
        if content["state"] == "done" and content["steps"].get("report", {}).get("state") == "interrupted":
            content = {**content, "state": "interrupted"}
        return content

    @property
    def experiment(self) -> Experiment:
        """The experiment of this run, with the files of its own that it has. Raises SpecError if it cannot be read."""
        from harness import spec  # slow to import, and not needed to list runs

        source = self._content.get("spec_source")
        return spec.from_dict(
            input_files.in_run(_as_carried_out(self._content), self._content.get(input_files.KEY, {}), self.path),
            Path(source) if source else None,
            self._content["spec_text"],
            where=self.path / manifest.NAME,
        )

    def trial_dir(self, name: str) -> Path:
        """Return the folder of a trial, which need not exist."""
        return self.path / "trials" / name

    def update(self, **changes: Any) -> None:
        """Set top-level keys of the manifest and write it to disk. Raises HostError, StoreError."""
        with self._mutex:
            content = {**self._content, **manifest.plain(changes)}
            manifest.check(content, self.path / manifest.NAME)
            self._write(content)

    def event(self, kind: str, **data: Any) -> None:
        """Append a line to events.jsonl. Raises HostError."""
        with self._mutex:
            events.append(self.path, kind, **data)

    def events(self) -> list[dict[str, Any]]:
        """Return the events, oldest first."""
        return events.read(self.path)

    def begin(self, step: str) -> None:
        """Record that a step is under way; its earlier outputs no longer count."""
        software = manifest.versions()
        other = None if software == self._content.get("versions") else software  # a later version goes on with the run
        blank: dict[str, Any] = {"seconds": None, "outputs": {}, "detail": {}, "error": None}
        self._set_step(step, state="running", started=now(), **blank, versions=other)
        self.event("begin", step=step)

    def finish(
        self, step: str, outputs: Sequence[Path] = (), seconds: float = 0.0, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Hash the outputs, which must lie in this folder, and record that the step is done. Raises StoreError."""
        hashes = {self._relative(path): self._hash_and_sync(path) for path in outputs}
        self._set_step(step, state="done", seconds=seconds, outputs=hashes, detail=detail or {}, error=None)
        self.event("finish", step=step, seconds=seconds)

    def replace_outputs(self, step: str, hashes: Mapping[str, str]) -> None:
        """Record other hashes of some outputs of a step that is done."""
        with self._mutex:
            outputs = self._content["steps"][step]["outputs"]
            self._set_step(step, outputs={**outputs, **hashes})

    def fail(self, step: str, error: BaseException | str, detail: Mapping[str, Any] | None = None) -> None:
        """Record why a step failed; after a stop signal its state is `interrupted`, not `failed`."""
        stopped = isinstance(error, (Interrupted, KeyboardInterrupt))
        text = str(error) or type(error).__name__
        known = {"detail": detail} if detail else {}
        self._set_step(step, state="interrupted" if stopped else "failed", error=text, **known)
        self.event("fail", step=step, error=text)

    def forget_interrupted(self) -> None:
        """Forget the steps that an earlier process began and that were not needed again; events.jsonl has them."""
        steps = self._content["steps"]
        left = [name for name, step in steps.items() if step["state"] == "interrupted"]
        if left:
            self.update(steps={name: step for name, step in steps.items() if name not in left})
            self.event("forget", steps=left)

    def is_done(self, step: str) -> bool:
        """Return whether the step succeeded and all its files exist unchanged; a cleaned table need not exist."""
        record = self._content["steps"].get(step)
        if record is None or record["state"] != "done":
            return False
        cleaned = manifest.cleaned(self._content, self.path)
        return all(path in cleaned or self._has(path, digest) for path, digest in record["outputs"].items())

    def verify(self) -> list[verify.FileProblem]:
        """Read every file that a step lists again and compare it with the manifest; also find files that none lists."""
        return list(verify.problems(self.path, self._content))

    def check_files(self, patterns: Sequence[str]) -> Integrity:
        """Read the files that match, such as those in `integrity.SHOWN`, again and compare them with the manifest."""
        return integrity.check(self.path, self._content, patterns)

    def _set_step(self, step: str, **changes: Any) -> None:
        with self._mutex:
            blank: dict[str, Any] = {
                "state": "running",
                "started": now(),
                "seconds": None,
                "outputs": {},
                "detail": {},
                "error": None,
            }
            steps = self._content["steps"]
            steps = {**steps, step: {**blank, **steps.get(step, {}), **changes}}
            listed = {path for each in steps.values() for path in each["outputs"]}
            cleaned = self._content.get(manifest.CLEANED, {})
            still = {path: entry for path, entry in cleaned.items() if path in listed}
            self.update(steps=steps, **({manifest.CLEANED: still} if cleaned else {}))

    def _write(self, content: dict[str, Any]) -> None:
        content = manifest.sealed(content, read=self._content)
        text = json.dumps(content, indent=1, allow_nan=False)  # in ASCII, so that `cat` of it is safe
        write_atomic(self.path / manifest.NAME, text + "\n")
        self._content = content

    def _relative(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.path.resolve()).as_posix()
        except ValueError:
            raise StoreError("a step's output lies outside of its run folder", where=str(path)) from None

    def _hash_and_sync(self, path: Path) -> str:
        if not path.is_file():
            raise StoreError("a step did not write one of its output files", where=str(path))
        with as_host_error(path):
            sync(path)
        return self._hash(path)

    def _has(self, path: str, digest: str) -> bool:
        file = self.path / path
        return file.is_file() and self._hash(file) == digest

    def _hash(self, path: Path) -> str:
        """Return the SHA-256 of a file, computed once while its size, time and inode stay the same."""
        stat = path.stat()
        key = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        if key not in self._hashes:
            self._hashes[key] = verify.sha256(path)
        return self._hashes[key]


def _as_carried_out(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiment in a manifest; one of a version that knew no blocks boots no machine for them."""
    values: dict[str, Any] = content["spec"]
    trials = values.get("trials", {})
    if isinstance(trials, dict) and "reboot" not in trials:
        values = {**values, "trials": {**trials, "reboot": "never"}}
    return values


def _sweep(folder: Path) -> None:
    """Remove the temporary files and folders that killed processes left anywhere in a run folder."""
    for path in list(folder.rglob(".*.tmp")):  # versions before 0.3 gave them names of another form
        remove_if_left(path)


def _new_folder(runs_dir: Path, name: str) -> Path:
    """Make a new folder: `name`, or `name_2`, `name_3`, ... if it exists."""
    make_folder(runs_dir)
    sweep(runs_dir)  # what a killed `harness rm` left
    with as_host_error(runs_dir / name):
        number = 1
        while True:
            path = runs_dir / (name if number == 1 else f"{name}_{number}")
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
                continue
            sync(runs_dir)
            return path
