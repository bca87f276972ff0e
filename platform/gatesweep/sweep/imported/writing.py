"""The sweep's file as text: what came from where as comments, then one line per part.

Nothing of their file gets out of a comment or a quoted word: both are free of line breaks and control characters.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from gatesweep.sweep.imported.values import short

if TYPE_CHECKING:
    from gatesweep.sweep.imported.draft import Draft

_PLAIN = re.compile(r"[A-Za-z0-9_./+][A-Za-z0-9_./+-]*|-[0-9.][A-Za-z0-9_.+-]*")
_NULL = ("null", "Null", "NULL")
WIDTH = 116


def written(draft: Draft, source: str) -> str:
    """The whole file."""
    lines = [*_header(draft, source), *_body(draft)]
    return "\n".join(lines) + "\n"


_LONG_KEY = 1000


def flow(value: Any) -> str:
    """A value on one line of YAML, quoted where it must be."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(flow(key))}: {flow(each)}' for key, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(flow, value))}]"
    if not isinstance(value, str) or (_PLAIN.fullmatch(value) and value not in _NULL):
        return str(value)
    return yaml.safe_dump(value, default_style='"', width=10**9, allow_unicode=False).strip()


def _key(text: str) -> str:
    """YAML takes a key of more than 1,024 characters only where a question mark announces it."""
    return text if len(text) < _LONG_KEY else f"? {text} "


def shown(value: Any) -> str:
    """A value for a comment or a message: JSON, on one line, shortened."""
    return short(value if isinstance(value, str) else json.dumps(value, default=str))


def _header(draft: Draft, source: str) -> Iterator[str]:
    yield f"# Imported from {short(source, 200)}, a {draft.kind}."
    report = draft.report
    if report.unmapped:
        yield from ("#", "# Could not be mapped:")
        for each in report.unmapped:
            yield f"#   {short(each.key, 100)} = {shown(each.value)}: {short(each.why, 300)}"
    if report.notes:
        yield from ("#", "# Means something a little different here:")
        yield from (f"#   {short(note, 300)}" for note in report.notes)
    renamed = [f"{short(theirs)} -> {ours}" for theirs, ours in draft.mapped.items() if theirs != ours]
    if renamed:
        yield from ("#", "# Their names:")
        yield from (f"#   {each}" for each in renamed)


def _body(draft: Draft) -> Iterator[str]:
    values = draft.values
    for key, value in values.items():
        if key == "space":
            yield "space:"
            yield from (f"  {flow(name)}: {flow(dimension)}" for name, dimension in value.items())
            yield from (f"  # {line}" for line in draft.commented)
        elif key == "experiment" and draft.constants:
            yield from _experiment(value)
        else:
            yield f"{key}: {flow(value)}"
        if key == "experiment" and not draft.objective:
            yield "# objective: {metric: val/loss, mode: min}      # what to make small or large"
    if "experiment" not in values:
        yield "# experiment: ../experiments/traffic.yaml        # the training that the space varies"
        if not draft.objective:
            yield "# objective: {metric: val/loss, mode: min}      # what to make small or large"


def _experiment(value: dict[str, Any]) -> Iterator[str]:
    yield "experiment:"
    if "file" not in value:
        yield "  # file: ../experiments/traffic.yaml           # the training that the space varies"
    yield from (f"  {flow(key)}: {flow(each)}" for key, each in value.items())
