"""The JSON Schema of configuration files, as editors read it."""

from __future__ import annotations

from typing import Any, Literal

from gatesweep.runs.experiment import ExperimentConfig, experiment_type
from gatesweep.sweep.spec import SweepSpec
from gatesweep.tasks.registry import TASKS


def schema_of(kind: Literal["experiment", "sweep"]) -> dict[str, Any]:
    """The schema of `configs/experiments/*.yaml` or `configs/sweeps/*.yaml`."""
    return _sweep() if kind == "sweep" else _experiment()


def _experiment() -> dict[str, Any]:
    """One alternative per task for `data:` and `model:`; for a task of the user's own any mapping."""
    schema = ExperimentConfig.model_json_schema()
    definitions: dict[str, Any] = schema.setdefault("$defs", {})
    alternatives = []
    for name in TASKS:
        own = experiment_type(name).model_json_schema()
        definitions.update(own.get("$defs", {}))
        alternatives.append(
            {
                "if": {"properties": {"task": {"const": name}}},
                "then": {"properties": {key: own["properties"][key] for key in ("data", "model")}},
            }
        )
    definitions.pop("Section", None)
    for key in ("data", "model"):
        schema["properties"][key] = {"type": "object", "description": schema["properties"][key].get("description", "")}
    schema["properties"]["task"]["examples"] = [*TASKS, "my_package.my_module:MyTask"]
    schema["required"] = ["task", "data"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "allOf": alternatives}


def _sweep() -> dict[str, Any]:
    schema = SweepSpec.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    for name in ("ExperimentConfig", "Section"):
        definitions.pop(name, None)
    schema["properties"]["experiment"] = {
        "description": schema["properties"]["experiment"].get("description", ""),
        "type": ["string", "object"],
    }
    schema["required"] = ["experiment", "objective", "space"]
    _drop_unused(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _drop_unused(schema: dict[str, Any]) -> None:
    """Definitions that nothing refers to."""
    definitions = schema["$defs"]
    while unused := [name for name in definitions if f'#/$defs/{name}"' not in str(schema).replace("'", '"')]:
        for name in unused:
            del definitions[name]
