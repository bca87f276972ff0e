"""What a worker calls at the start of an attempt, so that `ensure` asks the node's own cache.

    driver    objects = offer(datasets)  where there is no remote;  pinned = pinned_by(datasets)
    worker    install(data_remote, objects, node_folder(), pinned=pinned)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatesweep.data.fetch import Dataset, use
from gatesweep.data.node import NodeCache, Pinned
from gatesweep.data.node_disk import node_folder
from gatesweep.data.origin import FirstOf, Origin, RemoteOrigin
from gatesweep.errors import ConfigError

if TYPE_CHECKING:
    import ray

__all__ = ["install", "node_folder", "pinned_by"]

LIMIT = "GATESWEEP_NODE_CACHE_GB"


def pinned_by(datasets: Iterable[Dataset]) -> dict[str, Pinned]:
    """What the driver has verified, for `install` on the workers: they need no `data.dvc`, and take what it took."""
    return {str(each.path) if each.own else each.name: Pinned(each.md5, each.size_bytes) for each in datasets}


def install(data_remote: str | None, objects: Mapping[str, ray.ObjectRef[Any]] | None, node_folder: Path, *,
            pinned: Mapping[str, Pinned] | None = None) -> None:
    """Let `ensure` in this process bring data to the node once, and verify them; nothing is fetched yet.

    Args:
        objects: what `offer` gave; asked first. Without them and without a remote, `ensure` keeps its own roads.
        node_folder: the cache lies in `data` below it.
        pinned: what `pinned_by` gave; sets that it does not name are those of `data.dvc` and the catalogue.

    Raises:
        ConfigError: $GATESWEEP_NODE_CACHE_GB is no number.
    """
    origins: list[Origin] = []
    if objects:
        from gatesweep.sweep.objects import ObjectOrigin

        origins.append(ObjectOrigin(objects))
    if data_remote:
        origins.append(RemoteOrigin(data_remote))
    use(NodeCache(node_folder, FirstOf(origins), pinned=pinned, limit_bytes=_limit_bytes()) if origins else None)


def _limit_bytes() -> int | None:
    """None: sets are thrown away only where the disk itself is full."""
    told = os.environ.get(LIMIT)
    if not told:
        return None
    try:
        return int(float(told) * 1e9)
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"not a number of gigabytes: {told!r}", place=LIMIT, hint=f"{LIMIT}=50") from error
