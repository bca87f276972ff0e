"""text_quality(name or path): the report on a text set, labelled, parallel or plain, before anybody trains on it.

    labels     texts of one key under several labels; candidates for wrong labels, see `suspects`
    pairs      what could not be paired; copies (both sides the same); lengths out of proportion: log(target words /
               source words) lies more than 4 robust deviations (1.4826 times the median one) from its median
    leakage    texts of a later part whose key stands in an earlier part
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from .judge import TextsQuality, judge_texts
from .near import units_of
from .normal import text_key
from .pairs import Pairs
from .suspects import Verdict, suspects

RATIO_Z = 4.0


@dataclass(frozen=True)
class LabelsQuality:
    """Findings about labels."""

    counts: dict[str, int]
    conflicts: list[dict[str, Any]]
    """Texts of one key under several labels: `text`, `rows`, `labels`."""

    verdict: Verdict | None
    """None where it was not asked for."""

    shown: int
    """How many suspects a table shows."""

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        rows = [("labels", ", ".join(f"{name} {count:,}" for name, count in self.counts.items())),
                ("one text, several labels", f"{len(self.conflicts):,}")]
        rows += [(f"  rows {each['rows']}", f"{each['labels']}: {each['text']}")
                 for each in self.conflicts[: self.shown]]
        if self.verdict is not None:
            rows.append(("candidates for wrong labels", f"{len(self.verdict.suspects):,} (a linear model, "
                                                        f"{self.verdict.accuracy:.1%} right on texts it did not see)"))
            rows += [(f"  row {each.row}", f"{each.label}, rather {each.instead} (own label {each.probability:.1%}): "
                      f"{each.text}") for each in self.verdict.suspects[: self.shown]]
        return rows


@dataclass(frozen=True)
class PairsQuality:
    """Findings about the pairs of one part."""

    part: str
    pairs: int
    unpaired: dict[str, int]
    repeated: int
    copies: int
    several_targets: int
    """Sources that stand there with more than one target."""

    median_ratio: float
    """Words of the target for one of the source."""

    odd_ratio: int
    odd_examples: list[dict[str, Any]]

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value."""
        return [(f"{self.part}: pairs", f"{self.pairs:,}; unpaired "
                 + (", ".join(f"{count:,} {rule}" for rule, count in self.unpaired.items() if count) or "none")),
                ("pairs repeated, copies", f"{self.repeated:,}, {self.copies:,}"),
                ("sources with several targets", f"{self.several_targets:,}"),
                ("length ratio", f"median {self.median_ratio:.2f}, out of proportion {self.odd_ratio:,}"),
                *((f"  {each['reference']}", f"ratio {each['ratio']:.2f}: {each['source']} | {each['target']}")
                  for each in self.odd_examples[:3])]


@dataclass(frozen=True)
class TextReport:
    """All findings about one set."""

    name: str
    texts: list[TextsQuality]
    labels: LabelsQuality | None = None
    pairs: list[PairsQuality] = field(default_factory=list)
    leakage: dict[str, int] = field(default_factory=dict)
    """`train-test` -> texts of the second that stand in the first."""

    def rows_of_table(self) -> list[tuple[str, str]]:
        """Label and value, for a table of two columns."""
        rows = [row for each in self.pairs for row in each.rows_of_table()]
        rows += [row for each in self.texts for row in each.rows_of_table()]
        rows += self.labels.rows_of_table() if self.labels else []
        return rows + [(f"leakage {parts}", f"{count:,} equal texts") for parts, count in self.leakage.items()]

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return asdict(self)


def judge_labelled(name: str, frame: pd.DataFrame, *, shown: int = 10) -> TextReport:
    """Of a frame with `text` and `label`; `shown` suspects are shown, none looked for at 0."""
    texts, labels = frame["text"].tolist(), frame["label"].tolist()
    keys = [text_key(text) for text in texts]
    account = frame.attrs["account"]
    verdict = suspects(texts, labels, keys) if shown else None
    found = LabelsQuality(dict(sorted(Counter(labels).items())), _conflicts(texts, labels, keys), verdict, shown)
    parts = {str(part): each.tolist() for part, each in frame.groupby("split", sort=False)["text"]} \
        if "split" in frame else {}
    return TextReport(name, [judge_texts(name, texts, dropped=account.dropped, noted=account.noted)], found,
                      leakage=leakage(parts))


def _conflicts(texts: Sequence[str], labels: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    rows_of: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        rows_of[key].append(row)
    several = [rows for rows in rows_of.values() if len({labels[row] for row in rows}) > 1]
    return [{"text": texts[rows[0]][:160], "rows": rows, "labels": [labels[row] for row in rows]} for rows in several]


def judge_lines(name: str, parts: Mapping[str, Sequence[str]], noted: Mapping[str, dict[str, int]]) -> TextReport:
    """Of plain text: each line that is not empty is a text."""
    found = [judge_texts(part, [line for line in lines if line.strip()], noted=noted.get(part, {}))
             for part, lines in parts.items()]
    return TextReport(name, found, leakage=leakage(parts))


def judge_parallel(name: str, parts: Mapping[str, Pairs]) -> TextReport:
    """Of parallel text, side by side and pair by pair."""
    texts = [judge_texts(f"{part}/{language}", [each[side] for each in pairs])
             for part, pairs in parts.items() for side, language in enumerate(pairs.languages)]
    return TextReport(name, texts, pairs=[_judge_pairs(part, pairs) for part, pairs in parts.items()],
                      leakage=leakage({part: [each.source for each in pairs] for part, pairs in parts.items()}))


def _judge_pairs(part: str, pairs: Pairs) -> PairsQuality:
    keys = [(text_key(each.source), text_key(each.target)) for each in pairs]
    words_N2 = np.array([[len(units_of(source)), len(units_of(target))] for source, target in keys]).clip(min=1)
    logs_N = np.log(words_N2[:, 1] / words_N2[:, 0])
    middle = np.median(logs_N)
    spread = 1.4826 * np.median(abs(logs_N - middle))
    away_N = abs(logs_N - middle)
    odd = [int(place) for place in np.argsort(-away_N, kind="stable") if away_N[place] > RATIO_Z * spread]
    targets = defaultdict(set)
    for source, target in keys:
        targets[source].add(target)
    examples = [{"reference": pairs[place].reference, "ratio": float(np.exp(logs_N[place])),
                 "source": pairs[place].source[:160], "target": pairs[place].target[:160]} for place in odd[:10]]
    return PairsQuality(part, len(pairs), dict(pairs.account.dropped), len(keys) - len(set(keys)),
                        sum(source == target for source, target in keys),
                        sum(len(each) > 1 for each in targets.values()), float(np.exp(middle)), len(odd), examples)


def leakage(parts: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """For each two parts: texts of the later one whose key stands in the earlier one."""
    keys = {part: [text_key(text) for text in texts] for part, texts in parts.items()}
    return {f"{a}-{b}": sum(key in early for key in keys[b] if key)
            for a, b in combinations(keys, 2) for early in [set(keys[a])]}
