"""Which dimensions may change while a model trains, and which stay with their trial.

Weights are copied between trials, so what gives them other names or shapes cannot change; nor can a rule of the
optimizer, whose moments are copied too. `scheduler.mutate` names others where a task of the user's own has some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gatesweep.config.digest import canonical

if TYPE_CHECKING:
    from gatesweep.sweep.spec import SweepSpec

CHANGEABLE = re.compile(
    r"optimizer\.(lr|momentum|weight_decay|betas|alpha|clip_norm)"
    r"|model\.(\w*dropout|weight_drop|zoneout_[hc])"
    r"|trainer\.batch_size"
)
"""Keys whose values a training takes over at an epoch's border."""

IN_EPOCHS = ("constant", "plateau")
"""Schedules of the learning rate that do not count steps, of which another batch size makes another number."""


def mutable(spec: SweepSpec) -> list[str]:
    """The dimensions that change, in the space's order."""
    if spec.scheduler.mutate is not None:
        return [key for key in spec.space if key in spec.scheduler.mutate]
    decisive = {other for dimension in spec.space.values() for other in dimension.when or {}}
    return [key for key in spec.space if CHANGEABLE.fullmatch(key) and key not in decisive and not _counts(spec, key)]


def why_not(spec: SweepSpec, key: str) -> str:
    """Why a dimension stays with its trial."""
    if any(key in (dimension.when or {}) for dimension in spec.space.values()):
        return "decides which other dimensions there are"
    if _counts(spec, key):
        return "would change how many steps the schedule of the learning rate has"
    return "cannot change while a model trains"


def fixed(params: Mapping[str, Any], changing: list[str]) -> str:
    """What stays with a trial, as a text: equal for trials that may copy each other."""
    return canonical({key: value for key, value in params.items() if key not in changing})


def _counts(spec: SweepSpec, key: str) -> bool:
    """Whether another value would stretch or cut a schedule that counts steps, or the momentum that it moves."""
    schedule = spec.experiment.schedule
    in_steps = schedule.name not in IN_EPOCHS or bool(schedule.warmup_steps) or "schedule.name" in spec.space
    cycled = schedule.name == "one_cycle" and key in ("optimizer.momentum", "optimizer.betas")
    return cycled or (key == "trainer.batch_size" and in_steps)
