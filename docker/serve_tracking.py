#!/usr/bin/env python
"""The tracking server's entry point: secrets come as files and reach no command line, no image and no `inspect`.

    gatesweep-tracking             serve MLflow with users; the bucket and the tables are made where they are missing
    gatesweep-tracking upgrade     bring the tables to this version of MLflow (after a backup), and end
    gatesweep-tracking mlflow …    any other command, with the same environment

TRACKING_DATABASE, TRACKING_ARTIFACTS, TRACKING_ADMIN and TRACKING_HOSTS say what it serves (below, with defaults). The
folder TRACKING_SECRETS holds postgres_password, tracking_password and tracking_session_key, and for S3 with keys
aws_access_key_id and aws_secret_access_key. What libraries want in files of their own form goes to a private folder
of /tmp. MLflow's own variables are left alone: who sets those starts `mlflow server` itself.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import MutableMapping
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

DEFAULTS = {
    "TRACKING_DATABASE": "postgresql://gatesweep@postgres:5432/gatesweep",
    "TRACKING_ARTIFACTS": "s3://gatesweep/artifacts",
    "TRACKING_ADMIN": "admin",                  # whose password tracking_password is, when the tables are made
    "TRACKING_HOSTS": "localhost:*,127.0.0.1:*,tracking:*",     # Host headers that are answered
    "TRACKING_SECRETS": "/run/secrets",
    "TRACKING_WORKERS": "1",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}
SETTINGS = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = {admin}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
UPGRADE = "import os; from mlflow.db import commands; commands(['upgrade', os.environ['TRACKING_DATABASE']])"


def main(words: list[str], environment: MutableMapping[str, str]) -> list[str]:
    """Put the secrets where libraries look for them, and return the command that takes this process's place.

    Raises:
        SystemExit: a secret is missing, the address of the database is none, or its tables are of another MLflow.
    """
    os.umask(0o077)
    for name, value in DEFAULTS.items():
        environment.setdefault(name, value)
    own = Path(tempfile.mkdtemp(prefix="tracking-"))
    _database(environment, own)
    _keys(environment, own)
    if words == ["upgrade"]:
        return [sys.executable, "-c", UPGRADE]
    if words:
        return words
    _users(environment, own)
    _schema(environment)
    _bucket(environment)
    return ["mlflow", "server", "--app-name", "basic-auth", "--host", "0.0.0.0", "--port", "5000",
            "--workers", environment["TRACKING_WORKERS"], "--allowed-hosts", environment["TRACKING_HOSTS"],
            "--backend-store-uri", environment["TRACKING_DATABASE"],
            "--artifacts-destination", environment["TRACKING_ARTIFACTS"]]  # fmt: skip


def _secret(environment: MutableMapping[str, str], name: str) -> str:
    file = Path(environment["TRACKING_SECRETS"], name)
    try:
        value = file.read_text(encoding="utf-8").strip("\r\n")
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}\n\nhint: docker/prepare.sh makes the secrets; user {os.getuid()} is to be"
                 " able to read them")  # fmt: skip
    if not value or "\n" in value:
        sys.exit(f"{file}: empty, or more than one line")
    return value


def _database(environment: MutableMapping[str, str], own: Path) -> None:
    """libpq reads the password from a file that nobody else may read, so that the address does without."""
    address = urlsplit(environment["TRACKING_DATABASE"])
    if address.scheme != "postgresql" or not (address.hostname and address.username) or address.password:
        sys.exit("TRACKING_DATABASE: is to be postgresql://USER@HOST:PORT/DATABASE, without a password")
    password = _secret(environment, "postgres_password").replace("\\", r"\\").replace(":", r"\:")
    (own / "pgpass").write_text(f"{address.hostname}:*:*:{address.username}:{password}\n", encoding="utf-8")
    environment["PGPASSFILE"] = str(own / "pgpass")


def _keys(environment: MutableMapping[str, str], own: Path) -> None:
    """Without keys, S3 is asked as whoever this machine is."""
    if not Path(environment["TRACKING_SECRETS"], "aws_access_key_id").exists():
        return
    key, secret = (_secret(environment, name) for name in ("aws_access_key_id", "aws_secret_access_key"))
    text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    (own / "aws").write_text(text, encoding="utf-8")
    environment["AWS_SHARED_CREDENTIALS_FILE"] = str(own / "aws")


def _users(environment: MutableMapping[str, str], own: Path) -> None:
    password = _secret(environment, "tracking_password").replace("%", "%%")  # configparser's escape
    settings = SETTINGS.format(database=environment["TRACKING_DATABASE"].replace("%", "%%"), password=password,
                               admin=environment["TRACKING_ADMIN"])  # fmt: skip
    (own / "users.ini").write_text(settings, encoding="utf-8")
    environment["MLFLOW_AUTH_CONFIG_PATH"] = str(own / "users.ini")
    environment["MLFLOW_FLASK_SERVER_SECRET_KEY"] = _secret(environment, "tracking_session_key")


def _schema(environment: MutableMapping[str, str]) -> None:
    """Tables of another MLflow are refused: it migrates some of them unasked, and then nobody has a backup."""
    import psycopg
    from alembic.script import ScriptDirectory

    package = Path(find_spec("mlflow").origin).parent  # found, and not imported: that takes seconds
    head = ScriptDirectory(str(package / "store/db_migrations")).get_current_head()
    with psycopg.connect(environment["TRACKING_DATABASE"], passfile=environment["PGPASSFILE"]) as database:
        made = database.execute("select to_regclass('alembic_version')").fetchone()
        found = database.execute("select version_num from alembic_version").fetchone() if made and made[0] else None
    if found and found[0] != head:
        sys.exit(f"the tables are of another MLflow: version {found[0]}, not {head}\n\nhint: back the database up, then"
                 " run `gatesweep-tracking upgrade`, once, while no server runs")  # fmt: skip


def _bucket(environment: MutableMapping[str, str]) -> None:
    address = urlsplit(environment["TRACKING_ARTIFACTS"])
    if address.scheme != "s3":
        return
    import boto3
    from botocore.exceptions import ClientError

    store = boto3.client("s3")
    try:
        store.head_bucket(Bucket=address.netloc)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("404", "NoSuchBucket"):
            raise
        store.create_bucket(Bucket=address.netloc)


if __name__ == "__main__":
    command = main(sys.argv[1:], os.environ)
    os.execvpe(command[0], command, os.environ)
