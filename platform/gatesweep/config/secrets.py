"""Secrets by reference: a file says where a secret is to be had, on the machine that needs it, never what it is.

    secrets:
      AWS_SECRET_ACCESS_KEY: {file: /run/secrets/aws_key}      # the file's content, without the newline at its end
      MLFLOW_TRACKING_TOKEN: {env: TEAM_MLFLOW_TOKEN}          # another variable of that machine

Nothing here prints, logs or returns a value into a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import model_validator

from gatesweep.config.section import Section
from gatesweep.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MAX_BYTES = 1 << 16


class Reference(Section):
    """Where one secret is to be had: exactly one of the two."""

    file: str | None = None
    """A file whose content it is."""

    env: str | None = None
    """A variable whose value it is."""

    @model_validator(mode="after")
    def _one_place(self) -> Reference:
        if (self.file is None) == (self.env is None):
            raise ValueError("names one place: a file, or a variable\n\nhint: {file: /run/secrets/NAME} or {env: NAME}")
        if self.env is not None and not _NAME.fullmatch(self.env):
            raise ValueError("env: is no name of a variable\n\nhint: {env: NAME}, of a variable that holds the secret")
        return self

    def as_dict(self) -> dict[str, str]:
        """`{"file": path}` or `{"env": name}`."""
        return {"file": self.file} if self.file is not None else {"env": str(self.env)}


def resolve(references: Mapping[str, Mapping[str, str]]) -> None:
    """Put every secret into this process's environment, or none of them.

    Args:
        references: variable -> `{"file": path}` or `{"env": name}`.

    Raises:
        ConfigError: names the first secret that this machine does not have.
    """
    os.environ.update({name: value_of(reference, f"secrets.{name}") for name, reference in references.items()})


def resolve_what_is_here(references: Mapping[str, Mapping[str, str]]) -> list[str]:
    """As `resolve`, for a machine that may lack some of them; returns the names of those."""
    missing = []
    for name in references:
        try:
            resolve({name: references[name]})
        except ConfigError:
            missing.append(name)
    return missing


def value_of(reference: Mapping[str, str], place: str) -> str:
    """The secret itself.

    Raises:
        ConfigError: no such file or variable here, an empty one, or no text.
    """
    if "env" in reference:
        value = os.environ.get(reference["env"], "")
        if not value:
            raise ConfigError(f"the variable {reference['env']} is not set on this machine", place=place,
                              hint=f"export {reference['env']} where this process starts, or refer to a file")
        return value
    path = Path(reference["file"]).expanduser()
    try:
        content = path.read_bytes()[:_MAX_BYTES].decode().strip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path} cannot be read on this machine: {why}", place=place,
                          hint="put the secret's file there on every machine that needs it") from None
    if not content or "\0" in content:
        raise ConfigError(f"{path} is empty or no text", place=place, hint="the file holds the secret and nothing else")
    return content


def refuse_values(secrets: Any, place: str) -> None:
    """Refuse secrets that are not references, before anything can print them.

    Raises:
        ConfigError: names the key, not the value.
    """
    if secrets is None:
        return
    if not isinstance(secrets, Mapping):
        raise ConfigError("secrets: is no mapping of names to places", place=place,
                          hint="secrets: {AWS_SECRET_ACCESS_KEY: {file: /run/secrets/aws_key}}")
    for name, reference in secrets.items():
        if not _NAME.fullmatch(str(name)):
            raise ConfigError(f"secrets: '{name}' is no name of a variable", place=place,
                              hint="letters, digits and underscores")
        refuse_value(reference, f"secrets.{name}", str(name), place)


def refuse_value(reference: Any, key: str, name: str, place: str) -> None:
    """Refuse one secret that is not a reference; `name` is for the hint."""
    if isinstance(reference, Mapping) and set(reference) <= {"file", "env"}:
        return
    raise ConfigError(f"{key}: a secret is named by its place, never written down", place=place,
                      hint=f"{name}: {{file: /run/secrets/{name.lower()}}} or {{env: {name}}}; and change a secret"
                           " that was in a file or a command line")
