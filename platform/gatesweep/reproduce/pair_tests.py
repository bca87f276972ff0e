"""Whether one side is better than another: the paired test over their seeds, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gatesweep.reproduce.comparable import why_not
from gatesweep.reproduce.group import group_of, others, seed_of
from gatesweep.reproduce.paired import Paired, paired, sentence
from gatesweep.reproduce.scores import by_seed, mode_of
from gatesweep.reproduce.sides import GROUP, Side
from gatesweep.track.store import Store


@dataclass(frozen=True)
class PairTest:
    """Whether `b` is better than `a`: the paired test, or why there is none."""

    a: str
    b: str
    metric: str
    found: Paired | None
    why: tuple[str, ...] = ()
    """Why there is no test; where the scores cannot be compared at all, every reason."""

    hint: str = ""

    @property
    def sentence(self) -> str:
        """For a reader."""
        if self.found is not None:
            return sentence(self.a, self.b, self.metric, self.found)
        return f"{self.metric}: {self.b} and {self.a}: {'; '.join(self.why)}"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        found = None if self.found is None else self.found.as_dict()
        return {"a": self.a, "b": self.b, "metric": self.metric, "test": found, "sentence": self.sentence,
                "why_not": list(self.why), "hint": self.hint}


def pair_test(a: Side, b: Side, metric: str, store: Store) -> PairTest:
    """The test over the seeds that both have, or why there is none."""
    reasons = why_not(a, b, metric)
    if reasons:
        return PairTest(a.label, b.label, metric, None, ("scores are not comparable", *reasons))
    ours, theirs = (by_seed(side, metric, store) for side in (a, b))
    found = paired(ours, theirs, mode_of(metric, a.first))
    if found is not None:
        return PairTest(a.label, b.label, metric, found)
    common = sorted(ours.keys() & theirs.keys())
    have = f"the seed {common[0]} alone" if common else "no seed"
    why = f"no test is possible: they have {have} in common, and a paired test takes two"
    return PairTest(a.label, b.label, metric, None, (why,), _hint(a, b, store))


def _hint(a: Side, b: Side, store: Store) -> str:
    """How to come by seeds that both have."""
    if group_of(a.first.config) == group_of(b.first.config):
        return "both are of one configuration: they differ in their seed alone"
    bare = [side.name.removeprefix(GROUP) for side in (a, b)]
    compared = f"gatesweep compare {' '.join(GROUP + name for name in bare)}"
    begins = a.first.seed
    wanting = [side for side in (a, b) if len(_group_seeds(side, store)) < 2 or begins not in _group_seeds(side, store)]
    if not wanting:
        return compared
    trains = [f"gatesweep seeds {side.name.removeprefix(GROUP)} --n 5"
              + ("" if side.first.seed == begins else f" --set seed={begins}") for side in wanting]  # fmt: skip
    return "; ".join(trains) + f"; then {compared}"


def _group_seeds(side: Side, store: Store) -> set[int | None]:
    """Of the group that a side is, or that its run belongs to."""
    runs = others(side.first.run, store) if len(side.members) == 1 else []
    return {member.seed for member in side.members} | {seed_of(run, store) for run in runs}
