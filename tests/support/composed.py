"""docker/compose.yaml under podman-compose, on an engine of a test's own, with a project somewhere and free ports.

podman before 4.6 does not wait for `service_healthy`, and without systemd it runs no health checks by itself: here they
are run by hand, service by service, in the order that the file asks for.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from engine import Engine
from ray_heads import free_ports

HEALTHY_S = 240.0
COMPOSE = str(Path(sys.executable).with_name("podman-compose"))


class Platform:
    """All services of the file."""

    def __init__(self, engine: Engine, project: Path, folder: Path, settings: Mapping[str, str],
                 mounts: list[str]) -> None:  # fmt: skip
        """`mounts`: how the head comes to packages on this machine, for data that are fetched."""
        self.engine, self.project = engine, project
        self.tracking_port, self.ray_port = free_ports(2)
        ports = {"TRACKING_PORT": str(self.tracking_port), "RAY_PORT": str(self.ray_port)}
        example = (project / "docker/.env.example").read_text()
        for name, value in {**settings, **ports}.items():
            assert f"\n{name}=" in example, f".env.example does not tell of {name}"
            example = "".join(f"{name}={value}\n" if line.startswith(f"{name}=") else line
                              for line in example.splitlines(keepends=True))  # fmt: skip
        (project / "docker/.env").write_text(example)
        self.prepare()
        self.file = project / "docker/compose.yaml"
        self.services: dict[str, Any] = yaml.safe_load(self.file.read_text())["services"]
        packages = {"volumes": mounts, "environment": {"PIP_CONFIG_FILE": "/root/.pip/pip.conf"}}
        self.override = folder / "packages.yaml"
        self.override.write_text(yaml.safe_dump({"services": {name: packages for name in ("head", "client")}}))

    def prepare(self) -> None:
        """Make the secrets that are not there."""
        self.engine.run(["sh", str(self.project / "docker/prepare.sh"), "podman"])
        self.secrets = {file.name: file.read_text() for file in (self.project / "docker/secrets").iterdir()}

    def compose(self, *words: str, timeout_s: float = 300) -> str:
        command = [COMPOSE, "-f", str(self.file), "-f", str(self.override), *words]
        return self.engine.run(command, timeout_s=timeout_s, cwd=self.project)

    def up(self) -> list[str]:
        """Each service after those that it depends on are healthy, by their own checks; the order that it became."""
        order: list[str] = []
        wanted = {name: each for name, each in self.services.items() if "profiles" not in each}
        while len(order) < len(wanted):
            ready = [name for name, each in wanted.items()
                     if name not in order and set(each.get("depends_on", {})) <= set(order)]  # fmt: skip
            self.compose("up", "-d", "--no-deps", *ready)
            for name in ready:
                for container in self.containers(name):
                    self.wait_until_healthy(container)
            order += ready
        return order

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, running or not."""
        return self.engine("ps", "-aq", "--filter", f"label=com.docker.compose.service={service}").split()

    def wait_until_healthy(self, container: str) -> None:
        ends = time.monotonic() + HEALTHY_S
        while time.monotonic() < ends:
            with contextlib.suppress(subprocess.TimeoutExpired):  # to an engine, no answer is a failed check
                done = subprocess.run(["podman", "healthcheck", "run", container], env=self.engine.environment,
                                      capture_output=True, check=False, timeout=30)  # fmt: skip
                if done.returncode == 0:
                    return
            time.sleep(1)
        raise RuntimeError(f"{container} is not healthy:\n{self.engine('logs', '--tail', '60', container)}")

    def client(self, *words: str, timeout_s: float = 300) -> str:
        """gatesweep in the container `client`."""
        return self.compose("--profile", "client", "run", "--rm", "-T", "client", *words, timeout_s=timeout_s)

    def status(self, sweep_id: str) -> dict[str, Any]:
        words = ("status", sweep_id, "--json", "--cluster", "configs/clusters/compose.yaml")
        told: dict[str, Any] = json.loads(self.client(*words))
        return told

    def down(self) -> None:
        self.compose("down", "-v", "-t", "5")
