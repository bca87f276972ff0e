"""`gatesweep reproduce SWEEP_ID`: every trial again, and every proposal and decision as the log has them.

What a sweep proposed and pruned depends on the order in which results came in, which the log holds: a fresh searcher
and scheduler are led through it (`sweep.replay`). Each trial is trained again as a run of its own, a pruned one as far
as it came. So the whole sweep is repeated in its recorded order, whatever the number of slots was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatesweep.errors import NotFound
from gatesweep.reproduce.reproduce import How, Reproduction, Say, train_and_compare
from gatesweep.reproduce.source import Sources
from gatesweep.reproduce.verdict import TOLERANCE
from gatesweep.sweep.reopen import is_there
from gatesweep.sweep.replay import Difference, replay
from gatesweep.sweep.session import place_of
from gatesweep.sweep.where import Where
from gatesweep.track.addresses import OUTCOME, TRIAL_ID
from gatesweep.track.store import Store

SWEEP_NAME = re.compile("[a-z0-9][a-z0-9-]{0,63}")
VERDICTS = ("bitwise", "within_tolerance", "diverged")
"""From the best to the worst."""


@dataclass(frozen=True)
class SweepReproduction:
    """What `gatesweep reproduce SWEEP_ID --json` prints."""

    sweep_id: str
    trials: dict[str, Reproduction]
    left_out: dict[str, str]
    """Trials that trained nothing that could be compared, and why: failed or stopped before their first epoch."""

    decisions: int
    """Proposals and decisions that the log holds."""

    other_decisions: tuple[Difference, ...]

    @property
    def verdict(self) -> str:
        """The worst of the trials'; `diverged` where a proposal or decision is another."""
        worst = max((VERDICTS.index(each.verdict) for each in self.trials.values()), default=0)
        return VERDICTS[-1] if self.other_decisions else VERDICTS[worst]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        first = self.other_decisions[0] if self.other_decisions else None
        return {"sweep_id": self.sweep_id, "verdict": self.verdict,
                "compared": sum(each.judged.compared for each in self.trials.values()),
                "decisions": self.decisions, "other_decisions": len(self.other_decisions),
                "first_other_decision": None if first is None else {
                    "trial": first.trial, "what": first.what, "was": first.was, "is": first.is_now},
                "left_out": self.left_out,
                "trials": {name: each.as_dict() for name, each in self.trials.items()}}  # fmt: skip


def is_sweep(name: str, store: Store) -> bool:
    """Whether the name is that of a sweep of this home folder."""
    return bool(SWEEP_NAME.fullmatch(name)) and is_there(name, store.home)


def reproduce_sweep(sweep_id: str, store: Store, *, root: Path, where: Where = Where(), here: bool = False,
                    tolerance: float = TOLERANCE, say: Say = lambda line: None) -> SweepReproduction:  # fmt: skip
    """Repeat a whole sweep.

    Raises:
        NotFound: no such sweep, or no trial of it in the store.
        UserError: a trial's code or data cannot be had again.
    """
    at = place_of(sweep_id, store.home, where)
    if not is_there(sweep_id, store.home, where):
        raise NotFound(f"no sweep '{sweep_id}'", place=at.address, hint="gatesweep list shows the sweeps")
    decisions, others = replay(at)
    runs = sorted((run for run in store.runs_of(sweep_id) if TRIAL_ID in run.tags), key=lambda run: run.tags[TRIAL_ID])
    if not runs:
        raise NotFound(f"no trial of sweep '{sweep_id}' in the store",
                       hint="gatesweep resume sends what it has not got")  # fmt: skip
    found: dict[str, Reproduction] = {}
    left_out: dict[str, str] = {}
    with Sources(root, here=here) as sources:
        for number, run in enumerate(runs, 1):
            name = run.tags[TRIAL_ID]
            if not any(key.startswith(("train/", "val/")) for key in run.metrics):
                left_out[name] = run.tags.get(OUTCOME, "still going on")
                continue
            found[name] = train_and_compare(run.run_id, store, sources, How(tolerance=tolerance))
            say(f"{number}/{len(runs)}  {name}: {found[name].verdict}, {found[name].judged.compared} values")
    return SweepReproduction(sweep_id, found, left_out, decisions, tuple(others))
