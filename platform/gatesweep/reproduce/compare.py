"""Runs side by side: what differs in configuration, environment and data, what they scored, whether that is luck.

    names -> sides (a run, or a seed group) -> differences | data, file by file | scores | curves | paired tests

The first side is what the others are held against.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gatesweep.config.places import find_root
from gatesweep.report.overlay import Curve
from gatesweep.reproduce import tables
from gatesweep.reproduce.comparable import why_not
from gatesweep.reproduce.data_changes import DataChange, data_changes
from gatesweep.reproduce.differences import ABSENT, CONFIG, ENVIRONMENT, Row, same, table, told
from gatesweep.reproduce.pair_tests import PairTest, pair_test
from gatesweep.reproduce.scores import chosen_metric, curve_metric, mode_of, monitor_of, score, shared_metrics
from gatesweep.reproduce.sides import Side, notes_of, sides_of
from gatesweep.track.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True)
class Comparison:
    """What `gatesweep compare` shows; the tables are pandas DataFrames."""

    sides: tuple[Side, ...]
    metric: str | None
    """What they are compared by; None where they have no metric in common."""

    mode: str | None
    rows: tuple[Row, ...]
    """Of the configuration and the environment, a value for each side."""

    data_changes: tuple[DataChange, ...]
    values: Mapping[str, Mapping[str, Sequence[float]]]
    """metric -> side -> its runs' scores, in their order."""

    tests: tuple[PairTest, ...]
    curve_metric: str | None
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]

    @property
    def comparable(self) -> bool:
        """Whether every side was scored on the same examples, by the same measure, as the first."""
        return self.metric is not None and not any(why_not(self.sides[0], side, self.metric) for side in self.sides[1:])

    @property
    def config(self) -> pd.DataFrame:
        """Dotted keys that differ, a column for each side."""
        return tables.frame(self.rows_of((CONFIG,)), self.sides)

    @property
    def environment(self) -> pd.DataFrame:
        """Code, packages, machine and settings that differ, a column for each side."""
        return tables.frame(self.rows_of(ENVIRONMENT), self.sides)

    @property
    def data(self) -> pd.DataFrame:
        """One row for each set that differs from the first side's, with what is known of its files."""
        return tables.data_frame(self.data_changes)

    @property
    def scores(self) -> pd.DataFrame:
        """One row for each metric and run: metric, side, run_id, seed, value."""
        return tables.score_frame(self)

    @property
    def paired(self) -> pd.DataFrame:
        """One row for each side but the first: a, b, metric, n, difference, low, high, sd, t, p, verdict, why_not."""
        return tables.test_frame(self.tests)

    def rows_of(self, parts: Sequence[str]) -> list[Row]:
        """Of these parts alone."""
        return [row for row in self.rows if row.part in parts]

    def write(self, folder: Path | str) -> Path:
        """`compare.md`, `scores.csv` and, where there are curves, `curves.svg`, each whole or not at all."""
        return tables.write(self, folder)

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints, but for where the files are."""
        return {
            "runs": [_described(side) for side in self.sides],
            "metric": self.metric,
            "mode": self.mode,
            "comparable": self.comparable,
            "tests": [test.as_dict() for test in self.tests],
            "scores": {metric: {label: _summary(values) for label, values in sides.items()}
                       for metric, sides in self.values.items()},
            "config": tables.plain(self.rows_of((CONFIG,)), self.sides),
            "environment": tables.plain(self.rows_of(ENVIRONMENT), self.sides),
            "data": [change.as_dict() for change in self.data_changes],
            "notes": list(self.notes),
        }  # fmt: skip


def compare(names: Sequence[str], store: Store, *, metric: str | None = None) -> Comparison:
    """Hold runs and seed groups against the first of them.

    Args:
        names: two or more of RUN and `seeds:RUN`.
        metric: by default what the first run watched, on the test split where all have it.

    Raises:
        NotFound: no such run.
        ConfigError: one name alone, one run twice, or a metric that not all have.
    """
    sides = sides_of(names, store)
    chosen = chosen_metric(metric, sides)
    root = find_root()
    drawn, curves = _curves(sides, chosen, store)
    return Comparison(
        tuple(sides),
        chosen,
        None if chosen is None else mode_of(chosen, sides[0].first),
        tuple(_rows(sides)),
        tuple(data_changes(sides, root)),
        _values(sides, chosen, store),
        tuple(pair_test(sides[0], side, chosen, store) for side in sides[1:]) if chosen else (),
        drawn,
        curves,
        tuple(notes_of(sides) + ([] if metric else _notes_of_choice(chosen, sides))),
    )


def _notes_of_choice(chosen: str | None, sides: Sequence[Side]) -> list[str]:
    """What a metric that nobody asked for needs said."""
    if chosen is None:
        return ["the runs have no metric of val or test in common"]
    if chosen.startswith("test/"):
        return []
    tested = f"test/{chosen.partition('/')[2]}"
    has = [tested in member.run.metrics for side in sides for member in side.members]
    why = f"not every run has {tested}, and the best epochs were chosen by val: scores on it flatter"
    return [why] if any(has) else []


def _rows(sides: Sequence[Side]) -> list[Row]:
    """What differs between the sides; what differs within one alone stands as `1 | 2`."""
    members = [member for side in sides for member in side.members]
    rows = table([member.lock for member in members], [CONFIG])
    rows += table([member.lock if member.locked else None for member in members], ENVIRONMENT)
    found = []
    for row in rows:
        left = iter(zip(row.values, members, strict=True))
        values = [_one([next(left) for _ in side.members], row.part) for side in sides]
        known = [value for value in values if value is not _UNKNOWN]
        if any(not same(value, known[0]) for value in known):
            found.append(Row(row.part, row.key, tuple(ABSENT if value is _UNKNOWN else value for value in values)))
    return found


_UNKNOWN = object()
"""Of a side none of whose runs says what it ran on: it disagrees with nobody."""


def _one(values: list[tuple[Any, Any]], part: str) -> Any:
    """The value that a side's runs share, else all of theirs."""
    known = [value for value, member in values if member.locked or part == CONFIG]
    if not known:
        return _UNKNOWN
    if all(same(value, known[0]) for value in known):
        return known[0]
    return " | ".join(dict.fromkeys(told(value) for value in known))


