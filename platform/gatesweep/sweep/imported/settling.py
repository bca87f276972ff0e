"""Parts that each could be mapped and do not fit each other here: what stays, and what is listed instead."""

from __future__ import annotations

import math

from gatesweep.sweep.imported.draft import Draft
from gatesweep.sweep.imported.found import Foreign
from gatesweep.sweep.imported.target import Target
from gatesweep.sweep.mutable import CHANGEABLE
from gatesweep.sweep.options import Budget, SchedulerConfig


def settled(draft: Draft, found: Foreign, target: Target) -> Draft:
    """The draft with a search, a schedule and a budget that its space can have."""
    _search(draft, found)
    _schedule(draft, found, target)
    _budget(draft)
    draft.search.setdefault("seed", 1)
    return draft


def _search(draft: Draft, found: Foreign) -> None:
    """CMA-ES needs two ranges."""
    ranges = [key for key, dimension in draft.space.items() if "choice" not in dimension]
    if draft.search["name"] == "cmaes" and len(ranges) < 2:
        why = f"cmaes needs two ranges, and the space has {len(ranges)}; tpe stands in for it"
        draft.report.skip(found.search_key, "cmaes", why)
        draft.search = {"name": "tpe", **{key: draft.search[key] for key in ("seed",) if key in draft.search}}


def _schedule(draft: Draft, found: Foreign, target: Target) -> None:
    """A schedule needs trials of one length, and room for its first rung."""
    given = draft.scheduler
    if given["name"] == "none":
        return
    epochs = int(draft.constants.get("trainer.max_epochs") or target.max_epochs or 0)
    if given["name"] == "pbt":
        _population(draft, found, epochs)
        return
    grace = given["grace_epochs"]
    problem = None
    if "trainer.max_epochs" in draft.space:
        problem = "compares trials of the same length, and trainer.max_epochs is searched"
    elif epochs and grace > epochs:
        problem = f"begins to stop after {grace} epochs, and trials train for {epochs}"
    if problem:
        draft.report.skip(found.scheduler_key, given, f"{given['name']} {problem}; every trial trains to the end")
        draft.scheduler = {"name": "none"}
    elif not epochs:
        draft.report.note(f"scheduler: needs an experiment whose trainer.max_epochs is {grace} at least")
    elif given["name"] != "median" and len(SchedulerConfig(**given).milestones(epochs)) == 1 and grace == epochs:
        draft.report.note(f"scheduler: its first rung is the last of the {epochs} epochs, so it stops nothing")


def _population(draft: Draft, found: Foreign, epochs: int) -> None:
    """PBT needs values that can change on the way, and an exchange before the end."""
    ranges = [key for key, dimension in draft.space.items()
              if "choice" not in dimension and not CHANGEABLE.fullmatch(key)]  # fmt: skip
    problem = None
    if ranges:
        problem = f"copies weights between trials, and {ranges[0]} gives every one others; choices of it would do"
    elif not any(CHANGEABLE.fullmatch(key) for key in draft.space):
        problem = "changes values while trials train, and none of these can"
    elif "trainer.max_epochs" in draft.space:
        problem = "compares trials of the same length, and trainer.max_epochs is searched"
    elif epochs and epochs <= SchedulerConfig().interval_epochs:
        problem = f"exchanges after {SchedulerConfig().interval_epochs} epochs, and trials train for {epochs}"
    if problem:
        draft.report.skip(found.scheduler_key, "pbt", f"pbt {problem}; every trial trains to the end")
        draft.scheduler = {"name": "none"}


def _budget(draft: Draft) -> None:
    """A grid has so many trials as it has points; elsewhere theirs may have no end, which ours always has."""
    if draft.search["name"] == "grid":
        points = math.prod(len(dimension["choice"]) for dimension in draft.space.values())
        draft.budget["trials"] = min(points, draft.budget.get("trials", points))
    elif "trials" not in draft.budget:
        draft.budget["trials"] = Budget().trials
        draft.report.note(f"budget.trials: their file sets no end; {Budget().trials} trials, the default")
