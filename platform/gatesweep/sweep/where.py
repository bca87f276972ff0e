"""Where a sweep runs and where it keeps what it knows; by default on this machine and in its home folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Where:
    """Addresses alone, and references to secrets, never a secret: all of it may be written down."""

    ray_address: str | None = None
    """A Ray cluster to join; `auto` within a Ray job. None: a Ray of this machine's own, for this sweep."""

    storage: str | None = None
    """A folder that every host sees, or s3://…: the sweep lies in <storage>/sweeps/<sweep_id>. None: the home."""

    tracking: str | None = None
    """MLflow's address. None: MLFLOW_TRACKING_URI, else the home folder's own store."""

    data_remote: str | None = None
    """A DVC remote, as an fsspec address. None: workers get data from the driver."""

    node_folder: str | None = None
    """Cache and scratch of each node."""

    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Variable -> {file: path} or {env: name}, resolved on the machine that needs it."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Plain variables for driver and workers."""

    @property
    def shared(self) -> bool:
        """Whether trials run on other hosts than the driver's."""
        return self.ray_address is not None
