"""The file of a cluster on Kubernetes: every sweep is a RayJob of its own, with pods that end when it does."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from gatesweep.config.section import Section
from gatesweep.launch.sections import ClusterConfig, PackageLimit

HOME = "/var/lib/gatesweep"
"""What the pods may write, beside /tmp; the rest of their root file system is read-only."""
LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
QUANTITY = r"^\d+(\.\d+)?(Ki|Mi|Gi|Ti)$"
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")]


class Toleration(Section):
    """A taint of nodes that pods may run in spite of."""

    key: str
    """The taint's key: cloud.google.com/gke-spot."""

    value: str | None = None
    """Its value. None: any."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Its effect. None: any."""


class NodeGroup(Section):
    """Pods of one kind."""

    cpus: PositiveFloat = 1.0
    """CPUs of each."""

    memory: str = Field("4Gi", pattern=QUANTITY)
    """Memory of each, as Kubernetes writes it: 16Gi."""

    gpus: NonNegativeInt = 0
    """GPUs of each; nodes with the taint nvidia.com/gpu are tolerated by themselves then."""

    node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels that their nodes must have."""

    tolerations: tuple[Toleration, ...] = ()
    """Taints that their nodes may have, e.g. those of spot nodes."""


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

    @model_validator(mode="after")
    def _in_order(self) -> WorkerGroup:
        if not self.min_replicas <= self.replicas <= self.max_replicas:
            raise ValueError(f"replicas: {self.replicas} does not lie within {self.min_replicas} and"
                             f" {self.max_replicas}\n\nhint: min_replicas <= replicas <= max_replicas")  # fmt: skip
        return self


class SecretKey(Section):
    """One value of a Kubernetes secret, by name."""

    secret_name: Name
    """The secret, in the cluster's namespace."""

    key: str = Field("password", pattern=r"^[-._a-zA-Z0-9]+$")
    """The key within it."""


class Redis(Section):
    """Where Ray's head keeps its state outside itself, so that a new head finds it."""

    address: str = Field(pattern=r"^[^\s/@]+:\d+$")
    """host:6379, of a Redis that this cluster does not run."""

    password: SecretKey | None = None
    """Its password. None: it asks for none."""


class CacheVolume(Section):
    """What each pod writes: its cache of data, scratch of trials, logs."""

    size: str = Field("20Gi", pattern=QUANTITY)
    """The most that it may hold; a pod that writes more is ended by its node."""

    storage_class: str | None = None
    """A class of volumes on the node's own fast disk. None: the disk where the node keeps its pods."""


class KubeRayCluster(ClusterConfig):
    """A RayJob on Kubernetes, by the KubeRay operator."""

    kind: Literal["kuberay"]
    """Kubernetes."""

    tracking: str
    """MLflow's address, as the pods reach it."""

    storage: str
    """s3://bucket/prefix, or a folder of a volume that every pod mounts. The code travels through it too."""

    namespace: str = Field("default", pattern=LABEL)
    """The Kubernetes namespace."""

    context: str | None = None
    """The context of the kubeconfig. None: the current one."""

    image: str = Field(pattern=r"^[^\s@]+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$")
    """The image of every pod, by tag or digest; it holds this project's dependencies and the Ray of its lock."""

    pull_secrets: tuple[Name, ...] = ()
    """Names of the namespace's secrets for pulling the image."""

    service_account: str | None = None
    """What workers and the submitter run as, without a token of it. None: the namespace's default."""

    head_account: str | None = None
    """What the head runs as; its autoscaler asks for pods by it. None: the operator makes one."""

    queue: str | None = Field(None, pattern=LABEL)
    """Kueue's local queue, where the namespace has one; it admits a fixed number of pods: `autoscale: false`."""

    autoscale: bool = True
    """Whether worker groups grow and shrink with the trials, between their fewest and most."""

    head: NodeGroup = NodeGroup()
    """The head's pod: no trial runs on it."""

    workers: tuple[WorkerGroup, ...] = (WorkerGroup(name="workers"),)
    """Groups of worker pods."""

    volumes: dict[str, Name] = Field(default_factory=dict)
    """Persistent volume claims by the folder where every pod mounts them: {/mnt/shared: sweeps-claim}."""

    env_from: tuple[Name, ...] = ()
    """Secrets whose keys become variables of every pod: what `secrets: {NAME: {env: NAME}}` refers to."""

    secret_volumes: dict[str, Name] = Field(default_factory=dict)
    """Secrets by the folder where every pod mounts them: what `secrets: {NAME: {file: …}}` refers to."""

    cache: CacheVolume = CacheVolume()
    """What each pod writes."""

    ray_token_name: Name | None = None
    """The secret with Ray's token, under the key auth_token. None: the operator makes one for each job."""

    redis: Redis | None = None
    """Keeps the head's state. None: the head's end is the attempt's end, and `retries` starts another."""

    retries: NonNegativeInt = 3
    """How often the operator starts a failed attempt again, each time on new pods: it resumes from the sweep's log."""

    deadline_hours: PositiveFloat | None = 168.0
    """After so long the operator ends the job, resumably. None: never."""

    keep_minutes: NonNegativeInt = 60
    """How long pods of a job that is over stay, for its logs."""

    deletion_rules: bool = False
    """Pods of a success go at once, those of a failure after `keep_minutes`: needs the operator's feature gate
    RayJobDeletionPolicy."""

    package: PackageLimit = PackageLimit()
    """What travels to the cluster."""

    @model_validator(mode="after")
    def _agrees(self) -> KubeRayCluster:
        if not self.workers:
            raise ValueError("workers: there is none, and trials run on nothing else\n\nhint: workers: [{name: cpu}]")
        if self.queue is not None and self.autoscale:
            raise ValueError("queue: Kueue admits a fixed number of pods, and autoscale: true lets it change"
                             "\n\nhint: autoscale: false; `replicas` pods of each group run then")  # fmt: skip
        if "://" not in self.storage and not _lies_in(self.storage, self.volumes):
            raise ValueError(f"storage: no volume is mounted at '{self.storage}'\n\nhint: volumes:"
                             f" {{{self.storage}: the-claim}}, or storage: s3://bucket/prefix")  # fmt: skip
        if self.node.folder and not _lies_in(self.node.folder, (HOME, "/tmp", *self.volumes)):
            raise ValueError(f"node.folder: pods cannot write '{self.node.folder}'\n\nhint: leave it out, or name a"
                             f" folder below {HOME}")  # fmt: skip
        for name, reference in self.secrets.items():
            if reference.file and not _lies_in(reference.file, self.secret_volumes):
                folder = PurePosixPath(reference.file).parent
                raise ValueError(f"secrets.{name}: no secret is mounted at '{reference.file}' in the pods\n\nhint:"
                                 f" secret_volumes: {{{folder}: the-secret}}")  # fmt: skip
            if reference.env and not self.env_from:
                raise ValueError(f"secrets.{name}: no secret gives the pods the variable {reference.env}\n\nhint:"
                                 " env_from: [the-secret], or {file: …} below a folder of secret_volumes")  # fmt: skip
        return self

    def holds(self, cpus: float, gpus: float) -> bool:
        """Whether a pod of some group can hold so much."""
        return any(group.cpus >= cpus and group.gpus >= gpus for group in self.workers)


def _lies_in(path: str, folders: Iterable[str]) -> bool:
    inside = {str(PurePosixPath(path)), *map(str, PurePosixPath(path).parents)}
    return any(str(PurePosixPath(folder)) in inside for folder in folders)
