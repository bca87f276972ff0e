"""The working tree's road to pods: through the sweep's storage, which both sides reach.

    <storage>/packages/<sha-256>.zip     the same that a Ray cluster would get by its Job API; never changed once there

A RayJob's `working_dir` is an address, which each node fetches by itself: the operator takes no upload. Ray keeps what
it fetched by address, so the content's hash is the name, and sending the same tree again sends nothing.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gatesweep.errors import ConfigError
from gatesweep.launch.followed import surroundings
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.storage import Place, place

FOLDER = "packages"


def address_of(archive: Path, cluster: KubeRayCluster) -> str:
    """Where it will be, as the pods reach it; nothing is sent."""
    folder = f"{cluster.storage.rstrip('/')}/{FOLDER}/{_name(archive)}"
    return folder if "://" in folder else f"file://{folder}"


def ship(archive: Path, cluster: KubeRayCluster) -> None:
    """Bring it there, unless it is there already.

    Raises:
        StorageError: this machine cannot write there.
        ConfigError: the storage is a folder that this machine does not see.
    """
    with surroundings(cluster):
        _checked(cluster).create(_name(archive), archive.read_bytes())


def must_reach(cluster: KubeRayCluster) -> None:
    """Ask the storage, before anything is applied.

    Raises:
        StorageError: it does not answer, or refuses this machine.
        ConfigError: it is a folder that this machine does not see.
    """
    with surroundings(cluster):
        _checked(cluster).exists("nothing.zip")


def _checked(cluster: KubeRayCluster) -> Place:
    storage = cluster.storage
    if "://" not in storage and not Path(storage).is_dir():
        raise ConfigError(f"storage: this machine has no folder '{storage}', and the code travels through it",
                          place=cluster.name, hint="mount the same volume here, or storage: s3://bucket/prefix")
    return place(storage if "://" in storage else Path(storage)).child(FOLDER)


def _name(archive: Path) -> str:
    return f"{hashlib.sha256(archive.read_bytes()).hexdigest()}.zip"
