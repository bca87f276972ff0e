"""What a sweep would do and cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.api.places import here, open_store
from gatesweep.api.sweeps import spec_of

if TYPE_CHECKING:
    from gatesweep.launch.plan.planned import Plan
    from gatesweep.launch.sections import ClusterConfig


def plan(
    spec: Any,
    *,
    cluster: str | Path | ClusterConfig | None = None,
    overrides: Sequence[str] = (),
    timeout_s: float | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Plan:
    """Check a sweep, measure the smallest and the largest configuration of its space, and write nothing.

        plan = gatesweep.plan("configs/sweeps/traffic.yaml", cluster="configs/clusters/ray.yaml")
        plan.hours.p90, plan.price, plan.measured["largest"].memory_bytes, plan.as_dict()

    Args:
        spec: a sweep's file, its sections as a mapping, or a `SweepSpec`.
        cluster: a cluster's file; by default this machine.
        overrides: `key=value` as `--set` takes them.
        timeout_s: of each of the two measurements.

    Raises:
        UserError: what the sweep's start would refuse, and what does not fit.
    """
    from gatesweep.launch.config import load_cluster
    from gatesweep.launch.plan.planned import planned
    from gatesweep.launch.plan.probe import TIMEOUT_S

    where = load_cluster(Path(cluster)) if isinstance(cluster, str | Path) else cluster
    return planned(spec_of(spec, overrides), where, here(), open_store, say, timeout_s or TIMEOUT_S)
