"""Reading YAML without its guesses: every scalar stays the text it was, and the field's type decides what it means.

YAML 1.1 reads `1e-4` as a string and `no` as false. Here only a plain `null`, `~` or nothing is None; all else is text.
Keys given twice, endless aliases and files too large for a configuration are refused.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from gatesweep.errors import ConfigError

MAX_BYTES = 1 << 20
MAX_NODES = 100_000
"""A configuration has hundreds of nodes; a file whose aliases expand beyond this is an attack or a mistake."""


class _TextLoader(yaml.SafeLoader):
    """SafeLoader with one implicit type, null, and no repeated keys."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key is a word, no list or mapping", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_TextLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])


def parse(text: str, place: str) -> Any:
    """The value that `text` spells, with strings for scalars; `place` names the source in errors."""
    try:
        loader = _TextLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > MAX_NODES:
            raise ConfigError(f"expands to more than {MAX_NODES} values", place=place, hint="write it without aliases")
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = f"{place}:{error.problem_mark.line + 1}" if error.problem_mark else place
        raise ConfigError(str(error.problem), place=line, hint="see the YAML syntax near this line") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"not readable as YAML: {error}", place=place) from None


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Nodes below `node` with every alias written out; an alias to its own parent counts as endless."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = MAX_NODES + 1
    if isinstance(node, yaml.MappingNode):
        below = [child for pair in node.value for child in pair]
    else:
        below = node.value if isinstance(node, yaml.SequenceNode) else []
    known[id(node)] = 1 + sum(_size(child, known) for child in below)
    return known[id(node)]


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping at the top of a YAML file.

    Raises:
        ConfigError: no such file, too large, not UTF-8, not YAML, or not a mapping.
    """
    place = str(path)
    if path.is_dir():
        raise ConfigError("is a folder", place=place, hint="give the path of a YAML file")
    if not path.is_file():
        near = [str(other) for other in sorted(path.parent.glob("*.yaml"))] if path.parent.is_dir() else []
        hint = f"there are: {', '.join(near)}" if near else "give the path of a YAML file"
        raise ConfigError("no such file", place=place, hint=hint)
    if path.stat().st_size > MAX_BYTES:
        raise ConfigError(f"larger than {MAX_BYTES} bytes", place=place, hint="a configuration holds no data")
    try:
        value = parse(path.read_text(encoding="utf-8"), place)
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text: {error}", place=place) from None
    if not isinstance(value, dict):
        raise ConfigError("holds no keys", place=place, hint="a configuration is a mapping: `task: forecasting` …")
    return value
