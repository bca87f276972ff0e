"""`configs/clusters/*.yaml`: where sweeps run. Read, checked, and refused with the way out; its schema for editors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from gatesweep.config.credentials import refuse_credentials
from gatesweep.config.loader import build, did_you_mean, override
from gatesweep.config.secrets import refuse_value, refuse_values
from gatesweep.config.yaml_file import read_mapping
from gatesweep.errors import ConfigError
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.sections import ClusterConfig, LocalCluster, RayCluster

NEEDED = {
    "tracking": ("runs of other hosts are recorded by an MLflow server", "tracking: http://mlflow.example.org:5000"),
    "storage": ("hosts share a sweep's log and checkpoints",
                "storage: /mnt/shared/gatesweep, a folder that every host sees, or storage: s3://bucket/prefix"),
}
_PLACES_OF_SECRETS = ("secrets", "auth", "tls", "pull_secrets", "secret_volumes")
TYPES: dict[str, type[ClusterConfig]] = {"local": LocalCluster, "ray": RayCluster, "kuberay": KubeRayCluster}


def load_cluster(path: Path, assignments: Sequence[str] = ()) -> ClusterConfig:
    """The cluster in a file, with `--set` put in.

    Raises:
        ConfigError: what is wrong, with file, key, value and a hint; a secret's value is never repeated.
    """
    raw = read_mapping(path)
    stem = "".join(c if c.isalnum() and c.isascii() else "-" for c in path.stem.lower()).strip("-")
    raw.setdefault("name", stem[:40] or "cluster")
    return cluster_from(override(raw, assignments), place=str(path))


def cluster_from(raw: Mapping[str, Any], *, place: str) -> ClusterConfig:
    """A checked cluster from a plain mapping; `place` names the source in errors."""
    kind = raw.get("kind")
    if kind is None:
        raise ConfigError("'kind' is missing", place=place, hint="add `kind: local`, `kind: ray` or `kind: kuberay`")
    if kind not in TYPES:
        hint = did_you_mean(str(kind), TYPES)
        raise ConfigError(f"kind: there is no kind of cluster {kind!r}", place=place, hint=hint)
    _refuse_secrets(raw, place)
    _refuse_unknown(raw, kind, place)
    for key, (why, hint) in NEEDED.items():
        if kind != "local" and raw.get(key) is None:
            raise ConfigError(f"'{key}' is missing: {why}", place=place, hint=hint)
    return build(TYPES[kind], dict(raw), place=place)


def _refuse_unknown(raw: Mapping[str, Any], kind: str, place: str) -> None:
    """Before what is missing: a key that is misspelt is why."""
    known = TYPES[kind].model_fields
    for key in (key for key in raw if key not in known):
        owners = [other for other in TYPES if key in TYPES[other].model_fields]
        if owners:
            raise ConfigError(f"'{key}' is no key of kind {kind}", place=place,
                              hint=f"it belongs to kind {' and '.join(owners)}; or leave it out")
        raise ConfigError(f"unknown key '{key}'", place=place, hint=did_you_mean(str(key), known))


def _refuse_secrets(raw: Mapping[str, Any], place: str) -> None:
    """First of all, for later messages repeat what they refuse."""
    refuse_values(raw.get("secrets"), place)
    auth = raw.get("auth")
    if isinstance(auth, Mapping) and auth.get("token") is not None:
        refuse_value(auth["token"], "auth.token", "token", place)
    elif auth is not None and not isinstance(auth, Mapping):
        refuse_value(None, "auth", "token", place)
    for key, value in _plain_values({k: v for k, v in raw.items() if k not in _PLACES_OF_SECRETS}):
        refuse_credentials(key, value, place)


def _plain_values(raw: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Every text in the nested mapping, with its dotted key."""
    if isinstance(raw, Mapping):
        return [pair for key, value in raw.items() for pair in _plain_values(value, f"{prefix}.{key}".lstrip("."))]
    if isinstance(raw, list | tuple):
        return [pair for value in raw for pair in _plain_values(value, prefix)]
    return [(prefix, raw)] if isinstance(raw, str) else []


def schema_of_clusters() -> dict[str, Any]:
    """The JSON Schema of `configs/clusters/*.yaml`: one alternative a kind."""
    definitions: dict[str, Any] = {}
    alternatives = []
    for kind, section in TYPES.items():
        own = section.model_json_schema()
        definitions |= own.pop("$defs", {})
        own["required"] = [name for name in cast(list[str], own.get("required", [])) if name != "name"]
        definitions[kind] = own
        alternatives.append({"$ref": f"#/$defs/{kind}"})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ClusterConfig",
        "description": ClusterConfig.__doc__,
        "type": "object",
        "required": ["kind"],
        "oneOf": alternatives,
        "$defs": definitions,
    }
