"""How a sweep stands: its trials, which of them is best, how they ended."""

from __future__ import annotations

from gatesweep.sweep.options import Budget
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.trial import Trial


class Standing:
    """What can be said of trials without touching them."""

    def __init__(self, spec: SweepSpec) -> None:
        self.spec = spec
        self.trials: dict[str, Trial] = {}

    @property
    def budget(self) -> Budget:
        """How much to try, with every extension in it."""
        return self.spec.budget

    def value(self, trial: Trial) -> float | None:
        """A trial's objective at its best epoch."""
        best = trial.best_epoch(self.spec.objective.metric, self.spec.objective.mode)
        return None if best is None else trial.metrics[best][self.spec.objective.metric]

    def ranked(self) -> list[Trial]:
        """Trials with a value and no failure, the best first."""
        sign = 1.0 if self.spec.objective.mode == "min" else -1.0
        scored = [(self.value(t), t) for t in self.trials.values() if t.outcome != "failed"]
        return [
            t for _, t in sorted(((sign * v, t) for v, t in scored if v is not None), key=lambda p: (p[0], p[1].number))
        ]

    def outcomes(self) -> dict[str, int]:
        """How many trials ended how; open ones of a stopped sweep count as stopped."""
        counts = dict.fromkeys(("completed", "pruned", "failed", "stopped"), 0)
        for trial in self.trials.values():
            counts[trial.outcome or "stopped"] += 1
        return counts
