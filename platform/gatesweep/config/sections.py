"""Reading and replacing values of nested sections by dotted path, and their JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def value_at(config: BaseModel, dotted: str) -> Any:
    """The value at `a.b`; KeyError where there is none."""
    value: Any = config
    for name in dotted.split("."):
        if not isinstance(value, BaseModel) or name not in type(value).model_fields:
            raise KeyError(dotted)
        value = getattr(value, name)
    return value


def paths(config: BaseModel, prefix: str = "") -> list[str]:
    """Every dotted path that leads to a plain value."""
    found: list[str] = []
    for name in type(config).model_fields:
        value, path = getattr(config, name), f"{prefix}{name}"
        found += paths(value, f"{path}.") if isinstance(value, BaseModel) else [path]
    return found


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level with dotted keys."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{prefix}{key}."))
        else:
            result[f"{prefix}{key}"] = value
    return result
