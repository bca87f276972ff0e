"""`gatesweep doctor --fix` for sweeps that were sent to clusters: their tracking servers say what their logs say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gatesweep.errors import GatesweepError, UserError
from gatesweep.launch.followed import surroundings
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.submitted import everything
from gatesweep.sweep.reconcile import Stale, settle_all, stale
from gatesweep.sweep.where import Where
from gatesweep.track.store import Store

Say = Callable[[str], None]


def clusters(home: Path, say: Say) -> list[ClusterConfig]:
    """The clusters that sweeps were sent to from here, each storage once."""

    def unreadable(sweep_id: str, error: UserError) -> None:
        say(f"{sweep_id}: left alone: {error.message}")

    sent = [each.cluster for each in everything(home, unreadable) if each.cluster.kind != "local"]
    found = {cluster.where.storage: cluster for cluster in sent}
    return [cluster for storage, cluster in sorted(found.items(), key=lambda item: item[0] or "")]


def stale_there(home: Path) -> list[Stale]:
    """Sweeps on clusters of which a tracking server may say something else than the log."""
    found: list[Stale] = []
    for cluster in clusters(home, lambda line: None):
        with surroundings(cluster):
            try:
                found += stale(home, cluster.where)
            except GatesweepError:
                continue  # storage that this machine does not reach
    return found


def mend(home: Path, open_store: Callable[[Where], Store], say: Say) -> list[str]:
    """Set them right; their ids."""
    done: list[str] = []
    for cluster in clusters(home, say):
        where = cluster.where
        with surroundings(cluster):
            try:
                done += settle_all(home, lambda where=where: open_store(where), say, where)  # type: ignore[misc]
            except GatesweepError as error:
                say(f"{cluster.name}: {error.message}")
    return done
