"""A Ray cluster, a tracking server and a user's machine, each on a host of `hosts.py`.

What Ray 2.60 does there, measured; failure classes and tests are built on it:

death                        heard by the driver as                                                       after
worker process, SIGKILL      ActorDiedError "its worker process has died … connection error code 2"       0.03 s
  SIGSEGV, os._exit, kernel's OOM killer: the same words                                                  0.3 s
raylet, SIGKILL              ActorUnavailableError "… Socket closed rpc_code: 14"                          2 to 3 s
host killed, or cut off      ActorDiedError "its node has died … missing too many heartbeats"              10 s
network away for 3 s         nothing: what was reported meanwhile comes late                               -
Ray's memory monitor         OutOfMemoryError, which is no RayActorError and which Tune does not know       -
user's exception             RayTaskError, which is also an instance of the exception's class              0.2 s

The error is in the files `trial.error_file` (its words) and `trial.pickled_error_file` when a scheduler's
`on_trial_error` is called; `get_error` reads from storage, where it comes later. A host that was cut off goes on
training until it is back on the network; then its raylet ends within two seconds, and it has to be started again. After
the head's death the raylets of the workers end within 50 s; none of them joins a new head at the same address.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hosts import Host, Network

PYTHON = sys.executable
RAY = (PYTHON, "-m", "ray.scripts.scripts")
GATESWEEP = (PYTHON, "-c", "from gatesweep.cli import main; main()")
GCS_PORT, JOBS_PORT, TRACKING_PORT = 6379, 8265, 5000
OBJECT_STORE_BYTES = 80 << 20
SECRETS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SERVE_OBJECTS = """
import json, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from object_store import serve
with serve(pathlib.Path(sys.argv[2]), sys.argv[3]) as store:
    print(json.dumps({"bucket": store.bucket, **store.environment}), flush=True)
    signal.pause()
"""

CALM = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "eth0",
    "COLUMNS": "120",
}
# a node that does not answer is lost after about ten seconds
HEALTH = {
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "5",
}


class Cluster:
    """A head without work of its own, and workers."""

    def __init__(self, network: Network) -> None:
        self.network, self.token = network, secrets.token_hex(32)
        self.head = network.host("head")
        self.workers: list[Host] = []

    @property
    def token_file(self) -> Path:
        """Where each host has the token."""
        return self.network.here / "token"

    @property
    def environment(self) -> dict[str, str]:
        """For processes that speak with the cluster. No PYTHONPATH: a node has what is installed, and nothing else."""
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_file)}
        path = os.pathsep.join([str(Path(PYTHON).parent), os.environ["PATH"]])
        return {**CALM, **HEALTH, **token, "PATH": path, "PYTHONPATH": ""}

    @property
    def address(self) -> str:
        """The job server's."""
        return f"http://{self.head.address}:{JOBS_PORT}"

    @property
    def gcs(self) -> str:
        return f"{self.head.address}:{GCS_PORT}"

    def add_workers(self, count: int) -> None:
        """New hosts, not started yet."""
        first = len(self.workers) + 1
        self.workers += [self.network.host(f"worker{number}") for number in range(first, first + count)]

    def start(self, host: Host, *, cpus: int = 1) -> None:
        """Start Ray on a host, which is switched on where it is off; what an earlier Ray left there is ended first."""
        if not host.up:
            host.start()
        host.kill_processes()
        give_token(host, self)
        role = [f"--address={self.gcs}", f"--num-cpus={cpus}"]
        if host is self.head:
            role = ["--head", f"--port={GCS_PORT}", "--num-cpus=0", "--dashboard-host=0.0.0.0",
                    f"--dashboard-port={JOBS_PORT}"]  # fmt: skip
        host.call([*RAY, "start", *role, f"--node-ip-address={host.address}", f"--temp-dir={self.network.here / 'r'}",
                   f"--object-store-memory={OBJECT_STORE_BYTES}"], self.environment)  # fmt: skip

    def new_head(self) -> None:
        """A head at the old one's address; the workers are started again, for none joins it by itself."""
        self.start(self.head)
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.start, self.workers))


def give_token(host: Host, cluster: Cluster) -> None:
    """Ray's token as a file of the host's own."""
    file = host.folder / cluster.token_file.name
    file.touch(mode=0o600)
    file.write_text(cluster.token)


