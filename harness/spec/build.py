"""Experiment files -> experiments, and experiments with some values changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.errors import MissingExtraError, SpecError
from harness.spec import file_paths, kernels, sweep
from harness.spec.check import validate
from harness.spec.document import Document, Keys, decode, parse, parse_value, printable, read_bytes
from harness.spec.fields import Experiment, MachineSpec
from harness.spec.file_paths import NamedFile
from harness.spec.kernels import KernelForm
from harness.spec.predictors import KernelOf, missing_libraries, untraced_problems
from harness.spec.problems import Problem, as_error, dotted, from_pydantic, keys_of, shown

MAX_WHERE = 200  # letters of an option in a message
NO_SWEEP = "add --set 'sweep={}'"


def load(
    path: Path | str,
    overrides: Mapping[str, str] | None = None,
    *,
    load_kind: str | None = None,
    box: str | None = None,
    kernel_of: KernelOf | None = None,
) -> Experiment:
    """Read an experiment file.

    `load_kind` (`--load`) replaces the load, and drops the file's parameters if it is another one. `box` (`--machine`)
    replaces the box and drops the fallback and the release that the old box had to report. `overrides`
    (`--set load.concurrency=50`) maps dotted paths to YAML text and is applied last. `kernel_of` tells the kernel of a
    box, which a replay must fit. Paths of files become absolute: those in the file begin at its folder.
    Raises one SpecError for all wrong values, each with its file:line:column, and MissingExtraError for a predictor
    whose library is not installed.
    """
    return load_bytes(read_bytes(Path(path)), str(path), overrides, load_kind=load_kind, box=box, kernel_of=kernel_of)


def load_bytes(
    raw: bytes,
    name: str,
    overrides: Mapping[str, str] | None = None,
    *,
    load_kind: str | None = None,
    box: str | None = None,
    kernel_of: KernelOf | None = None,
) -> Experiment:
    """Read an experiment as `load` does; `name` stands for the file in messages, such as `<stdin>:3:1`."""
    text = decode(raw, name)
    document = parse(text, name)
    folder = Path(name).parent
    return _changed(document, overrides, load_kind, box, kernel_of, folder).with_origin(Path(name), text)


def changed(
    experiment: Experiment,
    overrides: Mapping[str, str] | None = None,
    *,
    load_kind: str | None = None,
    box: str | None = None,
    kernel_of: KernelOf | None = None,
) -> Experiment:
    """Return the experiment of a run with the changes that `load` makes. Raises SpecError.

    Of the files that it names, only those of the changes need exist. Its load need not be installed here, which is for
    whoever records to ask for, unless the changes name another one.
    """
    document = Document(str(experiment.source or experiment.name), to_dict(experiment))
    absent_loads = load_kind is None and not {"load", "load.kind"} & {*(overrides or {})}
    result = _changed(document, overrides, load_kind, box, kernel_of, None, absent_loads=absent_loads)
    return result.with_origin(experiment.source, experiment.text)


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Return every value, defaults included, as plain JSON types."""
    return experiment.model_dump(mode="json")


def from_dict(
    data: Mapping[str, Any], source: Path | None = None, text: str = "", *, where: Path | None = None
) -> Experiment:
    """Make an experiment from `to_dict`'s values. Raises SpecError that names the path of each wrong value.

    `where` is the file that holds the values, if it is not `source`.
    """
    return _valid(Document(str(where or source or "experiment"), dict(data)), stored=True).with_origin(source, text)


def kernel_form(text: str, where: str) -> KernelForm:
    """Return the kernel that a text of the command line names, as machine.kernel does. Raises SpecError."""
    document = Document(where, {"machine": {"box": "any", "kernel": parse_value(text, where)}})
    document.set_position((), where)
    problems = file_paths.resolve(document, Path())
    try:
        kernel = MachineSpec.model_validate(document.data["machine"]).kernel
    except ValidationError as error:
        raise as_error(problems + from_pydantic(error, ("machine",), lambda _: {}), document) from None
    if kernel is None or isinstance(kernel, str):
        raise SpecError(f"{text!r} names no kernel to put into a box", where=where, expected=kernels.FORMS)
    problems += [Problem((), what, expected) for _, what, expected in ([] if problems else kernels.problems(kernel))]
    if problems:
        raise as_error(problems, document)
    return kernel


def position(experiment: Experiment, path: Keys) -> str | None:
    """Return where the file of an experiment has the value at `path`; None for one that comes from no file."""
    if not experiment.text:
        return None
    return parse(experiment.text, str(experiment.source or experiment.name)).position(path)


