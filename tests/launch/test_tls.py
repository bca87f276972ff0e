"""TLS: between Ray's processes, where the nodes were started with it, and on the way to the job server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from authority import Authority, https_door
from ray_heads import RayHead, own_address, ray_head

from gatesweep.errors import ClusterError, ConfigError, ResourceError
from gatesweep.launch.config import cluster_from
from gatesweep.launch.jobs import RayJobs
from gatesweep.launch.submitted import Attempt
from gatesweep.sweep import handshake
from gatesweep.sweep.handshake import agree_on_tls

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

JOINS = """
import sys
from gatesweep.errors import GatesweepError
from gatesweep.sweep import cluster
from gatesweep.sweep.options import Resources
try:
    with cluster.joined(sys.argv[1], Resources()):
        import ray
        print(ray.get(ray.remote(lambda: 6 * 7).remote(), timeout=60))
except GatesweepError as error:
    print(error)
    sys.exit(error.exit_code)
"""

TALK = Attempt(1, "talk-a1", "")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_head_that_speaks_no_tls_is_told_from_one_that_does(
    tls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in tls.items():
        monkeypatch.setenv(name, value)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        threading.Thread(target=_http, args=(silent,), daemon=True).start()
        with pytest.raises(ResourceError, match="it does not speak TLS, and RAY_USE_TLS is set here"):
            agree_on_tls(address)
        monkeypatch.delenv("RAY_USE_TLS")
        agree_on_tls(address)
    monkeypatch.setattr(handshake, "LOOK_S", 0.2)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        agree_on_tls(f"127.0.0.1:{busy.getsockname()[1]}")  # it says nothing, so neither do we
    agree_on_tls(address)  # nobody is there: Ray says so itself
    agree_on_tls("auto")


def _http(server: socket.socket) -> None:
    """Whoever does not speak TLS answers something else."""
    for _ in range(2):
        with server.accept()[0] as connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> dict[str, str]:
    """What Ray reads, of a node."""
    cert, key = authority.sign("node", "127.0.0.1", own_address())
    return {"RAY_USE_TLS": "1", "RAY_TLS_SERVER_CERT": str(cert), "RAY_TLS_SERVER_KEY": str(key),
            "RAY_TLS_CA_CERT": str(authority.file)}  # fmt: skip


@pytest.fixture(scope="module")
def head(tls: dict[str, str]) -> Iterator[RayHead]:
    with ray_head(**tls) as running:
        yield running


def _join(head: RayHead, **variables: str) -> tuple[int, str]:
    """A driver of its own, with these variables beside the token."""
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(head.token_file), **variables}
    done = subprocess.run([sys.executable, "-c", JOINS, head.gcs], env=environment, capture_output=True, text=True,
                          timeout=200, check=False)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_a_driver_with_the_authoritys_files_joins_a_head_that_speaks_tls_and_its_tasks_run(
    head: RayHead, tls: dict[str, str]
) -> None:
    assert _join(head, **tls)[1].splitlines()[-1:] == ["42"]


def test_a_driver_without_tls_or_of_another_authority_is_kept_out_with_one_message(
    head: RayHead, tls: dict[str, str], tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger")
    cert, key = stranger.sign("guest", "127.0.0.1", own_address())
    foreign = {**tls, "RAY_TLS_SERVER_CERT": str(cert), "RAY_TLS_SERVER_KEY": str(key),
               "RAY_TLS_CA_CERT": str(stranger.file)}  # fmt: skip
    for variables, why in (({}, "it speaks TLS, and this process does not"), (foreign, "do not trust each other"),
                           ({"RAY_USE_TLS": "1"}, "RAY_TLS_CA_CERT, RAY_TLS_SERVER_CERT")):  # fmt: skip
        began = time.monotonic()
        code, said = _join(head, **variables)
        assert code == 2, said
        assert why in said
        assert "hint: " in said
        assert time.monotonic() - began < 60, "Ray itself takes minutes"


def _jobs(head: RayHead, address: str, **tls: Any) -> RayJobs:
    said = {"kind": "ray", "name": "lab", "address": address, "tracking": "http://127.0.0.1:9", "storage": "/nowhere",
            "auth": {"token": {"file": str(head.token_file)}}, "tls": {k: str(v) for k, v in tls.items()}}  # fmt: skip
    return RayJobs(cluster_from(said, place="lab.yaml"))


def test_the_job_server_behind_https_answers_whoever_names_its_authority(
    head: RayHead, authority: Authority, tls: dict[str, str], tmp_path: Path
) -> None:
    door = https_door(head.address, Path(tls["RAY_TLS_SERVER_CERT"]), Path(tls["RAY_TLS_SERVER_KEY"]))
    with door as address:
        answer = _jobs(head, address, ca=authority.file).must_answer()
        assert answer.startswith("Ray 2.")
        assert "unencrypted" not in answer
        with pytest.raises(ClusterError, match="its certificate is not trusted") as refused:
            _jobs(head, address).must_answer()
        assert "tls: {ca: " in str(refused.value)
        with pytest.raises(ClusterError, match="its certificate is not trusted"):
            _jobs(head, address, ca=Authority(tmp_path, "stranger").file).must_answer()
        with pytest.raises(ConfigError, match=r"tls\.ca: .*does not exist"):
            _jobs(head, address, ca=tmp_path / "none.pem").must_answer()


def test_what_a_job_says_is_followed_through_https_with_a_certificate_of_this_machine(
    head: RayHead, authority: Authority, tls: dict[str, str]
) -> None:
    cert, key = authority.sign("user")
    door = https_door(head.address, Path(tls["RAY_TLS_SERVER_CERT"]), Path(tls["RAY_TLS_SERVER_KEY"]), authority.file)
    with door as address:
        jobs = _jobs(head, address, ca=authority.file, cert=cert, key=key)
        with jobs._asking() as client:
            client.submit_job(entrypoint="echo said over tls", submission_id=TALK.job_id)
        assert "said over tls" in "".join(jobs.follow(TALK))
        assert jobs.job(TALK).state == "succeeded"
        with pytest.raises(ClusterError, match="if it asks for a certificate of this machine"):
            _jobs(head, address, ca=authority.file).must_answer()
        with pytest.raises(ConfigError, match=r"tls\.cert: .*does not exist"):
            _jobs(head, address, ca=authority.file, cert="/none.crt").must_answer()
