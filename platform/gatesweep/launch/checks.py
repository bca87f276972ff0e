"""Data that a cluster could not get: found before a sweep is sent, not in its first trial."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from gatesweep.config.places import PIN_FILE, find_root
from gatesweep.data import catalogue
from gatesweep.data.pins import digest_of, read_pins
from gatesweep.errors import DataError, NotFound, StorageError
from gatesweep.launch import package
from gatesweep.launch.followed import LOG, place_of, surroundings
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.sections import ClusterConfig, RayCluster
from gatesweep.sweep.spec import SweepSpec


def check_data(spec: SweepSpec, cluster: ClusterConfig) -> None:
    """Refuse sets that the cluster has no road to.

    Raises:
        DataError: a set without remote and source, or a file that stays on this machine.
    """
    if cluster.kind == "local":
        return
    root = find_root()
    for name in _sets(spec):
        _check_set(name, root, cluster)
    for path in _values(spec, "path"):
        _check_file(Path(path), root or Path.cwd(), cluster)


def check_warm_start(spec: SweepSpec, cluster: ClusterConfig, home: Path) -> None:
    """Refuse to send a sweep that learns from others which its driver would not find: it sees the storage alone.

    Raises:
        NotFound: one is not there; where this machine does not reach the storage, the driver finds out.
    """
    if cluster.kind == "local":
        return
    for sweep_id in spec.search.warm_start or ():
        at = place_of(sweep_id, cluster, home)
        with surroundings(cluster), suppress(StorageError):
            if not at.exists(LOG):
                raise NotFound(f"no sweep '{sweep_id}' lies in the cluster's storage", place="search.warm_start",
                               hint=f"copy its folder there: {at.address}")


def _values(spec: SweepSpec, key: str) -> list[str]:
    """What `data.<key>` is, or may become in the space."""
    data = spec.experiment.as_dict()["data"]
    dimension = spec.space.get(f"data.{key}")
    found: list[Any] = [data.get(key), *(dimension.corners if dimension else ())]
    return [value for value in dict.fromkeys(found) if isinstance(value, str)]


def _sets(spec: SweepSpec) -> list[str]:
    """The names of sets that the sweep reads; a task of the user's own may name them under `data.name` too."""
    return [] if spec.experiment.as_dict()["data"].get("path") else _values(spec, "name")


def _check_set(name: str, root: Path | None, cluster: ClusterConfig) -> None:
    pins = read_pins(root) if root else {}
    if name not in pins or cluster.data.remote:
        return  # the catalogue's own version, whose source everybody reaches; or what the remote holds
    has_source = name in catalogue.names() and digest_of(catalogue.entry(name).md5s) == pins[name].md5
    if has_source or (root and _dvc_remote(root)):
        return
    raise DataError(f"'{name}' is pinned in {PIN_FILE}, and the cluster has no way to get it: there is no DVC remote,"
                    " and the catalogue has no source for this version", place=f"data set {name!r}",
                    hint="`dvc remote add -d store s3://bucket/dvc && dvc push`, then `data: {remote: s3://bucket/dvc}`"
                         " in the cluster's file")  # fmt: skip


def _dvc_remote(root: Path) -> bool:
    """Whether the project's own DVC configuration, which travels with it, names a default remote."""
    file = root / ".dvc" / "config"
    lines = [line.strip().replace(" ", "") for line in file.read_text().splitlines()] if file.is_file() else []
    return any(line.startswith("remote=") for line in lines)


def _check_file(path: Path, root: Path, cluster: ClusterConfig) -> None:
    storage = cluster.where.storage or ""
    if "://" not in storage and path.is_relative_to(storage):
        return  # every host sees it
    exclude = cluster.package.exclude if isinstance(cluster, RayCluster | KubeRayCluster) else ()
    if path.is_relative_to(root.resolve()) and package.measure(root, exclude=exclude).holds(path):
        return
    raise DataError("lies on this machine alone, and hosts of the cluster do not see it", place=str(path),
                    hint="add it as a set with `dvc add` and `dvc push`, keep a small file in the project, or copy it"
                         " below the cluster's storage where that is a folder")  # fmt: skip
