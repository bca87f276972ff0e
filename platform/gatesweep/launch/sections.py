"""What a cluster's file says, kind by kind: addresses and references to secrets, never a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, ValidationInfo, field_validator

from gatesweep.config.secrets import Reference
from gatesweep.config.section import Section
from gatesweep.launch import reach
from gatesweep.sweep.where import Where

RAY_LIMIT_MB = 100


class DataPlace(Section):
    """Where workers get data from."""

    remote: str | None = None
    """A DVC remote, as DVC or fsspec write its address: s3://bucket/dvc, /mnt/shared/dvc. None: through the driver."""

    @field_validator("remote")
    @classmethod
    def _written_out(cls, value: str | None) -> str | None:
        return value if value is None else reach.literal(value)


class NodePlace(Section):
    """What each node keeps for itself."""

    folder: str | None = None
    """Cache of data and scratch of trials, on a disk of its own. None: GATESWEEP_NODE_FOLDER, else below /tmp."""


class TrialLimit(Section):
    """What one trial may ask for."""

    cpus: PositiveInt | None = None
    """CPUs of the largest node; a sweep whose trials ask for more is refused before it is sent. None: any number."""

    gpus: NonNegativeFloat | None = None
    """GPUs of the largest node. None: any number."""


class DriverShare(Section):
    """What Ray sets aside for the process that conducts the sweep."""

    cpus: NonNegativeFloat = 0.0
    """CPUs. 0, with no `custom`, puts it on the head node."""

    custom: dict[str, PositiveFloat] = Field(default_factory=dict)
    """Custom resources of Ray, e.g. {driver: 1} for nodes that were started with it."""


class ClusterResources(Section):
    """What trials and driver may have."""

    trial: TrialLimit = TrialLimit()
    """What one trial may ask for at most."""

    driver: DriverShare = DriverShare()
    """What the driver gets."""


class Rates(Section):
    """What the cluster costs, for `gatesweep plan`."""

    cpu_hour: NonNegativeFloat = 0.0
    """One CPU of one trial for an hour."""

    gpu_hour: NonNegativeFloat = 0.0
    """One GPU of one trial for an hour."""

    currency: str = Field("EUR", min_length=1, max_length=8)
    """What the numbers are in."""


class Auth(Section):
    """How this machine proves to the cluster who it is."""

    token: Reference | None = None
    """Ray's token, by file or variable of this machine. None: RAY_AUTH_TOKEN_PATH, else ~/.ray/auth_token."""


class Tls(Section):
    """Certificates for an address that begins with https."""

    ca: str | None = None
    """A file or folder with the certificates of the authority that signed the cluster's."""

    cert: str | None = None
    """This machine's certificate, where the cluster asks for one."""

    key: str | None = None
    """The file with the key of `cert`."""


class PackageLimit(Section):
    """What travels to the cluster."""

    limit_mb: PositiveInt = RAY_LIMIT_MB
    """The most that may be sent, in MB of 1,000,000 bytes before compression; Ray's own limit is 100 MiB."""

    exclude: tuple[str, ...] = ()
    """Patterns of files that stay here, e.g. [notebooks/, '*.pt']; `.git`, data sets and caches always do."""


class ClusterConfig(Section):
    """A place where sweeps run."""

    name: str = Field("cluster", pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """What messages and `--json` call it; by default the file's stem."""

    kind: Literal["local", "ray", "kuberay"]
    """local: this machine, in the background; ray: a Ray cluster's Job API; kuberay: RayJobs on Kubernetes."""

    tracking: str | None = None
    """MLflow's address. None, for `local` alone: MLFLOW_TRACKING_URI, else the home folder's own store."""

    storage: str | None = None
    """A folder that every host sees, or s3://bucket/prefix; sweeps lie in <storage>/sweeps/<sweep_id>.
    None, for `local` alone: the home folder."""

    data: DataPlace = DataPlace()
    """Where workers get data from."""

    node: NodePlace = NodePlace()
    """What each node keeps for itself."""

    resources: ClusterResources = ClusterResources()
    """What trials and driver may have."""

    rates: Rates | None = None
    """What it costs. None: `gatesweep plan` tells no price."""

    environment: dict[str, str] = Field(default_factory=dict)
    """Plain variables for driver and workers. They are sent and stored as they are: no secrets."""

    secrets: dict[str, Reference] = Field(default_factory=dict)
    """Variables whose values are secret: {NAME: {file: path}} or {NAME: {env: OTHER}}, read by driver and workers on
    their own machines, and by this one where it follows a sweep."""

    @field_validator("storage")
    @classmethod
    def _a_folder_or_s3(cls, value: str | None, info: ValidationInfo) -> str | None:
        return value if value is None else reach.storage_address(value, info.data.get("kind", ""))

    @field_validator("tracking")
    @classmethod
    def _an_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        return value if value is None else reach.tracking_address(value, info.data.get("kind", ""))

    @property
    def where(self) -> Where:
        """The same for `api.sweep`, seen from the driver's machine."""
        return Where(ray_address="auto" if self.kind != "local" else None, storage=storage_of(self.storage),
                     tracking=self.tracking, data_remote=self.data.remote, node_folder=self.node.folder,
                     environment=dict(self.environment),
                     secrets={name: reference.as_dict() for name, reference in self.secrets.items()})  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Every value as plain JSON, references without their empty half."""
        return _without_none(self.model_dump(mode="json"))


class LocalCluster(ClusterConfig):
    """This machine: a sweep goes on in the background when its terminal is closed."""

    kind: Literal["local"]
    """This machine."""


class RayCluster(ClusterConfig):
    """A Ray cluster, by its Job API."""

    kind: Literal["ray"]
    """A Ray cluster that is running."""

    address: str
    """The job server, which is the dashboard's address: http://head.example.org:8265."""

    tracking: str
    """MLflow's address, as the head node reaches it."""

    storage: str
    """A folder that every host sees, or s3://bucket/prefix; sweeps lie in <storage>/sweeps/<sweep_id>."""

    python: str = Field("python", pattern=r"^[^\s'\"]+$")
    """The interpreter on the cluster's nodes, as their shell finds it, with this project's dependencies."""

    auth: Auth = Auth()
    """How this machine proves who it is."""

    tls: Tls = Tls()
    """Certificates for https."""

    package: PackageLimit = PackageLimit()
    """What travels to the cluster."""

    @field_validator("address")
    @classmethod
    def _a_job_server(cls, value: str) -> str:
        reach.literal(value)
        if not re.fullmatch(r"https?://[^/\s:][^/\s]*/?", value):
            hint = "http://host:8265, what the dashboard is served at; not ray:// and not the head's port 6379"
            raise ValueError(f"'{value}' is no address of a job server\n\nhint: {hint}")
        return value.rstrip("/")


def storage_of(said: str | None) -> str | None:
    """Where sweeps lie, as a cluster's file says it: a folder by its whole path."""
    return str(Path(said).expanduser()) if said and "://" not in said else said


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list) else value
