"""`gatesweep plan`: what a sweep would do and cost, as tables or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.cli.answer import libraries_on_stderr, print_json, say

if TYPE_CHECKING:
    from rich.table import Table

    from gatesweep.launch.plan.effort import Spread
    from gatesweep.launch.plan.planned import Plan

MB, GB = 1e6, 1e9


def show_plan(file: Path, overrides: list[str], cluster: Path | None, *, timeout_s: float, as_json: bool) -> None:
    """From a sweep's file to its plan."""
    from gatesweep.sweep.spec import load_spec

    spec = load_spec(file, overrides)
    with libraries_on_stderr():
        from gatesweep import api

        found = api.plan(spec, cluster=cluster, timeout_s=timeout_s, say=say)
    if as_json:
        print_json(found.as_dict())
    else:
        _print(found)


def _print(plan: Plan) -> None:
    from rich.console import Console

    console = Console()
    spec = plan.spec
    console.print(f"{spec.name}: {spec.question or spec.goal.metric}", markup=False)
    console.print(_corners(plan))
    for name in plan.measured:
        console.print(f"{name:<11}{_params(getattr(plan.corners, name).params)}", markup=False, soft_wrap=True)
    console.print("", _proposals(plan), "")
    for name, said in _lines(plan):
        console.print(f"{name:<11}{said}", markup=False, soft_wrap=True)
    for note in plan.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    console.print("\nresolved configuration, without what is as by default (--json has all of it)", markup=False)
    console.print(_yaml(spec.model_dump(mode="json", exclude_defaults=True)), markup=False, soft_wrap=True,
                  highlight=False)  # fmt: skip


def _corners(plan: Plan) -> Table:
    table = _table("", "parameters", "memory", "GPU memory", "step", "steps", "epoch")
    for name, measured in plan.measured.items():
        corner = getattr(plan.corners, name)
        gpu = "not measured" if measured.gpu_bytes is None else f"{measured.gpu_bytes / GB:.2f} GB"
        table.add_row(f"{name} corner", f"{corner.parameters:,}", f"{measured.memory_bytes / MB:,.0f} MB", gpu,
                      f"{measured.step_s * 1000:.1f} ms", str(measured.steps_per_epoch or "?"),
                      "?" if measured.epoch_s is None else f"{measured.epoch_s:.3g} s")
    return table


def _proposals(plan: Plan) -> Table:
    table = _table("first proposals", "parameters", "configuration")
    for number, each in enumerate(plan.proposals):
        table.add_row(f"t{number:04d}", f"{each['parameters']:,}", _params(each["params"]))
    return table


def _lines(plan: Plan) -> list[tuple[str, str]]:
    spec, times = plan.spec, plan.epoch_times
    shapes = plan.nodes.shape if plan.nodes.there else "not known"
    lines = [
        ("trials", f"{spec.budget.trials}, {plan.at_once} at a time; {_spread(plan.epochs, '.0f')} epochs together"
                   f" ({spec.scheduler.name})"),
        ("nodes", f"{plan.nodes.where}: {shapes} (from {plan.nodes.source})"),
    ]  # fmt: skip
    if times and plan.hours:
        lines += [("epoch", f"{_spread(times.seconds, '.3g')} s: {times.how}"),
                  ("in all", f"p50 {_time(plan.hours.p50)}, p90 {_time(plan.hours.p90)}")]
    else:
        lines.append(("in all", "not known"))
    if plan.price:
        lines.append(("price", f"p50 {plan.price['p50']:.3g}, p90 {plan.price['p90']:.3g} {plan.price['currency']}"))
    by_memory = "?" if plan.packing.trials_by_memory is None else plan.packing.trials_by_memory
    lines.append(("packing", f"{plan.packing.recommended or '?'} trials at a time on a node:"
                             f" {plan.packing.trials_per_core:g} a core, memory for {by_memory};"
                             f" {plan.packing.how}"))  # fmt: skip
    if plan.package:
        largest = ", ".join(f"{each.name} {each.size_bytes / MB:.2f} MB" for each in plan.package.largest(3))
        lines.append(("package", f"{len(plan.package.entries)} files, {plan.package.size_bytes / MB:.1f} MB; the"
                                 f" largest: {largest}"))  # fmt: skip
    return lines


def _spread(spread: Spread, form: str) -> str:
    return f"p50 {spread.p50:{form}}, p90 {spread.p90:{form}}"


def _time(hours: float) -> str:
    return f"{hours:.3g} h" if hours >= 1 else f"{60 * hours:.2g} min" if hours >= 1 / 60 else f"{3600 * hours:.2g} s"


def _params(params: Mapping[str, Any]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]}={value:.4g}" if isinstance(value, float) else
                     f"{key.rpartition('.')[2]}={value}" for key, value in params.items())  # fmt: skip


def _yaml(values: Mapping[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=110))


def _table(*head: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    return table
