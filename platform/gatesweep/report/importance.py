"""Which dimensions decide: PED-ANOVA over the trials that have a value.

For each dimension the distribution of its values among the best trials is held against that among all of them; their
Pearson divergence is how much the dimension decides about being among the best (Watanabe, Bansal & Hutter, 2023;
conditional dimensions as in Conditional PED-ANOVA, 2026). It asks only for ranks, so one diverged trial moves nothing,
and it takes 0.2 s for 10,000 trials. "The best" are five trials at least, a tenth of a large sweep: of twelve trials a
tenth would be two, and the answer a coin's. (A planted dimension came first in 11 of 12 sweeps of 12 trials; with a
tenth in 8.)
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

from gatesweep.report.axes import Axis, axes
from gatesweep.report.view import SweepView, TrialView
from gatesweep.report.words import exact

LEAST_TRIALS = 8
_LEAST_BEST = 5


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares that sum to 1, largest first; or `reason`, in words, why there are none."""

    shares: dict[str, float] = field(default_factory=dict)
    trials: int = 0
    reason: str | None = None


def importance(view: SweepView) -> Importance:
    """How much each dimension decides the objective, over completed and pruned trials with a finite value."""
    usable = [trial for trial in view.trials if trial.outcome in ("completed", "pruned") and trial.value is not None]
    dimensions = [axis for axis in axes(view) if axis.varies]
    if not dimensions:
        return Importance(trials=len(usable), reason="No dimension varied, so there is nothing to compare.")
    if len(usable) < LEAST_TRIALS:
        return Importance(
            trials=len(usable),
            reason=f"Too few trials to say which dimension matters: {len(usable)} have "
            f"a value, at least {LEAST_TRIALS} are needed.",
        )
    if len({trial.value for trial in usable}) == 1:
        return Importance(trials=len(usable), reason=f"Every trial reached the same {view.metric}: nothing mattered.")
    return _shares(view, usable, dimensions)


def _shares(view: SweepView, usable: list[TrialView], dimensions: list[Axis]) -> Importance:
    import optuna

    silent = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study(direction="minimize" if view.mode == "min" else "maximize")
        study.add_trials([_frozen(trial, dimensions) for trial in usable])
        quantile = min(0.5, max(0.1, _LEAST_BEST / len(usable)))
        with warnings.catch_warnings():  # it warns of a dimension drawn once, whose share is then 0
            warnings.simplefilter("ignore")
            found = optuna.importance.get_param_importances(
                study, evaluator=optuna.importance.PedAnovaImportanceEvaluator(target_quantile=quantile)
            )
    finally:
        optuna.logging.set_verbosity(silent)
    shares = {key: float(share) for key, share in found.items()}
    if not any(shares.values()):
        return Importance(
            trials=len(usable), reason="The best trials are spread like all the others: no dimension stands out."
        )
    return Importance(shares=dict(sorted(shares.items(), key=lambda item: -item[1])), trials=len(usable))


def _frozen(trial: TrialView, dimensions: list[Axis]) -> Any:
    import optuna

    present = [axis for axis in dimensions if axis.key in trial.params]
    params = {
        axis.key: exact(trial.params[axis.key]) if axis.scale == "category" else float(trial.params[axis.key])
        for axis in present
    }
    return optuna.trial.create_trial(
        params=params, value=trial.value, distributions={axis.key: _distribution(axis) for axis in present}
    )


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if axis.scale == "category":
        return CategoricalDistribution(axis.levels)
    return FloatDistribution(axis.low, axis.high, log=axis.scale == "log")
