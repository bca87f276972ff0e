"""What a sweep would do and cost: checked, measured, and nothing written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.launch.checks import check_data, check_warm_start
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.plan import effort, room
from gatesweep.launch.plan.corners import Corner, Corners, corners
from gatesweep.launch.plan.effort import EpochTimes, Spread
from gatesweep.launch.plan.probe import TIMEOUT_S, probe
from gatesweep.launch.plan.room import CPU, GPU, MEMORY, Nodes, Packing
from gatesweep.launch.sections import ClusterConfig, RayCluster
from gatesweep.launch.submit import check_resources, contents_of, preview
from gatesweep.runs.initial import resolved
from gatesweep.sweep.admission import Admission
from gatesweep.sweep.search import known_of, searcher
from gatesweep.sweep.spec import SweepSpec
from gatesweep.sweep.start import new_id, proven
from gatesweep.sweep.warm_start import take_over
from gatesweep.sweep.where import Where

if TYPE_CHECKING:
    from gatesweep.launch.package import Contents
    from gatesweep.tasks.base import Task
    from gatesweep.track.store import Store
    from gatesweep.train.stopwatch import Timed

Say = Callable[[str], None]
SHOWN = 8
"""Proposals that are told at most."""


@dataclass(frozen=True)
class Plan:
    """What `gatesweep plan` tells; `as_dict` is its `--json`."""

    spec: SweepSpec
    cluster: ClusterConfig | None
    corners: Corners
    measured: dict[str, Timed]
    """`smallest` and `largest`."""
    nodes: Nodes
    at_once: int
    """Trials at a time: what the budget says, as far as the nodes hold them."""
    packing: Packing
    proposals: list[dict[str, Any]]
    """Each `{"params": …, "parameters": n}`, as the search proposes them while it knows no result."""
    epochs: Spread
    """Of all trials together."""
    epoch_times: EpochTimes | None
    package: Contents | None
    notes: list[str]

    @property
    def trial_hours(self) -> Spread | None:
        """Of all trials one after the other; None where nobody knows how long an epoch is."""
        return self.epochs.times(self.epoch_times.seconds, 1 / 3600) if self.epoch_times else None

    @property
    def hours(self) -> Spread | None:
        """From the first trial's start to the last one's end, at most as long as the budget lets it."""
        if self.trial_hours is None or self.epoch_times is None:
            return None
        longest = self.epochs.p50 / self.spec.budget.trials / 3600
        each = [max(total / self.at_once, longest * epoch_s) for total, epoch_s in
                ((self.trial_hours.p50, self.epoch_times.seconds.p50),
                 (self.trial_hours.p90, self.epoch_times.seconds.p90))]  # fmt: skip
        return Spread(*(min(hours, self._most_hours) for hours in each))

    @property
    def _most_hours(self) -> float:
        """What the budget's time allows."""
        budget, asked = self.spec.budget, self.spec.resources
        limits = [budget.wall_ms / 3_600_000]
        for hours, each in ((budget.cpu_hours, asked.cpus), (budget.gpu_hours, asked.gpus)):
            if hours is not None and each:
                limits.append(hours / each / asked.least_workers / self.at_once)
        return min(limits)

    @property
    def price(self) -> dict[str, Any] | None:
        """Trials alone, at the cluster's rates: its driver and idle nodes are not in it."""
        rates = self.cluster.rates if self.cluster else None
        if rates is None or self.hours is None:
            return None
        asked = self.spec.resources
        an_hour = (asked.cpus * rates.cpu_hour + asked.gpus * rates.gpu_hour) * asked.least_workers * self.at_once
        return {"p50": self.hours.p50 * an_hour, "p90": self.hours.p90 * an_hour, "currency": rates.currency}

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        spec, times = self.spec, self.epoch_times
        return {
            "name": spec.name,
            "cluster": self.cluster.name if self.cluster else None,
            "trials": spec.budget.trials,
            "at_once": self.at_once,
            "corners": {name: _of_corner(getattr(self.corners, name), self.measured[name]) for name in self.measured},
            "proposals": self.proposals,
            "epochs": asdict(self.epochs),
            "epoch_s": {**asdict(times.seconds), "from": times.source, "how": times.how} if times else None,
            "trial_hours": asdict(self.trial_hours) if self.trial_hours else None,
            "hours": asdict(self.hours) if self.hours else None,
            "price": self.price,
            "nodes": {"shape": self.nodes.shape, "from": self.nodes.source,
                      "there": [{"cpus": node.resources.get(CPU, 0.0), "gpus": node.resources.get(GPU, 0.0),
                                 "memory_bytes": node.resources.get(MEMORY)} for node in self.nodes.there]},
            "packing": asdict(self.packing),
            "package": _of_package(self.package),
            "notes": self.notes,
            "config": spec.as_dict(),
        }  # fmt: skip


