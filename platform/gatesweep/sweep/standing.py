"""How a sweep stands: its trials, which of them is best, how they ended."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gatesweep.config.changes import with_changes
from gatesweep.sweep.options import Budget
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.trial import Trial
from gatesweep.track.ancestry import Ancestry


class Standing:
    """What can be said of trials without touching them."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.trials: dict[str, Trial] = {}
        self.ancestry = Ancestry()

    @property
    def budget(self) -> Budget:
        """How much to try, with every extension in it."""
        return self.spec.budget

    def value(self, trial: Trial) -> float | None:
        """A trial's objective at its best epoch."""
        best = trial.best_epoch(self.spec.goal.metric, self.spec.goal.mode)
        return None if best is None else trial.metrics[best][self.spec.goal.metric]

    def config(self, trial: Trial, epoch: int | None = None) -> dict[str, Any]:
        """What trains a trial's weights again, to the end of `epoch` (none: its newest), as plain JSON."""
        line = self.ancestry.line(trial.name, epoch)
        return with_changes(
            [(each.after_epoch, self.spec.trial_config(each.params, each.number).as_dict()) for each in line]
        )

    def lent(self, trial: Trial) -> tuple[list[str], list[str]]:
        """A trial's checkpoints that another one may still go on from; and those that were lent at the exchange before
        the newest and that nothing needs any more."""
        best = trial.best_epoch(self.spec.goal.metric, self.spec.goal.mode)
        needed = {each.checkpoint for each in self.trials.values() if each.outcome != "completed"}
        if self.spec.keep.checkpoints == "all":
            return sorted(set(trial.checkpoints.values()) & needed), []
        lent = {mutation.checkpoint for each in self.trials.values() for mutation in each.mutations[-2:]
                if mutation.donor == trial.name}  # fmt: skip
        own = {trial.checkpoint, trial.checkpoints.get(best or 0)}
        return sorted(lent & needed), sorted(lent - needed - own)

    def ranked(self) -> list[Trial]:
        """Trials with a value and no failure, the best first; equals by the other objectives, then by number."""
        sign = 1.0 if self.spec.goal.mode == "min" else -1.0
        scored = [(self.value(t), t) for t in self.trials.values() if t.outcome != "failed"]
        rows = [((sign * v, self._costs(t)[1:], t.number), t) for v, t in scored if v is not None]
        return [trial for _, trial in sorted(rows, key=lambda row: row[0])]

    def values(self, trial: Trial) -> list[float] | None:
        """Every objective at the epoch that is best by the first one; none where one of them is no number."""
        best = trial.best_epoch(self.spec.goal.metric, self.spec.goal.mode)
        found = [] if best is None else [trial.metrics[best][goal.metric] for goal in self.spec.goals]
        return found if found and not any(map(math.isnan, found)) else None

    def front(self) -> list[Trial]:
        """The Pareto front, the best by the first objective first: trials than which no other is better in one
        objective and as good in the rest."""
        costs = [(self._costs(trial), trial) for trial in self.ranked() if self.values(trial)]
        return [trial for cost, trial in costs if not any(_dominates(other, cost) for other, _ in costs)]

    def _costs(self, trial: Trial) -> tuple[float, ...]:
        """The objectives, less being better."""
        signs = [1.0 if goal.mode == "min" else -1.0 for goal in self.spec.goals]
        return tuple(sign * value for sign, value in zip(signs, self.values(trial) or (), strict=False))

    def outcomes(self) -> dict[str, int]:
        """How many trials ended how; open ones of a stopped sweep count as stopped."""
        counts = dict.fromkeys(("completed", "pruned", "failed", "stopped"), 0)
        for trial in self.trials.values():
            counts[trial.outcome or "stopped"] += 1
        return counts


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
