"""`gatesweep ui`: MLflow's pages on the local store, on this machine alone."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gatesweep.config.places import home
from gatesweep.errors import StoreError, UserError
from gatesweep.track import sqlite, vendor
from gatesweep.track.addresses import experiment_address


def ui(
    port: Annotated[int, typer.Option(help="where to listen, e.g. 5000", min=1, max=65535)] = 5000,
    host: Annotated[str, typer.Option(help="the interface, e.g. 127.0.0.1: this machine alone")] = "127.0.0.1",
) -> None:
    """Show the runs in MLflow's pages. Ctrl-C ends it."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or sqlite.address(home() / "mlflow.db")
    if vendor.is_server(uri):
        typer.echo(f"the runs are on a server already: {vendor.public(uri)}")
        return
    _must_exist(uri)
    _must_be_free(host, port)
    typer.echo(f"http://{host}:{port}   (up in about 10 s; Ctrl-C ends it)")
    for experiment_id, name in _experiments(uri):
        typer.echo(f"  {name}: {experiment_address(experiment_id, f'http://{host}:{port}')}")
    sys.stdout.flush()
    code = _serve(server_command(uri, home() / "artifacts", host, port), server_environment())
    if code:
        raise typer.Exit(1)


def _serve(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run the server until it ends, or until Ctrl-C or SIGTERM: that is its normal end, and 0.

    It has a session of its own, because it answers the terminal's Ctrl-C with a traceback, and SIGTERM with silence.
    """
    server = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_die_with_parent)
    try:
        return server.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        _end(server)


def _die_with_parent() -> None:
    """SIGTERM for the server when this process dies of something that it cannot catch."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _end(server: subprocess.Popen[bytes]) -> None:
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def server_command(uri: str, artifacts: Path, host: str, port: int) -> list[str]:
    """The light `mlflow server`: one worker, artifacts read from where the runs put them."""
    return [*vendor.python(), "-m", "mlflow", "server", "--backend-store-uri", uri, "--registry-store-uri", uri,
            "--host", host, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning",
            "--default-artifact-root", artifacts.absolute().as_uri(), "--no-serve-artifacts"]


def server_environment() -> dict[str, str]:
    """Without telemetry, its libraries' notes to one another, and the job runner, which triples the time to come up."""
    vendor.quiet()
    return {"PYTHONWARNINGS": "ignore", **os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def _must_exist(uri: str) -> None:
    file = sqlite.file_of(uri)
    if file is not None and not file.exists():
        raise StoreError("no runs yet", place=str(file),
                         hint="gatesweep run configs/experiments/traffic.yaml, or set GATESWEEP_HOME to where they are")
    if file is not None:
        sqlite.examine(file, whole=False)


def _experiments(uri: str) -> list[tuple[str, str]]:
    """Those with the newest runs: MLflow's first page leads elsewhere."""
    file = sqlite.file_of(uri)
    return sqlite.experiments(file, limit=5) if file is not None else []


def _must_be_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            hint = (f"end what holds it, or take another: gatesweep ui --port {port + 1}" if taken else
                    "take an address of this machine and a port above 1023: gatesweep ui --host 127.0.0.1 --port 5000")
            raise UserError(f"cannot listen on {host}:{port}: {error.strerror}", hint=hint) from None
