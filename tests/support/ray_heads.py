"""A real Ray head of a test's own on this machine: own ports, own folder, own token; the user's stay untouched."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from gatesweep.sweep.cluster import TOKENS


@dataclass(frozen=True)
class RayHead:
    """A running one."""

    address: str
    """Of its job server."""

    gcs: str
    """What drivers join."""

    token: str
    token_file: Path
    folder: Path


def free_ports(count: int) -> list[int]:
    """Ports that nobody holds now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def own_address() -> str:
    """What Ray calls this machine, whatever it is told: 127.0.0.1 becomes its address on the network."""
    import ray

    return str(ray.util.get_node_ip_address())


@contextlib.contextmanager
def ray_head(**environment: str) -> Iterator[RayHead]:
    """Start a head with two CPUs, token authentication on, and end every process of it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=f"gs-{os.getpid()}-", dir="/tmp"))
    token = secrets.token_hex(32)
    token_file = folder / "token"
    token_file.write_text(token)
    token_file.chmod(0o600)
    gcs, dashboard, client, agent, agent_grpc, metrics = free_ports(6)
    inherited = {name: value for name, value in os.environ.items() if name not in TOKENS}
    variables = {**inherited, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token_file),
                 "RAY_USAGE_STATS_ENABLED": "0", "GATESWEEP_TEST_HEAD": str(folder), **environment}  # fmt: skip
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--temp-dir={folder}/r",
               "--node-ip-address=127.0.0.1", f"--port={gcs}", "--dashboard-host=127.0.0.1",
               f"--dashboard-port={dashboard}", f"--ray-client-server-port={client}", "--num-cpus=2",
               f"--dashboard-agent-listen-port={agent}", f"--dashboard-agent-grpc-port={agent_grpc}",
               f"--metrics-export-port={metrics}", "--disable-usage-stats"]  # fmt: skip
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True, cwd=folder)  # fmt: skip
    try:
        address = f"http://127.0.0.1:{dashboard}"
        _wait_for(address, token, process, folder)
        yield RayHead(address, f"{own_address()}:{gcs}", token, token_file, folder)
    finally:
        _end_all(folder)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(address: str, token: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline_s = time.monotonic() + 90
    request = urllib.request.Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=2):
                return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError((folder / "start.log").read_text()) from error
            time.sleep(0.5)


def _end_all(folder: Path) -> None:
    """Every process that carries the mark of this head, by its id."""
    mark = f"GATESWEEP_TEST_HEAD={folder}".encode()
    for _ in range(3):
        mine = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if mark in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                    mine.append(process)
        for each in mine:
            with contextlib.suppress(psutil.Error):
                each.kill()
        if not mine:
            return
        psutil.wait_procs(mine, timeout=10)
