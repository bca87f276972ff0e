"""Two hosts of a Ray cluster for trials of several workers, and a driver on its head, without a tracking server.

The nodes have this checkout's code and the toy task on their path, and nobody tells gloo which interface to take. A
sweep lies in the folder that all hosts share.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from hosts import Host, Network
from ray_hosts import GCS_PORT, OBJECT_STORE_BYTES, PYTHON, RAY, Cluster, give_token

from gatesweep.storage import place
from gatesweep.track.log import read

ROOT = Path(__file__).resolve().parents[2]
DRIVER = """
import json, sys
from gatesweep import api
from gatesweep.errors import UserError
from gatesweep.sweep import cluster
from gatesweep.sweep.where import Where
cluster.JOIN_S = 5.0
asked = json.loads(sys.argv[1])
where = Where(ray_address=asked["address"], storage=asked["storage"], node_folder=asked["node"])
try:
    done = api.sweep(asked["spec"], sweep_id=asked["id"], where=where,
                     hooks=__import__("gatesweep.sweep.session", fromlist=["Hooks"]).Hooks(say=print))
    print(json.dumps(done.as_dict()["outcomes"]))
except UserError as error:
    print(error, file=sys.stderr)
    sys.exit(2)
"""
LEFT = """
import json, sys, time
import ray
from ray.util.state import list_actors, list_placement_groups
ray.init(address=sys.argv[1], log_to_driver=False)
ends = time.monotonic() + 30
while True:
    actors = [a.class_name for a in list_actors() if a.state != "DEAD"]
    groups = [g.placement_group_id for g in list_placement_groups() if g.state != "REMOVED"]
    if not (actors or groups) or time.monotonic() > ends:
        break
    time.sleep(0.5)
print(json.dumps({"actors": actors, "groups": groups}))
"""


class GangBed(Cluster):
    """Head and two workers. `more`: further words for `ray start` on these."""

    def __init__(self, *, cpus: int = 2, more: tuple[str, ...] = ()) -> None:
        super().__init__(Network())
        self.cpus, self.more = cpus, more
        self.add_workers(2)
        for host in (self.head, *self.workers):
            self.start(host)

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(ROOT / "platform"), str(ROOT / "tests" / "support")])
        calm = {name: value for name, value in super().environment.items() if name != "GLOO_SOCKET_IFNAME"}
        return {**calm, "PYTHONPATH": path, "GATESWEEP_HOME": str(self.network.here / "home")}

    def start(self, host: Host, *, cpus: int = 0) -> None:
        host.kill_processes()
        give_token(host, self)
        role = [f"--address={self.gcs}", f"--num-cpus={cpus or self.cpus}", *self.more]
        if host is self.head:
            role = ["--head", f"--port={GCS_PORT}", "--num-cpus=0"]
        host.call([*RAY, "start", *role, f"--node-ip-address={host.address}", f"--temp-dir={self.network.here / 'r'}",
                   f"--object-store-memory={OBJECT_STORE_BYTES}"], self.environment)  # fmt: skip

    def sweep(self, sweep_id: str, spec: dict[str, Any]) -> subprocess.Popen[str]:
        """A driver on the head. Prints the outcomes."""
        asked = {"address": self.gcs, "storage": str(self.network.shared), "node": str(self.network.here / "node"),
                 "id": sweep_id, "spec": spec}  # fmt: skip
        return self.head.run([PYTHON, "-c", DRIVER, json.dumps(asked)], self.environment, cwd=self.network.here,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip

    def log(self, sweep_id: str) -> list[dict[str, Any]]:
        """As it stands."""
        at = place(self.network.shared / "sweeps" / sweep_id)
        return read(at) if at.exists("log.jsonl") else []

    def left(self) -> dict[str, list[str]]:
        """Actors and placement groups that are still there, once what is ending has had its time."""
        said = self.head.call([PYTHON, "-c", LEFT, self.gcs], self.environment)
        found: dict[str, list[str]] = json.loads(said.splitlines()[-1])
        return found
