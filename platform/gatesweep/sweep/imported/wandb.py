"""A Weights & Biases sweep: `method`, `metric`, `parameters`, `early_terminate`, `run_cap`.

Hyperband there is one ladder of rungs at which runs are stopped, which is what `asha` is here:

    min_iter, eta       rungs at min_iter · eta^k
    max_iter, s, eta    rungs at max_iter / eta^k for k = s … 1
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

from gatesweep.sweep.imported.found import Foreign, Mode, Report
from gatesweep.sweep.imported.ranges import Searched
from gatesweep.sweep.imported.values import number, others, section, short, text, whole
from gatesweep.sweep.imported.wandb_parameters import read_parameters

METHODS = {"grid": "grid", "random": "random", "bayes": "gp"}
GOALS: Final[dict[str, Mode]] = {"minimize": "min", "maximize": "max"}
ELSEWHERE = {
    "program": "our tasks are the program: `task` of the experiment",
    "command": "our tasks are the program: `task` of the experiment",
    "project": "the sweep's name names its experiment in MLflow",
    "entity": "there are no accounts here",
    "controller": "the sweep's own driver is its controller",
}


def is_wandb(raw: dict[str, Any]) -> bool:
    """Whether these are the keys of such a file."""
    return "parameters" in raw and "apiVersion" not in raw and bool({"method", "metric", "program"} & raw.keys())


def read_wandb(raw: dict[str, Any], place: str) -> Foreign:
    """The sweep that the file describes.

    Raises:
        ConfigError: no method or parameters, or values that their tool would not take either.
    """
    report = Report(place)
    found = Foreign("Weights & Biases sweep", report)
    method = text(raw.get("method"), "method", report)
    if method not in METHODS:
        report.skip("method", method, f"is none of {', '.join(METHODS)}; random stands in for it")
    found.search["name"] = METHODS.get(method, "random")
    found.name = text(raw["name"], "name", report) if raw.get("name") else None
    found.question = text(raw["description"], "description", report) if raw.get("description") else None
    _metric(raw.get("metric"), found)
    read_parameters(section(raw.get("parameters"), "parameters", report), found, Searched(grid=method == "grid"))
    if raw.get("early_terminate") is not None:
        _early(section(raw["early_terminate"], "early_terminate", report), found)
    if raw.get("run_cap") is not None:
        found.budget["trials"] = whole(raw["run_cap"], "run_cap", report)
    read = ("method", "name", "description", "metric", "parameters", "early_terminate", "run_cap")
    for key in others(raw, read):
        report.skip(key, raw[key], ELSEWHERE.get(key, "there is nothing like it here"))
    return found


def _metric(given: Any, found: Foreign) -> None:
    if given is None:
        return
    report, metric = found.report, section(given, "metric", found.report)
    found.metric = text(metric.get("name"), "metric.name", report)
    goal = text(metric.get("goal", "minimize"), "metric.goal", report)
    if goal not in GOALS:
        raise report.wrong("metric.goal", f"is minimize or maximize, not {short(goal)}")
    found.mode = GOALS[goal]
    if metric.get("target") is not None:
        found.budget["target"] = float(number(metric["target"], "metric.target", report))
    for key in others(metric, {"name", "goal", "target"}):
        report.skip(f"metric.{key}", metric[key], "there is nothing like it here")


def _early(given: dict[str, Any], found: Foreign) -> None:
    report, kind = found.report, text(given.get("type"), "early_terminate.type", found.report)
    if kind != "hyperband":
        report.skip("early_terminate", given, f"'{short(kind)}' is not known here; every trial trains to the end")
        return
    reduction = _eta(given, report)
    if given.get("min_iter") is not None:
        grace = Fraction(whole(given["min_iter"], "early_terminate.min_iter", report))
        idle = [key for key in ("max_iter", "s") if given.get(key) is not None]
    else:
        grace, idle = _first_rung(given, reduction, report), []
    for key in idle:
        report.skip(f"early_terminate.{key}", given[key], "does nothing beside min_iter")
    epochs = max(1, round(grace))
    if epochs != grace:
        report.note(f"early_terminate: the first rung is at epoch {epochs}, the nearest to {float(grace):.3g}")
    report.note("early_terminate: their iterations (times that the metric was logged) are epochs here")
    found.scheduler = {"name": "asha", "grace_epochs": epochs, "reduction": reduction}
    for key in others(given, {"type", "min_iter", "max_iter", "eta", "s"}):
        why = "asha compares with what came before and has no other mode" if key == "strict" else "is not known here"
        report.skip(f"early_terminate.{key}", given[key], why)


def _eta(given: dict[str, Any], report: Report) -> int:
    """The share that goes on, 1 in eta; 3 where it is not said."""
    eta = number(given.get("eta", "3"), "early_terminate.eta", report)
    if eta <= 1:
        raise report.wrong("early_terminate.eta", f"is above 1, not {eta}")
    if eta != eta.to_integral_value():
        report.skip("early_terminate.eta", given["eta"], "a whole number here: 1 in 3 goes on, the default")
        return 3
    return int(eta)


def _first_rung(given: dict[str, Any], reduction: int, report: Report) -> Fraction:
    if given.get("max_iter") is None:
        raise report.wrong("early_terminate", "hyperband has neither min_iter nor max_iter", "add min_iter: 3")
    longest = whole(given["max_iter"], "early_terminate.max_iter", report)
    brackets = whole(given.get("s"), "early_terminate.s", report)
    if brackets > 64:
        raise report.wrong("early_terminate.s", f"{brackets} brackets do not fit into {longest} iterations")
    return Fraction(longest, reduction**brackets)