def named_files(experiment: Experiment) -> list[NamedFile]:
    """Return the files and folders that the experiment names."""
    return file_paths.named(to_dict(experiment))


def apply(experiment: Experiment, settings: Mapping[str, Any]) -> Experiment:
    """Return the experiment of one arm: with `settings` (dotted path -> value), without a sweep and a null arm.

    Whether its trials are booted anew, which follows from these, is explicit in it.
    """
    where = ", ".join(f"{path}={shown(value)}" for path, value in settings.items())
    values = {**to_dict(experiment), "sweep": {}}
    values["trials"] |= {"blocks": "fixed", "reboot": experiment.reboot}
    values["compare"] |= {"null": False}
    document = Document(where, sweep.changed(values, settings))
    return _valid(document, stored=True).with_origin(experiment.source, experiment.text)


def _changed(
    document: Document,
    overrides: Mapping[str, str] | None,
    load_kind: str | None,
    box: str | None,
    kernel_of: KernelOf | None,
    folder: Path | None,
    *,
    absent_loads: bool = False,
) -> Experiment:
    changes = {
        **_swaps(load_kind, box, document.data.get("machine")),
        **{name: (f"--set {name}={value}", value) for name, value in (overrides or {}).items()},
    }
    for name in sorted(changes, key=lambda name: name not in ("load.kind", "machine.box")):
        where, value = changes[name]
        _override(document, name, value, printable(where[:MAX_WHERE]))
    problems = [*_without_effect(document, changes), *file_paths.resolve(document, folder)]
    return _valid(document, kernel_of, problems, absent_loads=absent_loads)


def _valid(
    document: Document,
    kernel_of: KernelOf | None = None,
    problems: Collection[Problem] = (),
    *,
    stored: bool = False,
    absent_loads: bool = False,
) -> Experiment:
    """Validate a document. Raises SpecError with its problems and those in `problems`.

    MissingExtraError if it is right, but names a predictor whose library this host lacks. The recordings of a `stored`
    one can be read without it.
    """
    kept = {"stored": stored, "absent_loads": absent_loads}
    experiment, all_problems = validate(document.data, kernel_of, **kept)
    all_problems += problems
    all_problems += untraced_problems(experiment) if experiment and not stored else []
    all_problems += sweep.problems_of(experiment, kernel_of, **kept) if experiment and not all_problems else []
    if experiment is None or all_problems:
        raise as_error(all_problems, document)
    for path, extra, package in () if stored else missing_libraries(experiment):
        raise MissingExtraError(extra, package, where=document.position(path))
    return experiment


def _swaps(load_kind: str | None, box: str | None, machine: Any) -> dict[str, tuple[str, str]]:
    """Return what `--load` and `--machine` set: path -> (option, YAML text)."""
    swaps = {"load.kind": (f"--load {load_kind}", json.dumps(load_kind))} if load_kind is not None else {}
    if box is not None:
        swaps["machine.box"] = (f"--machine {box}", json.dumps(box))
        swaps["machine.fallback"] = (f"--machine {box}", "null")
        if isinstance(machine, dict) and sweep.for_other_box(machine.get("kernel")) is None:
            swaps["machine.kernel"] = (f"--machine {box}", "null")
    return swaps


def _override(document: Document, path: str, text: str, where: str) -> None:
    """Set one value of the document; error messages name `where`, such as `--set a.b=1`, as its position."""
    keys = keys_of(path)
    if "" in keys:
        raise SpecError(f"{path!r} is not a path of keys", where=where, expected="such as --set load.concurrency=50")
    value = parse_value(text, where)
    section: Any = document.data
    if path == "load.kind" and isinstance(section.get("load"), dict) and section["load"].get("kind") != value:
        section["load"] = {}
    for key in keys[:-1]:
        section = section.setdefault(key, {}) if isinstance(section, dict) else _item(section, key)
    if not isinstance(section, dict):
        raise SpecError(f"{dotted(keys[:-1])} is not a mapping", where=where, expected="a path of keys that exists")
    section[keys[-1]] = value
    document.set_position(keys, where)


def _item(values: Any, index: Any) -> Any:
    """Return an item of a list; None where there is none."""
    return values[index] if isinstance(values, list) and isinstance(index, int) and index < len(values) else None


def _without_effect(document: Document, changes: Collection[str]) -> list[Problem]:
    """Report settings that every arm of the sweep replaces."""
    swept = document.data.get("sweep")
    return [
        Problem(keys_of(path), f"{path} is swept, so setting it has no effect", hint=NO_SWEEP)
        for path in changes
        if isinstance(swept, dict) and path in swept
    ]
