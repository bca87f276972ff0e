"""The base of every configuration section: strict, typed, frozen, each field explained by the docstring below it."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

_NONE_WORDS = {"none", "null", "~", ""}


class Section(BaseModel):
    """A part of a configuration file.

    Unknown keys are refused, values cannot change after birth, and a field's docstring is its entry in the schema.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        allow_inf_nan=False,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def _none_words(cls, values: Any) -> Any:
        """`none` in a file means None where the field admits None, and the word itself elsewhere."""
        if not isinstance(values, dict):
            return values
        return {key: None if _means_none(cls, key, value) else value for key, value in values.items()}


def _means_none(section: type[BaseModel], key: str, value: Any) -> bool:
    field = section.model_fields.get(key)
    return (
        isinstance(value, str) and value.lower() in _NONE_WORDS and field is not None and admits_none(field.annotation)
    )


def admits_none(annotation: Any) -> bool:
    """Whether a field so annotated may be None."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return type(None) in typing.get_args(annotation)
    return annotation is type(None)
