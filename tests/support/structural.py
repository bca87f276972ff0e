"""A CRD's schema applied as an API server would: defaults first, then types, and no unknown field.

CEL rules (`x-kubernetes-validations`) are not run; `gatesweep.launch.kube.rules` says those that matter in Python.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]


def problems(schema: Schema, manifest: dict[str, Any]) -> list[str]:
    """What an API server would refuse by this schema."""
    value = defaulted(schema, deepcopy(manifest))
    errors = Draft202012Validator(closed(schema)).iter_errors(value)
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message[:200]}" for error in errors]


def defaulted(schema: Schema, value: Any) -> Any:
    """The value with every default of the schema filled in, where its parent is there."""
    if isinstance(value, dict):
        for key, below in schema.get("properties", {}).items():
            if key not in value and "default" in below:
                value[key] = deepcopy(below["default"])
            if key in value:
                value[key] = defaulted(below, value[key])
    elif isinstance(value, list) and "items" in schema:
        return [defaulted(schema["items"], each) for each in value]
    return value


def closed(schema: Any, *, top: bool = True) -> Any:
    """The same, strict about unknown fields, in JSON Schema's own words."""
    if isinstance(schema, list):
        return [closed(each, top=False) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-") and key != "format"}
    if schema.get("x-kubernetes-int-or-string"):
        made = {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    if "properties" in schema:
        made["properties"] = {key: closed(below, top=False) for key, below in schema["properties"].items()}
        if top:  # Kubernetes knows these itself; a CRD's schema leaves them out
            made["properties"]["metadata"] = {"type": "object"}
        if "additionalProperties" not in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            made["additionalProperties"] = False
    if isinstance(schema.get("additionalProperties"), dict):
        made["additionalProperties"] = closed(schema["additionalProperties"], top=False)
    if "items" in schema:
        made["items"] = closed(schema["items"], top=False)
    return made
