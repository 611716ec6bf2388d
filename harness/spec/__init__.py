"""Experiment files: YAML -> frozen Experiment, with file:line:column in every error."""

from __future__ import annotations

from harness.spec.build import apply, changed, from_dict, kernel_form, load, load_bytes, named_files, position, to_dict
from harness.spec.check import load_kinds
from harness.spec.document import to_yaml
from harness.spec.fields import (
    CompareSpec,
    Experiment,
    MachineSpec,
    ModelSpec,
    RecordSpec,
    TrialsSpec,
    VerdictSpec,
)
from harness.spec.file_paths import NamedFile
from harness.spec.jsonschema import schema
from harness.spec.problems import SpecProblems
from harness.spec.schema_line import schema_line, with_schema_line
from harness.spec.sweep import combinations

__all__ = [
    "CompareSpec",
    "Experiment",
    "MachineSpec",
    "ModelSpec",
    "NamedFile",
    "RecordSpec",
    "SpecProblems",
    "TrialsSpec",
    "VerdictSpec",
    "apply",
    "changed",
    "combinations",
    "from_dict",
    "kernel_form",
    "load",
    "load_bytes",
    "load_kinds",
    "named_files",
    "position",
    "schema",
    "schema_line",
    "to_dict",
    "to_yaml",
    "with_schema_line",
]
