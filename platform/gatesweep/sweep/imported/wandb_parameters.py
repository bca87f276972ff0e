"""The parameters of a Weights & Biases sweep.

    log_uniform             X = e^u,  u uniform in [min, max]: the ends are exponents
    log_uniform_values      X = e^u,  u uniform in [ln min, ln max]
    inv_log_uniform         X = e^-u, u uniform in [min, max]
    q_…                     round(X / q) · q
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from gatesweep.sweep.imported.found import Foreign, Parameter, Report
from gatesweep.sweep.imported.ranges import Searched, Span, dimension
from gatesweep.sweep.imported.values import entries, is_whole, number, others, section, short, text

KEYS = ("value", "values", "probabilities", "distribution", "min", "max", "mu", "sigma", "q", "a", "b")
LISTED = ("categorical", "categorical_w_probabilities")
LINEAR = ("uniform", "int_uniform", "q_uniform")
VALUES = ("log_uniform_values", "inv_log_uniform_values", "q_log_uniform_values")
EXPONENTS = ("log_uniform", "inv_log_uniform", "q_log_uniform")
NORMAL = ("normal", "q_normal", "log_normal", "q_log_normal")
SHAPED = ("beta", "q_beta")


def read_parameters(given: dict[str, Any], found: Foreign, searched: Searched, prefix: str = "") -> None:
    """Every parameter, nested ones under dotted names, into `found`.

    Raises:
        ConfigError: one that their tool would not take either.
    """
    report = found.report
    for name, value in given.items():
        key = f"parameters.{prefix}{name}"
        parameter = section(value, key, report)
        if "parameters" in parameter:
            below = section(parameter["parameters"], f"{key}.parameters", report)
            read_parameters(below, found, searched, f"{prefix}{name}.")
            beside = others(parameter, {"parameters"})
        else:
            _read(f"{prefix}{name}", parameter, found, searched)
            beside = others(parameter, KEYS)
        for other in beside:
            report.skip(f"{key}.{other}", parameter[other], "is not known here")


def _read(name: str, given: dict[str, Any], found: Foreign, searched: Searched) -> None:
    report, key = found.report, f"parameters.{name}"
    kind = _distribution(key, given, report)
    if kind == "constant":
        if "value" not in given:
            raise report.wrong(key, "is constant and has no value")
        found.parameters[name] = Parameter("value", (given["value"],), given)
    elif kind in LISTED:
        values = entries(given.get("values"), f"{key}.values", report)
        found.parameters[name] = Parameter("choice", tuple(values), given)
        if "probabilities" in given:
            report.skip(f"{key}.probabilities", given["probabilities"], "each choice is as likely as the other here")
    elif kind in NORMAL:
        found.unusual[name] = _normal(key, kind, given, report)
        report.skip(key, given, "there is no normal distribution here; the range within two sigma stands as a comment")
    elif kind in SHAPED:
        found.unusual[name] = "{uniform: [0, 1]}"
        report.skip(key, given, "there is no beta distribution here; the range stands as a comment")
    elif kind in (*LINEAR, *VALUES, *EXPONENTS):
        found.parameters[name] = dimension(_span(key, kind, given, report), searched, report)
    else:
        raise report.wrong(f"{key}.distribution", f"there is no distribution '{short(kind)}'",
                           f"one of: constant, {', '.join((*LISTED, *LINEAR, *VALUES, *EXPONENTS, *NORMAL))}")


def _distribution(key: str, given: dict[str, Any], report: Report) -> str:
    """The one that is named, or that follows from which keys there are."""
    spellings = [each for each in ("value", "values", "min", "max") if each in given]
    if len({each.removesuffix("s") if each.startswith("v") else "range" for each in spellings}) > 1 or {
        "value", "values"
    } <= given.keys():  # fmt: skip
        raise report.wrong(key, f"has {' and '.join(spellings)} at once")
    if given.get("distribution") is not None:
        return text(given["distribution"], f"{key}.distribution", report)
    if "value" in given:
        return "constant"
    if "values" in given:
        return "categorical"
    if "min" in given or "max" in given:
        texts = [str(given.get(end)) for end in ("min", "max")]
        return "int_uniform" if all(each.strip().lstrip("+-").isdigit() for each in texts) else "uniform"
    if "mu" in given or "sigma" in given:
        return "normal"
    raise report.wrong(key, "has neither value, values nor min and max")


def _span(key: str, kind: str, given: dict[str, Any], report: Report) -> Span:
    for end in ("min", "max"):
        if given.get(end) is None:
            raise report.wrong(key, f"{kind} has no {end}")
    low, high = number(given["min"], f"{key}.min", report), number(given["max"], f"{key}.max", report)
    if kind in EXPONENTS:
        if low > high:
            raise report.wrong(key, f"min {low} is above max {high}")
        low, high = _powers(key, kind, low, high, report)
        given_ends: dict[str, Any] = {"min": None, "max": None}
    else:
        given_ends = {end: given[end] for end in ("min", "max")}
    step = None
    if kind.startswith("q_"):
        step = number(given.get("q", "1"), f"{key}.q", report)
        if step > 0 and ("log" not in kind or low >= step):
            low, high = _multiple(low, step, key, report), _multiple(high, step, key, report)
    elif given.get("q") is not None:
        report.skip(f"{key}.q", given["q"], f"{kind} has no q")
    if kind == "int_uniform":
        if not is_whole(low, high):
            raise report.wrong(key, f"int_uniform goes from one whole number to another, not {low} to {high}")
        step = Decimal(1)
    return Span(key, low, high, {**given, **given_ends}, log="log" in kind, step=step)


def _powers(key: str, kind: str, low: Decimal, high: Decimal, report: Report) -> tuple[Decimal, Decimal]:
    """e to the ends, and what is said of it: who meant values is to see it."""
    if max(abs(low), abs(high)) > 600:
        raise report.wrong(key, f"{kind} takes exponents, and e^{high} is beyond what a float can hold",
                           f"for values: distribution: {kind}_values")  # fmt: skip
    ends = (-high, -low) if kind.startswith("inv_") else (low, high)
    first, last = (Decimal(f"{math.exp(each):.6g}") for each in ends)
    report.note(f"{key}: {kind} takes exponents, so this is e^{ends[0]} to e^{ends[1]}: {first:g} to {last:g}")
    return first, last


def _multiple(value: Decimal, step: Decimal, key: str, report: Report) -> Decimal:
    """The multiple of `step` that is nearest; `value` may be so many steps away that no integer is."""
    if abs(value / step) > 10**15:
        raise report.wrong(f"{key}.q", f"{short(str(step))} is too fine for the range")
    return (value / step).to_integral_value() * step


def _normal(key: str, kind: str, given: dict[str, Any], report: Report) -> str:
    """The range within two sigma, as a line of YAML."""
    mean = float(number(given.get("mu", "0"), f"{key}.mu", report))
    sigma = float(number(given.get("sigma", "1"), f"{key}.sigma", report))
    if sigma <= 0:
        raise report.wrong(f"{key}.sigma", f"is above 0, not {sigma:g}")
    low, high = mean - 2 * sigma, mean + 2 * sigma
    if "log" not in kind:
        return f"{{uniform: [{low:.6g}, {high:.6g}]}}"
    if max(abs(low), abs(high)) > 600:
        raise report.wrong(key, f"{kind} takes exponents, and e^{high:g} is beyond what a float can hold")
    return f"{{log_uniform: [{math.exp(low):.6g}, {math.exp(high):.6g}]}}"
