"""What differs between runs, read off their `lock.json`: configuration, code, machine, settings, packages.

    lock = {"code": {"commit": …}, "config": {…}, "data": [{name, md5, …}], "torch": {"threads": 1}, …}
    table([lock, lock, …])   one row for each dotted key on which the locks do not agree, one value for each lock
    differences(was, now)    the same of two locks, as `was` and `now`

What no number depends on is left out: names, what is kept on disk, the branch and the remote's address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gatesweep.report.words import exact, shortened
from gatesweep.track.dress import flatten

CONFIG, DATA, SEEDS = "config", "data", "seeds"
ENVIRONMENT = ("code", "python", "packages", "machine", "torch", "environment")
PARTS = (CONFIG, SEEDS, DATA, *ENVIRONMENT)
"""The parts of a lock that are compared, in this order."""

_LEFT_OUT = {
    CONFIG: frozenset(("name", "keep")),  # as in ExperimentConfig.digest
    "code": frozenset(("branch", "remote", "why_not")),
    "machine": frozenset(("memory_bytes",)),
}


class _Absent:
    """The value of a key that a lock does not have; not None, which a configuration may hold."""

    def __repr__(self) -> str:
        return "—"


ABSENT: Any = _Absent()


@dataclass(frozen=True)
class Row:
    """One key on which runs do not agree: a value for each of them, ABSENT where one has none."""

    part: str
    key: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """One key that was something else; ABSENT where one side has no such key."""

    part: str
    """One of PARTS."""

    key: str
    """Dotted: `optimizer.lr`, `torch.threads`, `packages.numpy`; without `config.` for the configuration's."""

    was: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.key}: {told(self.was, 60)} -> {told(self.now, 60)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; an absent value is left out."""
        sides = {"was": self.was, "now": self.now}
        known = {side: value for side, value in sides.items() if value is not ABSENT}
        return {"part": self.part, "key": self.key, **known}


def differences(
    was: Mapping[str, Any], now: Mapping[str, Any], parts: Sequence[str] = PARTS
) -> list[Difference]:
    """What differs between two `lock.json`, part by part, keys in order.

    Args:
        was, now: the content of a `lock.json`; of a part that one of them lacks nothing is said.
        parts: which of PARTS.
    """
    return [Difference(row.part, row.key, *row.values) for row in table([was, now], parts)]


def table(locks: Sequence[Mapping[str, Any] | None], parts: Sequence[str] = PARTS) -> list[Row]:
    """The keys on which the locks do not agree.

    A lock that is None, or that lacks a part (of torch where nobody had imported it), disagrees with nobody there.
    """
    rows = []
    for part in parts:
        flat = [None if lock is None or lock.get(part) is None else _flat(part, lock[part]) for lock in locks]
        keys = dict.fromkeys(key for values in flat if values is not None for key in values)
        ordered = keys if part == CONFIG else sorted(keys)
        for key in ordered:
            values = _own_entries([ABSENT if each is None else each.get(key, ABSENT) for each in flat])
            known = [value for value, each in zip(values, flat, strict=True) if each is not None]
            if any(not same(value, known[0]) for value in known):
                rows.append(Row(part, key, tuple(values)))
    return rows


def _flat(part: str, value: Any) -> dict[str, Any]:
    """One part of a lock under dotted keys; the configuration's are its own, the others' begin with their part."""
    if part == DATA:
        return {f"{DATA}.{pin['name']}": pin["md5"] for pin in value}
    if not isinstance(value, Mapping):
        return {part: value}
    kept = {key: each for key, each in value.items() if key not in _LEFT_OUT.get(part, ())}
    return flatten(kept) if part == CONFIG else flatten(kept, f"{part}.")


def _own_entries(values: list[Any]) -> list[Any]:
    """Of long lists of words (a processor's flags, untracked files) only what not all have."""
    lists = [value for value in values if isinstance(value, list)]
    if len(lists) != len(values) or not all(isinstance(word, str) for value in lists for word in value):
        return values
    common = set.intersection(*map(set, lists))
    return values if max(map(len, lists)) < 10 else [[word for word in value if word not in common] for value in lists]


def same(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same: 1 and 1.0 are, 1 and true are not."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def told(value: Any, most: int = 40) -> str:
    """A value as a reader sees it, on one line."""
    return repr(ABSENT) if value is ABSENT else shortened(exact(value), most)
