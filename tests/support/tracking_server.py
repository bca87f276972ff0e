"""A real MLflow server as a team runs it: PostgreSQL, artifacts on S3 served by proxy, users with passwords.

PostgreSQL refuses to run as root, so root runs it as the system's user `postgres`, which its package makes.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from object_store import ObjectStore
from ray_heads import free_ports

START_S = 120.0
ADMIN = "keeper"


@dataclass
class Postgres:
    """One cluster of databases, reached with a password over TCP."""

    folder: Path
    port: int = field(default_factory=lambda: free_ports(1)[0])
    user: str = "gatesweep"
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def programs(self) -> Path:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        if not found:
            raise RuntimeError("no PostgreSQL server: apt-get install postgresql")
        return found[-1]

    def address(self, database: str) -> str:
        return f"postgresql://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def make(self) -> None:
        """An empty cluster with its user."""
        self.folder.mkdir(parents=True)
        secret = self.folder.parent / "postgres-password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            for path in (self.folder, secret):
                os.chown(path, account.pw_uid, account.pw_gid)
        self.run("initdb", "-D", str(self.folder), "-U", self.user, f"--pwfile={secret}", "-A", "scram-sha-256",
                 "-E", "UTF8", "--locale=C")
        secret.unlink()

    def start(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder), "-w", "-t", "60", "-l", str(self.folder / "server.log"), "-o",
                 f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}", "start")

    def stop(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder), "-m", "immediate", "-w", "stop")

    def create(self, *databases: str) -> None:
        for name in databases:
            self.run("createdb", *self.connection, name)

    def drop(self, *databases: str) -> None:
        for name in databases:
            self.run("dropdb", *self.connection, "--force", name)

    @property
    def connection(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", self.user)

    def run(self, program: str, *words: str, given: str | None = None) -> None:
        """A program of PostgreSQL's, as whoever may run it; `given` goes to its standard input."""
        self._ended(program, words, given, keep=program != "pg_ctl")  # a server that it started would hold the pipes

    def output(self, program: str, *words: str) -> str:
        """What it prints."""
        return self._ended(program, words, None, keep=True)

    def _ended(self, program: str, words: Sequence[str], given: str | None, *, keep: bool) -> str:
        command: Sequence[str] = [str(self.programs / program), *words]
        if os.geteuid() == 0:
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        pipe = subprocess.PIPE if keep else None
        done = subprocess.run(command, stdout=pipe, stderr=pipe, text=True, cwd="/", timeout=120, check=False,
                              input=given, env={**os.environ, "PGPASSWORD": self.password})  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}")
        return str(done.stdout)


@dataclass
class TrackingServer:
    """`mlflow server --app-name basic-auth`; the S3 keys are in its own environment and in no client's."""

    folder: Path
    postgres: Postgres
    objects: ObjectStore
    password: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    port: int = field(default_factory=lambda: free_ports(1)[0])
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def login(self) -> dict[str, str]:
        """What a client needs: an address, a user, a password."""
        return {"MLFLOW_TRACKING_URI": self.uri, "MLFLOW_TRACKING_USERNAME": ADMIN,
                "MLFLOW_TRACKING_PASSWORD": self.password}  # fmt: skip

    def start(self) -> None:
        settings = self.folder / "auth.ini"
        settings.write_text("[mlflow]\ndefault_permission = READ\n"
                            f"database_uri = {self.postgres.address('auth')}\nadmin_username = {ADMIN}\n"
                            f"admin_password = {self.password}\n"
                            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n")
        settings.chmod(0o600)
        environment = {**os.environ, **self.objects.environment, "MLFLOW_S3_ENDPOINT_URL": self.objects.endpoint,
                       "MLFLOW_AUTH_CONFIG_PATH": str(settings), "MLFLOW_FLASK_SERVER_SECRET_KEY": self.password,
                       "MLFLOW_BACKEND_STORE_URI": self.postgres.address("mlflow"),
                       "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}  # fmt: skip
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", "--workers", "1", "--host",
                   "127.0.0.1", "--port", str(self.port), "--artifacts-destination",
                   f"s3://{self.objects.bucket}/artifacts"]  # fmt: skip
        with (self.folder / "mlflow.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        ends = time.monotonic() + START_S
        while time.monotonic() < ends and self.process.poll() is None:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return
            time.sleep(0.2)
        raise RuntimeError(f"MLflow did not start:\n{(self.folder / 'mlflow.log').read_text()[-4000:]}")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            command = psutil.Process(self.process.pid)
            for one in [*command.children(recursive=True), command]:
                one.kill()
            self.process.wait()


@contextlib.contextmanager
def serve(folder: Path, objects: ObjectStore) -> Iterator[TrackingServer]:
    """All of it, from nothing; gone at the end. PostgreSQL's user could not look into a folder of pytest's."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="gatesweep-postgres-") as scratch:
        Path(scratch).chmod(0o755)
        postgres = Postgres(Path(scratch) / "data")
        postgres.make()
        postgres.start()
        server = TrackingServer(folder, postgres, objects)
        try:
            postgres.create("mlflow", "auth")
            server.start()
            yield server
        finally:
            server.stop()
            postgres.stop()
