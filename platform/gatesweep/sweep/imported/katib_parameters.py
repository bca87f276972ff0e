"""The parameters of a Katib Experiment: `{name, parameterType, feasibleSpace}`."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from gatesweep.sweep.imported.found import Foreign, Parameter, Report
from gatesweep.sweep.imported.ranges import Searched, Span, dimension
from gatesweep.sweep.imported.values import entries, is_whole, number, others, section, short, text

RANGES = ("double", "int")
LISTS = ("categorical", "discrete")
DISTRIBUTIONS = {"uniform": False, "logUniform": True, "normal": False, "logNormal": True}
"""Theirs -> whether it is logarithmic."""


def read_parameters(given: list[Any], found: Foreign, searched: Searched) -> None:
    """Every parameter into `found`.

    Raises:
        ConfigError: one that Katib would not take either.
    """
    report = found.report
    for position, item in enumerate(given):
        parameter = section(item, f"spec.parameters[{position}]", report)
        name = text(parameter.get("name"), f"spec.parameters[{position}].name", report)
        if name in found.parameters:
            raise report.wrong("spec.parameters", f"'{short(name)}' is there twice")
        key = f"spec.parameters.{name}"
        found.parameters[name] = _parameter(key, parameter, searched, report)
        for other in others(parameter, {"name", "parameterType", "feasibleSpace"}):
            report.skip(f"{key}.{other}", parameter[other], "is not known here")


def _parameter(key: str, parameter: dict[str, Any], searched: Searched, report: Report) -> Parameter:
    kind = text(parameter.get("parameterType"), f"{key}.parameterType", report)
    space = section(parameter.get("feasibleSpace"), f"{key}.feasibleSpace", report)
    read = ("list",) if kind in LISTS else ("min", "max", "step", "distribution")
    for other in others(space, read):
        report.skip(f"{key}.{other}", space[other], f"{kind} has no {short(other)}")
    if kind in LISTS:
        return Parameter("choice", tuple(entries(space.get("list"), f"{key}.list", report)), parameter)
    if kind not in RANGES:
        raise report.wrong(f"{key}.parameterType", f"is one of {', '.join(RANGES + LISTS)}, not {short(kind)}")
    return dimension(_span(key, kind, space, report), searched, report)


def _span(key: str, kind: str, space: dict[str, Any], report: Report) -> Span:
    low, high = (number(space.get(end), f"{key}.{end}", report) for end in ("min", "max"))
    step = number(space["step"], f"{key}.step", report) if space.get("step") not in (None, "") else None
    if kind == "int":
        if not is_whole(low, high, step or Decimal(1)):
            raise report.wrong(key, f"int goes from one whole number to another in whole steps, not {low} to {high}")
        step = step if step is not None else Decimal(1)
    distribution = text(space.get("distribution") or "uniform", f"{key}.distribution", report)
    if distribution not in DISTRIBUTIONS:
        raise report.wrong(f"{key}.distribution", f"is one of {', '.join(DISTRIBUTIONS)}, not {short(distribution)}")
    if distribution in ("normal", "logNormal"):
        report.skip(f"{key}.distribution", distribution, "there is no normal distribution here; the range is uniform")
    return Span(key, low, high, space, log=DISTRIBUTIONS[distribution], step=step, step_key="step")
