"""Whether a trial's workers fit on a cluster, and how many trials at a time: arithmetic alone, no cluster is asked.

A trial is placed whole or not at all: all its workers in one placement group, each worker a bundle on one node. All
bundles of a sweep are alike, so that what fits is a sum over nodes:

    workers that fit = Σ_nodes min over resources r of ⌊node_r / worker_r⌋           nodes with the asked labels alone

A share of a GPU lies on one device: of 0.3 three go on each, whatever is left over elsewhere. The labels take Ray's
forms: `value`, `!value`, `in(a,b)`, `!in(a,b)`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gatesweep.errors import ResourceError
from gatesweep.sweep.options import Resources

CPU, GPU, KIND = "CPU", "GPU", "accelerator_type:"
_IN = re.compile(r"in\((.*)\)")
_EPSILON = 1e-9
"""Below it, floats that stand for resources are equal: Ray counts in ten-thousandths."""


@dataclass(frozen=True)
class Node:
    """What one node gives to trials."""

    resources: Mapping[str, float]
    """As Ray names them: `{"CPU": 4.0, "GPU": 2.0, "accelerator_type:A100": 1.0}`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    free: Mapping[str, float] | None = None
    """What nobody uses of them now, where that is known."""


def nodes_of(told: Iterable[Mapping[str, Any]]) -> list[Node]:
    """The living nodes of `ray.nodes()`."""
    return [Node(dict(node["Resources"]), dict(node.get("Labels") or {})) for node in told if node["Alive"]]


def bundle(wanted: Resources) -> dict[str, float]:
    """What one worker is given, in Ray's names."""
    asked = {CPU: float(wanted.cpus)}
    if wanted.gpus:
        asked[GPU] = float(wanted.gpus)
    if wanted.accelerator:
        asked[KIND + wanted.accelerator] = 0.001  # as `accelerator_type=` asks for it: there, or not
    return asked


def workers_that_fit(wanted: Resources, nodes: Iterable[Node], *, free: bool = False) -> int:
    """How many workers the nodes hold at a time; `free`: beside what runs on them now."""
    return sum(_workers_on(node.free if free and node.free is not None else node.resources, wanted)
               for node in nodes if has_labels(node, wanted.labels))  # fmt: skip


def trials_at_once(wanted: Resources, nodes: Iterable[Node]) -> int:
    """How many trials the nodes hold at a time, each with its least number of workers."""
    return workers_that_fit(wanted, nodes) // wanted.least_workers


def check_fits(
    wanted: Resources, nodes: Iterable[Node], *, place: str | None = None, whole: str = "the cluster"
) -> None:
    """Refuse a trial that could never start.

    Args:
        place: what the error names, e.g. the cluster's file.
        whole: what the nodes are together, in the error's words: `this machine`.

    Raises:
        ResourceError: the nodes, all of them free, do not hold one trial; the message tells their shape.
    """
    there = list(nodes)
    fitting = workers_that_fit(wanted, there)
    if fitting >= wanted.least_workers:
        return
    key, said, hint = _lacking(wanted, there, fitting)
    shape = f"{whole} has {shape_of(there)}"
    raise ResourceError(f"resources.{key}: {said}, and {shape}", place=place, hint=hint)


def shape_of(nodes: Iterable[Node]) -> str:
    """Nodes in a few words, alike ones together: `2 nodes of 4 CPUs and 2 GPUs (A100)`."""
    kinds = Counter(_words(node) for node in nodes)
    return ", ".join(f"{n} {'node' if n == 1 else 'nodes'} of {words}" for words, n in kinds.items()) or "no node"


def has_labels(node: Node, wanted: Mapping[str, str]) -> bool:
    """Whether a node's labels are as asked."""
    return all(_is(node.labels.get(key), condition) for key, condition in wanted.items())


def _is(value: str | None, condition: str) -> bool:
    """One label against one of Ray's four forms."""
    negative, wanted = condition.startswith("!"), condition.removeprefix("!")
    listed = _IN.fullmatch(wanted)
    choices = [each.strip() for each in listed[1].split(",")] if listed else [wanted]
    return (value in choices) != negative


def _workers_on(there: Mapping[str, float], wanted: Resources) -> int:
    return min(_times(there.get(name, 0.0), asked) for name, asked in bundle(wanted).items())


def _times(there: float, asked: float) -> int:
    """How often `asked` goes into `there`; less than one is a share of a single device."""
    if asked >= 1 or asked == 0.001:
        return math.floor(there / asked + _EPSILON)
    return math.floor(there + _EPSILON) * math.floor(1 / asked + _EPSILON)


def _lacking(wanted: Resources, nodes: list[Node], fitting: int) -> tuple[str, str, str]:
    """The key to blame, what it asks for, and what to do."""
    one = "one trial" if wanted.most_workers == 1 else "one worker"
    labelled = [node for node in nodes if has_labels(node, wanted.labels)]
    if not labelled and nodes:
        asked = ", ".join(f"{key}: {value}" for key, value in wanted.labels.items())
        hint = "start such nodes, or leave it out"
        return "labels", f"{one} asks for a node with {{{asked}}}, and no node has it", hint
    most = {name: max((node.resources.get(name, 0.0) for node in labelled), default=0.0) for name in bundle(wanted)}
    if most[CPU] < wanted.cpus:
        return "cpus", f"{one} asks for {wanted.cpus:g} CPUs", f"set resources.cpus to at most {max(1, int(most[CPU]))}"
    if wanted.gpus and most[GPU] + _EPSILON < wanted.gpus:
        return "gpus", f"{one} asks for {wanted.gpus:g} GPUs", (
            f"set resources.gpus to at most {most[GPU]:g}" if most[GPU] else
            "set resources.gpus to 0 to train on the CPU")  # fmt: skip
    if wanted.accelerator and not most[KIND + wanted.accelerator]:
        return "accelerator", f"{one} asks for {wanted.accelerator}", "leave it out, or start such nodes"
    least = wanted.least_workers
    each = _each(wanted)
    if least == 1:
        return "cpus", f"one trial asks for {each} on one node", "ask for less, or start larger nodes"
    return "workers", f"one trial asks for {least} workers of {each}, of which {fitting} fit", (
        f"set resources.workers to at most {fitting}" if fitting else "ask for less per worker, or start larger nodes")


def _each(wanted: Resources) -> str:
    """One worker in words."""
    parts = [_count(wanted.cpus, "CPU")] + ([_count(wanted.gpus, "GPU")] if wanted.gpus else [])
    return " and ".join(parts) + (f" ({wanted.accelerator})" if wanted.accelerator else "")


def _words(node: Node) -> str:
    parts = [_count(node.resources.get(CPU, 0.0), "CPU")]
    if node.resources.get(GPU):
        parts.append(_count(node.resources[GPU], "GPU"))
    kinds = [name.removeprefix(KIND) for name in node.resources if name.startswith(KIND)]
    return " and ".join(parts) + (f" ({', '.join(kinds)})" if kinds else "")


def _count(number: float, unit: str) -> str:
    return f"{number:g} {unit}" if number == 1 else f"{number:g} {unit}s"
