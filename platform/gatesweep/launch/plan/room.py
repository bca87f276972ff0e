"""Whether trials fit: cores and GPUs by `sweep.fitting`, memory by what was measured; and how many a node holds."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gatesweep.errors import ClusterError, ResourceError
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.plan.corners import Corner
from gatesweep.launch.sections import ClusterConfig, RayCluster
from gatesweep.sweep.fitting import CPU, GPU, Node, check_fits, shape_of, trials_at_once, workers_that_fit
from gatesweep.sweep.spec import SweepSpec

if TYPE_CHECKING:
    from gatesweep.train.stopwatch import Timed

GB = 1e9
MEMORY = "memory"
UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@dataclass(frozen=True)
class Nodes:
    """The nodes that trials would run on."""

    there: tuple[Node, ...]
    """Each with its memory in bytes among its resources, where that is known."""
    source: str
    """this machine, the cluster, or the cluster's file."""
    where: str

    @property
    def shape(self) -> str:
        return shape_of(self.there) if self.there else "unknown nodes"


def nodes_of(cluster: ClusterConfig | None) -> Nodes:
    """The nodes of a cluster; asked of it where it answers, else as its file has them."""
    if isinstance(cluster, KubeRayCluster):
        there = [Node({CPU: group.cpus, GPU: float(group.gpus), MEMORY: _bytes(group.memory)})
                 for group in cluster.workers for _ in range(group.max_replicas)]  # fmt: skip
        return Nodes(tuple(there), "the cluster's file", cluster.name)
    if isinstance(cluster, RayCluster):
        from gatesweep.launch.jobs import RayJobs

        try:
            return Nodes(tuple(RayJobs(cluster).nodes()), "the cluster", cluster.name)
        except ClusterError as error:
            return Nodes((), f"the cluster's file, for {error.message}", cluster.name)
    return Nodes((_this_machine(),), "this machine", "this machine")


def _this_machine() -> Node:
    import torch

    return Node({CPU: float(os.cpu_count() or 1), GPU: float(torch.cuda.device_count()), MEMORY: memory_bytes()})


def memory_bytes() -> float:
    """Of this machine, or of the container that this process is in."""
    import psutil

    limits = [int(text) for path in CGROUPS if path.is_file() and (text := path.read_text().strip()).isdigit()]
    return float(min([psutil.virtual_memory().total, *limits]))


def _bytes(quantity: str) -> float:
    return float(quantity[:-2]) * UNITS[quantity[-2:]]


def refuse_what_no_node_holds(spec: SweepSpec, nodes: Nodes) -> None:
    """Refuse trials that could never start.

    Raises:
        ResourceError: with the shape of what is there.
    """
    if nodes.there:
        check_fits(spec.resources, nodes.there, place=nodes.where, whole=nodes.where)


def at_once(spec: SweepSpec, nodes: Nodes) -> int:
    """How many trials run at a time. On this machine as many as the budget says: they share its cores."""
    if not nodes.there or nodes.source == "this machine":
        return min(spec.budget.concurrent, spec.budget.trials)
    return max(1, min(spec.budget.concurrent, spec.budget.trials, trials_at_once(spec.resources, nodes.there)))


def on_one_node(spec: SweepSpec, node: Node, nodes: Nodes) -> int:
    """Processes of trials that this node may have to hold at a time."""
    workers = at_once(spec, nodes) * spec.resources.least_workers
    return workers if nodes.source == "this machine" else min(workers, workers_that_fit(spec.resources, [node]))


