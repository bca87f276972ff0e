"""Katib's algorithms and early stopping as searches and schedules of ours, with the settings that both have."""

from __future__ import annotations

from typing import Any

from gatesweep.sweep.imported.found import Foreign, Report
from gatesweep.sweep.imported.values import entries, number, others, section, short, text, whole

ALGORITHMS = {
    "random": "random", "grid": "grid", "bayesianoptimization": "gp", "tpe": "tpe", "multivariate-tpe": "tpe",
    "hyperband": "random", "pbt": "random", "cmaes": "cmaes", "sobol": "qmc",
}  # fmt: skip
SETTINGS = {
    "gp": {"n_initial_points": "startup_trials"},
    "tpe": {"n_startup_trials": "startup_trials", "n_ei_candidates": "candidates"},
    "cmaes": {"n_startup_trials": "startup_trials"},
}
"""Search -> their setting -> our option."""

NEAREST = {"enas": "there is no search over architectures",
           "darts": "there is no search over architectures"}  # fmt: skip
KEY = "spec.algorithm.algorithmSettings"
STOPPING = "spec.earlyStopping.algorithmSettings"


def read_algorithm(given: dict[str, Any], found: Foreign) -> str | None:
    """Search, and Hyperband's schedule, into `found`; the parameter that Hyperband sets itself, where it has one.

    Raises:
        ConfigError: no name, or a setting that is no number where it must be one.
    """
    report = found.report
    name = text(given.get("algorithmName"), "spec.algorithm.algorithmName", report)
    if name not in ALGORITHMS:
        why = NEAREST.get(name, "is not known here")
        report.skip("spec.algorithm.algorithmName", name, f"{why}; random stands in for it")
    if name == "tpe":
        report.note("spec.algorithm: our tpe looks at all dimensions together, as their multivariate-tpe does")
    found.search["name"] = ALGORITHMS.get(name, "random")
    settings = _settings(given.get("algorithmSettings"), KEY, report)
    if settings.get("random_state") is not None:
        found.search["seed"] = whole(settings.pop("random_state"), f"{KEY}.random_state", report, least=0)
    resource = _hyperband(settings, found) if name == "hyperband" else None
    if name == "pbt":
        _pbt(settings, found)
    options = SETTINGS.get(found.search["name"], {})
    for key, value in settings.items():
        if key in options:
            found.search[options[key]] = whole(value, f"{KEY}.{key}", report)
        else:
            report.skip(f"{KEY}.{key}", value, f"{found.search['name']} has no such option")
    for key in others(given, {"algorithmName", "algorithmSettings"}):
        report.skip(f"spec.algorithm.{key}", given[key], "is not known here")
    return resource


def read_stopping(given: dict[str, Any], found: Foreign) -> None:
    """Median stopping into `found`.

    Raises:
        ConfigError: no name, or a setting that is no whole number.
    """
    report = found.report
    name = text(given.get("algorithmName"), "spec.earlyStopping.algorithmName", report)
    if found.scheduler["name"] != "none":
        why = f"{found.scheduler['name']} is the schedule already, and a sweep has one"
        report.skip("spec.earlyStopping", given, why)
        return
    if name != "medianstop":
        report.skip("spec.earlyStopping", given, f"'{short(name)}' is not known here; every trial trains to the end")
        return
    settings = _settings(given.get("algorithmSettings"), STOPPING, report)
    found.scheduler = {"name": "median"}
    for theirs, ours, default in (("start_step", "grace_epochs", "4"), ("min_trials_required", "min_trials", "3")):
        found.scheduler[ours] = whole(settings.pop(theirs, default), f"{STOPPING}.{theirs}", report)
    report.note("spec.earlyStopping: their steps (times that the metric was reported) are epochs here")
    for key, value in settings.items():
        report.skip(f"{STOPPING}.{key}", value, "median has no such option")


def _hyperband(settings: dict[str, Any], found: Foreign) -> str | None:
    report = found.report
    found.scheduler = {"name": "hyperband", "grace_epochs": 1}
    if settings.get("eta") is not None:
        found.scheduler["reduction"] = whole(settings.pop("eta"), f"{KEY}.eta", report, least=2)
    if settings.get("r_l") is not None:
        found.epochs = whole(settings.pop("r_l"), f"{KEY}.r_l", report)
    report.note("spec.algorithm: hyperband's brackets run side by side here and begin at one epoch")
    name = settings.pop("resource_name", None)
    return text(name, f"{KEY}.resource_name", report) if name is not None else None


def _pbt(settings: dict[str, Any], found: Foreign) -> None:
    report = found.report
    found.scheduler, found.scheduler_key = {"name": "pbt", "factors": [0.8, 1.2], "resample": 0.0}, "spec.algorithm"
    if settings.get("n_population") is not None:
        found.budget["trials"] = whole(settings.pop("n_population"), f"{KEY}.n_population", report, least=2)
    for theirs, ours, most in (("truncation_threshold", "quantile", 0.5), ("resample_probability", "resample", 1.0)):
        if settings.get(theirs) is None:
            continue
        given = settings.pop(theirs)
        share = float(number(given, f"{KEY}.{theirs}", report))
        if 0 < share <= most:
            found.scheduler[ours] = share
        elif share:
            report.skip(f"{KEY}.{theirs}", given, f"scheduler.{ours} is a share above 0 and up to {most:g}")
    settings.pop("suggestion_trial_dir", None)  # checkpoints need no place of their own here
    found.scheduler.setdefault("quantile", 0.2)
    report.note("spec.algorithm: a generation of theirs, trials of their own, is scheduler.interval_epochs here, of "
                "trials that go on; by default 2")  # fmt: skip


def _settings(given: Any, key: str, report: Report) -> dict[str, Any]:
    """A list of `{name, value}` as a mapping."""
    found: dict[str, Any] = {}
    for item in entries(given, key, report) if given else []:
        each = section(item, key, report)
        name = text(each.get("name"), f"{key}.name", report)
        if name in found:
            raise report.wrong(key, f"'{short(name)}' is there twice")
        found[name] = each.get("value")
    return found
