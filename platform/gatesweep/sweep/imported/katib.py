"""A Katib Experiment (kubeflow.org/v1beta1): `objective`, `algorithm`, `parameters`, `earlyStopping`, counts of trials.

Every value in it is a string. An algorithm's settings, and those of early stopping, are lists of `{name, value}`.
"""

from __future__ import annotations

from typing import Any, Final

from gatesweep.sweep.imported.found import Foreign, Mode, Report
from gatesweep.sweep.imported.katib_algorithms import read_algorithm, read_stopping
from gatesweep.sweep.imported.katib_parameters import read_parameters
from gatesweep.sweep.imported.ranges import Searched
from gatesweep.sweep.imported.values import entries, number, others, section, short, text, whole

TYPES: Final[dict[str, Mode]] = {"minimize": "min", "maximize": "max"}
READ = ("objective", "algorithm", "parameters", "earlyStopping", "maxTrialCount", "parallelTrialCount",
        "maxFailedTrialCount")  # fmt: skip
ELSEWHERE = {
    "trialTemplate": "our tasks are the program (`task` of the experiment); what a trial gets is `resources`",
    "metricsCollectorSpec": "a trial reports its metrics itself",
    "resumePolicy": "every sweep can be resumed: gatesweep resume ID",
    "nasConfig": "there is no search over architectures here",
}


def is_katib(raw: dict[str, Any]) -> bool:
    """Whether this is an object of Katib's, of whatever kind."""
    return str(raw.get("apiVersion", "")).startswith("kubeflow.org/")


def read_katib(raw: dict[str, Any], place: str) -> Foreign:
    """The sweep that the Experiment describes.

    Raises:
        ConfigError: another version or kind, or values that Katib would not take either.
    """
    report = Report(place)
    if (raw.get("apiVersion"), raw.get("kind")) != ("kubeflow.org/v1beta1", "Experiment"):
        raise report.wrong("kind", f"{short(raw.get('kind'))} of {short(raw['apiVersion'])} cannot be imported",
                           "give an Experiment of kubeflow.org/v1beta1")  # fmt: skip
    found = Foreign("Katib Experiment", report, metric_key="spec.objective.objectiveMetricName",
                    search_key="spec.algorithm", scheduler_key="spec.earlyStopping")  # fmt: skip
    spec = section(raw.get("spec"), "spec", report)
    _metadata(raw, found)
    _objective(section(spec.get("objective"), "spec.objective", report), found)
    resource = read_algorithm(section(spec.get("algorithm"), "spec.algorithm", report), found)
    if spec.get("earlyStopping") is not None:
        read_stopping(section(spec["earlyStopping"], "spec.earlyStopping", report), found)
    searched = Searched(grid=found.search["name"] == "grid", ranges_only=found.search["name"] == "cmaes")
    read_parameters(entries(spec.get("parameters"), "spec.parameters", report), found, searched)
    _take_out(resource, found)
    _budget(spec, found)
    for key in others(spec, READ):
        report.skip(f"spec.{key}", spec[key], ELSEWHERE.get(key, "there is nothing like it here"))
    return found


def _metadata(raw: dict[str, Any], found: Foreign) -> None:
    report = found.report
    metadata = section(raw.get("metadata", {}), "metadata", report)
    given = metadata.get("name") or metadata.get("generateName")
    found.name = text(given, "metadata.name", report) if given else None
    for key in others(metadata, {"name", "generateName"}):
        report.skip(f"metadata.{key}", metadata[key], "belongs to the object in the cluster")
    for key in others(raw, {"apiVersion", "kind", "metadata", "spec"}):
        report.skip(key, raw[key], "belongs to the object in the cluster")


def _objective(given: dict[str, Any], found: Foreign) -> None:
    report = found.report
    kind = text(given.get("type"), "spec.objective.type", report)
    if kind not in TYPES:
        raise report.wrong("spec.objective.type", f"is minimize or maximize, not {short(kind)}")
    found.mode = TYPES[kind]
    found.metric = text(given.get("objectiveMetricName"), "spec.objective.objectiveMetricName", report)
    if given.get("goal") is not None:
        found.budget["target"] = float(number(given["goal"], "spec.objective.goal", report))
    for key in others(given, {"type", "goal", "objectiveMetricName", "metricStrategies"}):
        why = "every metric of the task is recorded" if key == "additionalMetricNames" else "is not known here"
        report.skip(f"spec.objective.{key}", given[key], why)
    if given.get("metricStrategies") is not None:
        _strategies(given["metricStrategies"], found)


def _strategies(given: Any, found: Foreign) -> None:
    """A trial counts with its best epoch here: that is the strategy `min` of what is minimised."""
    key = "spec.objective.metricStrategies"
    for value in entries(given, key, found.report):
        each = section(value, key, found.report)
        if (each.get("name"), each.get("value")) != (found.metric, found.mode):
            found.report.skip(key, each, "a trial counts with the best epoch of its objective")


def _take_out(resource: str | None, found: Foreign) -> None:
    """The parameter that Hyperband sets itself: how long a trial trains."""
    if resource is None:
        return
    if resource not in found.parameters:
        raise found.report.wrong("spec.algorithm.algorithmSettings", f"resource_name: no parameter '{short(resource)}'")
    taken = found.parameters.pop(resource)
    said = "how long a trial trains is hyperband's to say" if found.epochs is None else f"{found.epochs} epochs at most"
    found.report.skip(f"spec.parameters.{resource}", taken.given, f"{said}: trials go on instead of starting anew")


def _budget(spec: dict[str, Any], found: Foreign) -> None:
    report = found.report
    for theirs, ours in (("maxTrialCount", "trials"), ("parallelTrialCount", "concurrent")):
        if ours in found.budget and spec.get(theirs) is not None:
            report.skip(f"spec.{theirs}", spec[theirs], "counts every generation's; budget.trials is n_population")
        elif spec.get(theirs) is not None:
            found.budget[ours] = whole(spec[theirs], f"spec.{theirs}", report)
    if "parallelTrialCount" not in spec:
        found.budget["concurrent"] = 3
        report.note("spec.parallelTrialCount: is 3 where an Experiment does not say, and so it is here")
    if spec.get("maxFailedTrialCount") is None:
        return
    failed, key = whole(spec["maxFailedTrialCount"], "spec.maxFailedTrialCount", report, least=0), "maxFailedTrialCount"
    trials = found.budget.get("trials")
    if not failed or trials is None or failed > trials:
        report.skip(f"spec.{key}", failed, "failure.breaker is a share of the trials, above 0 and up to 1")
        return
    found.failure["breaker"] = float(f"{failed / trials:.3g}")
    report.note(f"spec.{key}: {failed} of {trials} trials is a share here, of those that ended, from 4 failures on")