def refuse_too_large_a_model(spec: SweepSpec, largest: Corner, nodes: Nodes) -> None:
    """What counting tells: weights, gradients and the optimizer's numbers need so much at least.

    Raises:
        ResourceError: no node has as much.
    """
    states = {"adam": 2, "adamw": 2, "rmsprop": 1, "adagrad": 1}.get(largest.config.optimizer.name, 0)
    needed = largest.parameters * 4.0 * (2 + states)
    most = max((node.resources.get(MEMORY, float("inf")) for node in nodes.there), default=float("inf"))
    if needed > most and not spec.resources.gpus:
        raise ResourceError(
            f"the largest corner has {largest.parameters:,} parameters: with gradients and the optimizer's numbers"
            f" {needed / GB:.1f} GB at least, and {nodes.where} has {most / GB:.1f} GB a node",
            place=_said(largest), hint=f"constraints: ['model.parameters <= {most / 4 / (2 + states) / 2:.1g}'], or"
                                       " lower bounds in the space")  # fmt: skip


def refuse_too_little_memory(spec: SweepSpec, largest: Timed, corner: Corner, nodes: Nodes) -> None:
    """As many of the largest trials as may run on a node at a time must fit into its memory together.

    Raises:
        ResourceError: they do not.
    """
    for node in nodes.there:
        has, count = node.resources.get(MEMORY), on_one_node(spec, node, nodes)
        if not has or needed(largest, count) <= has:
            continue
        fitting = trials_by_memory(largest, has)
        hint = f"--set budget.concurrent={fitting}" if fitting else "lower bounds in the space, or a smaller batch"
        raise ResourceError(
            f"{count} {'trial' if count == 1 else 'trials'} at a time of the largest corner need"
            f" {needed(largest, count) / GB:.1f} GB, and a node of {nodes.where} has {has / GB:.1f} GB",
            place=_said(corner), hint=hint)


def needed(measured: Timed, count: int) -> float:
    """Bytes of so many processes; what they share counts once."""
    return measured.shared_bytes + count * (measured.memory_bytes - measured.shared_bytes)


def trials_by_memory(measured: Timed, has: float) -> int:
    """How many processes so much memory holds."""
    return max(0, int((has - measured.shared_bytes) // max(1, measured.memory_bytes - measured.shared_bytes)))


def _said(corner: Corner) -> str:
    return ", ".join(f"{key} = {value}" for key, value in corner.params.items())


@dataclass(frozen=True)
class Packing:
    """How many trials a node holds, by what the largest corner needs."""

    trials_per_core: float
    trials_by_memory: int | None
    """None where the node's memory is not known."""
    recommended: int | None
    """Trials at a time on the node with most cores."""
    gpus: float | None
    """The share of a GPU that one trial needs; None where it was not measured."""
    how: str


def packing(spec: SweepSpec, largest: Timed, nodes: Nodes) -> Packing:
    """A recommendation: by cores kept busy and memory held, on the node that has most cores."""
    per_core = 1.0 if largest.busy >= 0.5 * spec.resources.cpus else float(int(spec.resources.cpus / largest.busy))
    node = max(nodes.there, key=lambda each: each.resources.get(CPU, 0.0), default=None)
    by_memory = trials_by_memory(largest, node.resources[MEMORY]) if node and node.resources.get(MEMORY) else None
    by_cores = int(node.resources.get(CPU, 0.0) / spec.resources.cpus * per_core) if node else None
    limits = [each for each in (by_memory, by_cores) if each is not None]
    share, how = _share_of_a_gpu(largest)
    words = f"a step of the largest corner keeps {largest.busy:.2f} cores busy; {how}"
    return Packing(per_core, by_memory, max(1, min(limits)) if limits else None, share, words)


def _share_of_a_gpu(largest: Timed) -> tuple[float | None, str]:
    if largest.gpu_bytes is None:
        return None, "shares of a GPU were not measured: this machine trains on the CPU"
    import torch

    total = torch.cuda.get_device_properties(0).total_memory
    together = max(1, int(total // (1.2 * largest.gpu_bytes + 0.5 * GB)))  # the context of each process
    return round(1 / together, 3), f"{together} trials of {largest.gpu_bytes / GB:.2f} GB fit on one GPU's memory"