class Tracking:
    """An MLflow server with its database and artifacts in its host's folder."""

    def __init__(self, network: Network) -> None:
        self.host = network.host("tracking")
        self.address = f"http://{self.host.address}:{TRACKING_PORT}"
        self.database = self.host.folder / "mlflow.db"
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start it and wait until it answers; what it held before is there."""
        here = self.host.network.here
        command = [PYTHON, "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", str(TRACKING_PORT),
                   "--workers", "1", "--backend-store-uri", f"sqlite:///{here}/mlflow.db", "--serve-artifacts",
                   "--artifacts-destination", str(here / "artifacts"), "--allowed-hosts", "*"]  # fmt: skip
        with (self.host.folder / "server.log").open("ab") as log:
            environment = {**CALM, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONPATH": ""}
            self.process = self.host.run(command, environment, stdout=log, stderr=log)
        self.wait()

    def wait(self, timeout_s: float = 120) -> None:
        look = f"import urllib.request as u; u.urlopen('http://127.0.0.1:{TRACKING_PORT}/health', timeout=2)"
        ends = time.monotonic() + timeout_s
        while time.monotonic() < ends and self.process is not None and self.process.poll() is None:
            if self.host.run([PYTHON, "-c", look], stderr=subprocess.DEVNULL).wait() == 0:
                return
            time.sleep(0.3)
        raise RuntimeError((self.host.folder / "server.log").read_text()[-3000:])

    def kill(self) -> None:
        """SIGKILL to the server; its host lives."""
        self.host.kill_processes()
        if self.process is not None:
            self.process.wait()


class Objects:
    """An S3-compatible store on a host of its own (`object_store.py`)."""

    def __init__(self, network: Network) -> None:
        self.host = network.host("objects")
        self.environment: dict[str, str] = {}
        self.bucket = ""

    def start(self) -> None:
        words = [str(Path(__file__).parent), str(self.host.network.here / "objects"), self.host.address]
        command = [PYTHON, "-c", SERVE_OBJECTS, *words]
        process = self.host.run(command, {**CALM, "PYTHONPATH": ""}, stdout=subprocess.PIPE)
        assert process.stdout is not None
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError("the object store did not start")
        self.environment = json.loads(answer)
        self.bucket = self.environment.pop("bucket")

    def give_secrets(self, host: Host) -> dict[str, dict[str, str]]:
        """The keys as files of the host's own; references to them, as a cluster's file has them."""
        references = {}
        for name in SECRETS:
            file = host.folder / name.lower()
            file.touch(mode=0o600)
            file.write_text(self.environment[name])
            references[name] = {"file": str(host.network.here / file.name)}
        return references


class Bed:
    """Head, workers, a tracking server, shared storage, and the machine of a user who has a project there."""

    def __init__(self, *, workers: int = 2, storage: str = "folder") -> None:
        """`storage`: a `folder` that every host sees, or `s3`."""
        self.network = Network()
        self.cluster = Cluster(self.network)
        self.cluster.add_workers(workers)
        self.tracking = Tracking(self.network)
        self.user = self.network.host("user")
        self.objects = Objects(self.network) if storage == "s3" else None
        self.project = self.network.here / "project"
        """As the user's machine sees it; `user.folder / "project"` from outside."""

    @property
    def storage(self) -> str:
        """What the cluster's file calls it."""
        return f"s3://{self.objects.bucket}/kept" if self.objects else str(self.network.shared)

    @property
    def environment(self) -> dict[str, str]:
        """For the user's own look at the storage."""
        return {**CALM, **(self.objects.environment if self.objects else {})}

    def start(self) -> None:
        """Everything at once, as far as it can be."""
        with ThreadPoolExecutor() as pool:
            others = [pool.submit(part.start) for part in (self.tracking, self.objects) if part]
            self.cluster.start(self.cluster.head)
            list(pool.map(self.cluster.start, self.cluster.workers))
            for other in others:
                other.result()
        give_token(self.user, self.cluster)

    def cluster_file(self) -> dict[str, object]:
        """What `configs/clusters/*.yaml` says of it."""
        plain = {name: CALM[name] for name in ("OMP_NUM_THREADS", "MLFLOW_DISABLE_TELEMETRY")}
        said: dict[str, object] = {
            "kind": "ray",
            "address": self.cluster.address,
            "tracking": self.tracking.address,
            "storage": self.storage,
            "node": {"folder": str(self.network.here / "node")},
            "environment": plain,
            "auth": {"token": {"file": str(self.cluster.token_file)}},
        }
        if self.objects:
            plain.update({k: v for k, v in self.objects.environment.items() if k not in SECRETS})
            for host in (self.cluster.head, *self.cluster.workers, self.user):
                said["secrets"] = self.objects.give_secrets(host)  # the same paths on every host
        return said

    def gatesweep(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """The command line on the user's machine, in the project."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return self.user.run([*GATESWEEP, *arguments], CALM, cwd=self.project, **pipes)

    def answer(self, *arguments: str, timeout_s: float = 180) -> tuple[int, str, str]:
        """The same, to its end: exit code, output, messages."""
        process = self.gatesweep(*arguments)
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise RuntimeError(f"gatesweep {' '.join(arguments)} took longer than {timeout_s} s") from None
        return process.returncode, out, err

    def close(self) -> None:
        self.network.close()
