"""From a file and `--set` to a section, or to one message that names the file, the key, the value and the way out."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gatesweep.config.yaml_file import parse
from gatesweep.errors import ConfigError

S = TypeVar("S", bound=BaseModel)

OTHER_NAMES = {
    "learning_rate": "lr", "num_layers": "layers", "n_layers": "layers", "hidden": "hidden_size",
    "units": "hidden_size", "hidden_dim": "hidden_size", "epochs": "max_epochs", "num_epochs": "max_epochs",
    "batch": "batch_size",
    "num_samples": "trials", "max_trials": "trials", "maxTrialCount": "trials", "run_cap": "trials",
    "parallelTrialCount": "concurrent", "max_concurrent_trials": "concurrent", "parameters": "space",
    "early_terminate": "scheduler", "searcher": "search", "algorithm": "search", "method": "search", "goal": "mode",
    "gradient_clip_val": "clip_norm", "grad_clip": "clip_norm", "random_seed": "seed", "dataset": "data",
    "reduction_factor": "reduction", "grace_period": "grace_epochs", "cpu": "cpus", "gpu": "gpus",
}  # fmt: skip
"""What other tools call our keys (W&B, Katib, Determined, Keras, Lightning): the second source of suggestions."""


def override(raw: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """`raw` with every `a.b=c` of `--set` put in; the value is read as YAML.

    Raises:
        ConfigError: an assignment without `=`, or a path that leads through a plain value.
    """
    if isinstance(assignments, str):
        raise ConfigError(f"takes a list of KEY=VALUE, and got the text {assignments!r}", place="overrides",
                          hint=f"overrides=[{assignments!r}]")
    result = copy.deepcopy(raw)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key:
            raise ConfigError(
                f"'{assignment}' is not KEY=VALUE", place="--set", hint="for example --set optimizer.lr=0.003"
            )
        put(result, key.strip(), parse(text, f"--set {key}"), place=f"--set {assignment}")
    return result


def put(raw: dict[str, Any], dotted: str, value: Any, *, place: str = "--set") -> None:
    """Set `raw[a][b] = value` for the path `a.b`, making the mappings on the way.

    In a sweep's space a key holds dots itself, so the longest key that is there wins.
    """
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        head = ".".join(parts[:end])
        if head in raw or end == 1:
            break
    if end == len(parts):
        raw[head] = value
        return
    below = raw.setdefault(head, {})
    if not isinstance(below, dict):
        raise ConfigError(f"'{head}' is the value {below!r} and has no keys below it", place=place)
    put(below, ".".join(parts[end:]), value, place=place)


def build(section: type[S], raw: Any, *, place: str) -> S:
    """The section that `raw` spells.

    Raises:
        ConfigError: what is wrong first, with every further problem on a line of its own.
    """
    try:
        return section.model_validate(raw)
    except ValidationError as error:
        raise explain(section, error, place) from None


def explain(section: type[BaseModel], error: ValidationError, place: str) -> ConfigError:
    """Pydantic's list of errors as one message in the user's words, each with the hint that belongs to it."""
    lines: list[str] = []
    hint = None
    for detail in error.errors():
        if hint:
            lines[-1] += f"\n\nhint: {hint}\n"
        where, text, hint = _in_words(section, detail)
        lines.append(f"{place}: {where}{text}" if lines else f"{where}{text}")
    return ConfigError("\n".join(lines), place=place, hint=hint)


def _in_words(section: type[BaseModel], detail: ErrorDetails) -> tuple[str, str, str | None]:
    """(where, what, hint) of one of pydantic's errors."""
    path = [str(part) for part in detail["loc"] if not _is_type_name(part)]
    if detail["type"] == "extra_forbidden":
        known = _fields_at(section, path[:-1])
        where = f"{'.'.join(path[:-1])}: " if path[:-1] else ""
        return where, f"unknown key '{path[-1]}'", did_you_mean(path[-1], known)
    where = f"{'.'.join(path)}: " if path else ""
    if detail["type"] == "missing":
        return "", f"'{'.'.join(path)}' is missing", f"add `{path[-1]}:`"
    if detail["input"] is None and path:
        needed = path[-1] not in _fields_at(section, path[:-1], required=False)
        return where, "has no value", "give it one" + ("" if needed else f", or leave {path[-1]} out")
    if detail["type"] in ("model_type", "dict_type") and path:
        known = _fields_at(section, path)
        hint = f"it has keys of its own: {', '.join(f'{path[-1]}.{key}' for key in known[:3])}, …" if known else None
        return where, f"is a section of the file, not a value like {detail['input']!r}", hint
    text = detail["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text = text[0].lower() + text[1:] if text[:1].isupper() and not text[:2].isupper() else text
    value = detail["input"]
    if detail["type"] == "value_error" or isinstance(value, dict):
        message, _, idea = text.partition("\n\nhint: ")
        return where, message, idea or None
    hint = None
    if detail["type"] in ("literal_error", "enum"):
        hint = did_you_mean(
            str(value), detail.get("ctx", {}).get("expected", "").replace("'", "").replace(" or ", ", ").split(", ")
        )
    return where, f"{text}, not {value!r}", hint


def _is_type_name(part: Any) -> bool:
    """Whether pydantic put this step into a location for a member of a union, not for a key."""
    return isinstance(part, str) and (
        part.startswith(("function-", "tagged-", "constrained-", "tuple[", "list[", "dict["))
    )


def _fields_at(section: type[BaseModel], path: Sequence[str], *, required: bool = True) -> list[str]:
    """The keys of the section at `path`; with `required` false those that a file may leave out."""
    kind: Any = section
    for name in path:
        field = getattr(kind, "model_fields", {}).get(name)
        kind = next((k for k in _models_in(field.annotation)), None) if field else None
    fields = getattr(kind, "model_fields", {})
    return [name for name, field in fields.items() if required or not field.is_required()]


def _models_in(annotation: Any) -> Iterable[type[BaseModel]]:
    for given in (annotation, *getattr(annotation, "__args__", ())):
        kind = getattr(given, "__origin__", given)  # of Annotated
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A suggestion for a mistyped word, or what there is."""
    known = list(known)
    head, dot, last = word.rpartition(".")
    for candidate in (OTHER_NAMES.get(word), f"{head}{dot}{OTHER_NAMES.get(last)}"):
        if candidate in known:
            return f"did you mean '{candidate}'?"
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{near[0]}'?"
    return f"one of: {', '.join(known)}" if known else None
