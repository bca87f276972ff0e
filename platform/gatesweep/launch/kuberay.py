"""The file of a cluster on Kubernetes: it can be written and checked; submitting to it is refused (see `submit`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from gatesweep.config.section import Section
from gatesweep.launch.sections import ClusterConfig


class NodeGroup(Section):
    """Pods of one kind."""

    cpus: PositiveFloat = 1.0
    """CPUs of each."""

    memory: str = Field("4Gi", pattern=r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti)$")
    """Memory of each, as Kubernetes writes it: 16Gi."""

    gpus: NonNegativeInt = 0
    """GPUs of each."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that their nodes must have."""


class WorkerGroup(NodeGroup):
    """Workers of one kind."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$")
    """What the group is called."""

    replicas: NonNegativeInt = 1
    """How many to begin with."""

    min_replicas: NonNegativeInt = 0
    """The fewest."""

    max_replicas: PositiveInt = 4
    """The most."""


class KubeRayCluster(ClusterConfig):
    """A RayJob on Kubernetes, by the KubeRay operator."""

    kind: Literal["kuberay"]
    """Kubernetes."""

    tracking: str
    """MLflow's address, as the pods reach it."""

    storage: str
    """s3://bucket/prefix, or a folder of a volume that every pod mounts."""

    namespace: str = Field("default", pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    """The Kubernetes namespace."""

    context: str | None = None
    """The context of the kubeconfig. None: the current one."""

    image: str
    """The image of every pod, by tag or digest; it holds this project and the Ray of its lock."""

    pull_secrets: tuple[str, ...] = ()
    """Names of the namespace's secrets for pulling the image."""

    service_account: str | None = None
    """What the pods run as. None: the namespace's default."""

    queue: str | None = None
    """Kueue's local queue, where the namespace has one."""

    head: NodeGroup = NodeGroup()
    """The head's pod."""

    workers: Annotated[tuple[WorkerGroup, ...], Field(min_length=1)] = (WorkerGroup(name="workers"),)
    """Groups of worker pods."""

    volumes: dict[str, str] = Field(default_factory=dict)
    """Persistent volume claims by the folder where every pod mounts them: {/mnt/shared: sweeps-claim}."""

    keep_minutes: NonNegativeInt = 60
    """How long pods of a job that is over stay, for its logs."""