def _values(sides: Sequence[Side], chosen: str | None, store: Store) -> dict[str, dict[str, list[float]]]:
    """The chosen metric first, then every other of test and val that all have."""
    names = [name for name in shared_metrics(sides) if name.partition("/")[0] in ("test", "val")]
    ordered = dict.fromkeys([*([chosen] if chosen else []), *names])
    return {name: {side.label: [score(member, name, store) for member in side.members] for side in sides}
            for name in ordered}  # fmt: skip


def _curves(sides: Sequence[Side], metric: str | None, store: Store) -> tuple[str | None, tuple[Curve, ...]]:
    """The metric's own curves; of one that no epoch reports, those of what the first run watched."""
    if metric is None:
        return None, ()
    for name in dict.fromkeys((curve_metric(metric), monitor_of(sides[0].first))):
        curves = [
            Curve(side.label, [points for member in side.members if (points := _points(store, member.run, name))])
            for side in sides
        ]
        if any(len(points) > 1 for curve in curves for points in curve.runs):
            return name, tuple(curve for curve in curves if curve.runs)
    return None, ()


def _points(store: Store, run: Any, metric: str) -> dict[int, float]:
    if metric not in run.metrics:
        return {}
    return {point.step: point.value for point in store.history(run.run_id, metric)}


def _described(side: Side) -> dict[str, Any]:
    first = side.first
    return {"name": side.name, "label": side.label, "run_ids": [member.run.run_id for member in side.members],
            "seeds": [member.seed for member in side.members], "task": first.task,
            "status": [member.run.status for member in side.members]}  # fmt: skip


def _summary(values: Sequence[float]) -> dict[str, Any]:
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None,
            "values": list(values)}  # fmt: skip