def planned(spec: SweepSpec, cluster: ClusterConfig | None, home: Path, open_store: Callable[[], Store], say: Say,
            timeout_s: float = TIMEOUT_S) -> Plan:  # fmt: skip
    """Check a sweep as its start would, measure both ends of its space, and tell what it would do and cost.

    Raises:
        UserError: what its start would refuse; what does not fit; what a corner's training raises.
    """
    nodes, package = _checked(spec, cluster, home, say)
    if spec.experiment.init_from is not None:
        spec = spec.model_copy(update={"experiment": resolved(spec.experiment, open_store())})
    notes: list[str] = []
    task = proven(spec, notes.append)
    admission = Admission(spec, task)
    found = corners(spec, admission)
    room.refuse_too_large_a_model(spec, found.largest, nodes)
    proposals, told = _proposals(spec, task, admission, home, cluster)
    measured = {}
    for name in ("smallest", "largest"):
        corner: Corner = getattr(found, name)
        say(f"measuring the {name} corner, {corner.parameters:,} parameters")
        measured[name] = probe(corner.config, f"the {name} corner", timeout_s)
    room.refuse_too_little_memory(spec, measured["largest"], found.largest, nodes)
    known_s, sweeps = effort.history(spec, _folders(home, cluster))
    corners_s = measured["smallest"].epoch_s, measured["largest"].epoch_s
    return Plan(spec, cluster, found, measured, nodes, room.at_once(spec, nodes),
                room.packing(spec, measured["largest"], nodes), proposals, effort.epochs(spec),
                effort.epoch_times(corners_s, known_s, sweeps), package,
                [*notes, *told, *_notes(spec, found, nodes, measured["largest"])])  # fmt: skip


def _checked(spec: SweepSpec, cluster: ClusterConfig | None, home: Path, say: Say) -> tuple[Nodes, Contents | None]:
    """Everything that is refused without a training."""
    if cluster is not None:
        check_resources(spec, cluster)
        check_data(spec, cluster)
        check_warm_start(spec, cluster, home)
    nodes = room.nodes_of(cluster)
    room.refuse_what_no_node_holds(spec, nodes)
    if not isinstance(cluster, RayCluster | KubeRayCluster):
        return nodes, None
    package = contents_of(cluster, home)
    if isinstance(cluster, KubeRayCluster):
        preview(spec, cluster, new_id(spec.name), home, lambda line: None)
    return nodes, package


def _proposals(spec: SweepSpec, task: Task, admission: Admission, home: Path, cluster: ClusterConfig | None
               ) -> tuple[list[dict[str, Any]], list[str]]:  # fmt: skip
    """What is proposed before the first result, and what the search was told before."""
    data_md5 = {dataset.name: dataset.md5 for dataset in task.datasets}
    taken = take_over(spec, data_md5, home, cluster.where if cluster else Where())
    search = searcher(spec, task)
    search.inform(known_of({"warm_start": taken.trials}))
    found = []
    for number in range(min(spec.budget.trials, max(3, spec.budget.concurrent), SHOWN)):
        proposal = search.propose(number)
        if proposal is None:
            break
        config = spec.trial_config(proposal[0], number)
        found.append({"params": proposal[0], "parameters": admission.sizes.parameters(config)})
    return found, [f"warm start: {line}" for line in taken.notes]


def _folders(home: Path, cluster: ClusterConfig | None) -> list[Path]:
    """Where earlier sweeps may lie, as folders of this machine."""
    storage = cluster.where.storage if cluster else None
    return [home, *([Path(storage)] if storage and "://" not in storage else [])]


def _notes(spec: SweepSpec, found: Corners, nodes: Nodes, largest: Timed) -> list[str]:
    notes = []
    if found.refused:
        notes.append(f"the experiment refuses {found.refused} of {found.looked_at} configurations at the space's ends,"
                     f" and such trials would fail: {found.why}")  # fmt: skip
    if found.violating:
        notes.append(f"constraints leave out {found.violating} of {found.looked_at} configurations looked at, most of"
                     " them at the space's ends")  # fmt: skip
    if nodes.source.startswith("the cluster's file, for"):
        notes.append(f"the cluster was not asked ({nodes.source.partition('for ')[2]}): whether it has room is unknown")
    cores = sum(node.resources.get(CPU, 0.0) for node in nodes.there)
    wanted = room.at_once(spec, nodes) * spec.resources.cpus * spec.resources.least_workers
    if nodes.source == "this machine" and wanted > cores:
        notes.append(f"{spec.budget.concurrent} trials at a time ask for {wanted} cores and this machine has {cores:g}:"
                     " they share them, and take longer than is said here")  # fmt: skip
    elif nodes.there and room.at_once(spec, nodes) < min(spec.budget.concurrent, spec.budget.trials):
        notes.append(f"budget.concurrent is {spec.budget.concurrent}, and the nodes hold"
                     f" {room.at_once(spec, nodes)} trials at a time")  # fmt: skip
    if spec.resources.gpus and largest.gpu_bytes is None:
        notes.append("trials ask for GPUs, and this machine measured on its CPU: time and memory are not theirs")
    if spec.resources.most_workers > 1:
        notes.append(f"measured in one process; {spec.resources.most_workers} workers of a trial share each batch out,"
                     " so that time and memory are bounds from above")  # fmt: skip
    if largest.epoch_s is None:
        notes.append("the data module does not tell how many batches an epoch has: hours are known from history alone")
    return notes


def _of_corner(corner: Corner, measured: Timed) -> dict[str, Any]:
    return {"params": corner.params, "parameters": corner.parameters, **asdict(measured)}


def _of_package(contents: Contents | None, count: int = 5) -> dict[str, Any] | None:
    if contents is None:
        return None
    largest: Sequence[dict[str, Any]] = [{"name": entry.name, "bytes": entry.size_bytes}
                                         for entry in contents.largest(count)]  # fmt: skip
    return {"files": len(contents.entries), "bytes": contents.size_bytes, "largest": largest,
            "left_out": list(contents.left_out)}  # fmt: skip
