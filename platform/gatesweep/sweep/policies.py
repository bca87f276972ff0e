"""What follows from a death: whether its trial is tried again, and whether the sweep pauses."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gatesweep.sweep.failures import Death, Policy
from gatesweep.sweep.spec import FailureConfig
from gatesweep.sweep.trial import Trial

MIN_FAILURES = 4
"""Failed trials below which the breaker stays closed: two out of three say little."""

FREE_DEATHS = 20
"""Lost nodes after which a trial's further ones count: perhaps it is the trial that takes them along."""


def policy_for(trial: Trial, death: Death, failure: FailureConfig, runs_elsewhere: Callable[[], bool]) -> Policy:
    """The class's policy as far as this trial has not used it up.

    Args:
        runs_elsewhere: whether trials could run without the node of this death; asked where it matters.
    """
    policy = death.policy
    if policy == "free" and trial.lost >= FREE_DEATHS:
        policy = "counted"
    if policy == "exclude_node":
        return "exclude_node" if runs_elsewhere() and not trial.bad_hosts - {death.host} else "fail"
    if policy == "counted" and (trial.deaths >= failure.retries or death.trace in trial.traces):
        return "fail"
    return policy


def breaker(trials: Collection[Trial], death: Death, failure: FailureConfig) -> str | None:
    """Why the sweep pauses after this death, which is in its trial already; none where it goes on."""
    struck = sum(death.trace in trial.traces for trial in trials)
    if struck >= failure.same_error:
        return f"the breaker: the same error in {struck} trials: {death.reason.splitlines()[0]}"
    ended = [trial for trial in trials if trial.outcome]
    failed = sum(trial.outcome == "failed" for trial in ended)
    if failed >= MIN_FAILURES and failed > failure.breaker * len(ended):
        return f"the breaker: {failed} of {len(ended)} ended trials failed"
    return None
