"""experiment.yaml: the experiment of a run, so that the run folder alone can be run again.

It is the file as it was given, or, where the command line changed values, the experiment as it was carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.files import write_atomic
from harness.store import input_files, spec_changes
from harness.store.input_files import Entries
from harness.visible import visible

if TYPE_CHECKING:
    from harness.spec import Experiment

NAME, DIGEST = "experiment.yaml", "spec_file_sha256"


def facts(experiment: Experiment, run: str, files: Entries | None = None) -> dict[str, str | None]:
    """Return what the manifest keeps of the file; an experiment that comes from no file has none."""
    from harness.store.manifest import text_sha256

    if not experiment.text:
        return {"spec_file": None}
    return {"spec_file": NAME, DIGEST: text_sha256(text(experiment, run, files))}


def write(folder: Path, experiment: Experiment, files: Entries | None = None) -> None:
    """Write the file, if the experiment comes from one."""
    if experiment.text:
        write_atomic(folder / NAME, text(experiment, folder.name, files))


def sha256(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 that the file should have; without one of its own, it is the file as it was given."""
    return str(manifest.get(DIGEST) or manifest["spec_sha256"])


def is_of(manifest: Mapping[str, Any], text: str) -> bool:
    """Return whether a text is the file that was given, or that in the run folder."""
    from harness.store.manifest import text_sha256

    return text == manifest["spec_text"] or text_sha256(text) == sha256(manifest)


def text(experiment: Experiment, run: str, files: Entries | None = None) -> str:
    """Return the text that was given if it says what was carried out, else one that does, and what differs.

    It names the copies of `files` that lie in the run folder.
    """
    from harness import spec

    done, given = input_files.in_run(spec.to_dict(experiment), files or {}, None), _values(experiment.text)
    if done == given:
        return experiment.text
    return "".join(f"# {line}\n" for line in _head(done, given, run)) + spec.to_yaml(done)


def _values(text: str) -> dict[str, Any] | None:
    """Return the values of the file as it was given; None if it is right only with the changes of the command line.

    A predictor that this host lacks a library for is a value like any other.
    """
    from harness import spec
    from harness.loads import StoredLoad
    from harness.spec.document import parse

    try:
        experiment = spec.from_dict(parse(text, NAME).data)
    except HarnessError:
        return None
    return None if isinstance(experiment.load, StoredLoad) else spec.to_dict(experiment)


def _head(done: Mapping[str, Any], given: Mapping[str, Any] | None, run: str) -> Iterator[str]:
    yield "The experiment as it was carried out, with defaults: `harness run` of this file records all of it again."
    yield f"`harness repeat {run}` does so on the same box and clock, and compares the two runs."
    yield "The file that was given is spec_text in manifest.json, beside the command; in the run, these values differ:"
    if given is None:
        yield "  (it is no experiment without what the command line changed)"
        return
    for path, old, new in spec_changes.differences(given, done):
        yield visible(f"  {path}: {spec_changes.shown(old)}, here {spec_changes.shown(new)}")
