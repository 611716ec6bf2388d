"""The JSON Schema of experiment files, for completion and checks in editors."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic.json_schema import models_json_schema

from harness.spec.check import MIX, load_kinds
from harness.spec.fields import Experiment
from harness.spec.predictors import NAMES, settings_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
NAME = "urn:sched-harness:experiment"  # a name, not an address: nothing is fetched


def schema() -> dict[str, Any]:
    """Return the schema of an experiment file; `load` is one of the known loads, selected by `kind`.

    It refuses what `load` refuses, except where several values do not go together, or do not fit this host, and except
    words of the kernel's command line that would break the boot.
    """
    result = Experiment.model_json_schema()
    for name, key in result["properties"].items():
        key["description"] = Experiment.model_fields[name].description
    definitions = {name: part for name, part in result["$defs"].items() if name != "BaseModel"}
    loads, shared = models_json_schema([(model, "validation") for model in load_kinds().values()])
    definitions |= shared["$defs"]
    kinds = {}
    for kind, model in load_kinds().items():
        reference = loads[model, "validation"]["$ref"]
        kinds[kind] = reference
        part = definitions[reference.rpartition("/")[2]]
        part["required"] = sorted({"kind", *part.get("required", ())})
        part["properties"]["kind"]["description"] = inspect.cleandoc(model.__doc__ or "")  # an editor shows it
    result["properties"]["load"] = {"description": Experiment.model_fields["load"].description, **_one_of(kinds)}
    parts = {kind: reference for kind, reference in kinds.items() if kind != MIX}
    definitions[kinds[MIX].rpartition("/")[2]]["properties"]["parts"]["items"] = _one_of(parts)
    _restrict_model(definitions["ModelSpec"]["properties"])
    return {"$schema": DIALECT, "$id": NAME, **result, "$defs": definitions}


def _one_of(kinds: dict[str, str]) -> dict[str, Any]:
    """Return the schema of a load that is one of these: kind -> reference."""
    return {
        "discriminator": {"propertyName": "kind", "mapping": kinds},
        "oneOf": [{"$ref": reference} for reference in kinds.values()],
    }


def _restrict_model(keys: dict[str, Any]) -> None:
    """Add the names of the predictors, and the settings of each."""
    for name in ("predictors", "seeds"):
        keys[name]["uniqueItems"] = True
    keys["predictors"]["items"] = {"enum": list(NAMES)}
    keys["params"]["properties"] = {name: settings_schema(name) for name in NAMES}
    keys["params"]["additionalProperties"] = False
