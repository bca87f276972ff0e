"""A database of an older MLflow: refused by the tracking image's entry point until somebody has it migrated."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tracking_server import Postgres

pytestmark = [pytest.mark.services, pytest.mark.timeout(420)]

YOUNGER = 12
"""So many migrations has this MLflow made since."""
MADE_BY_AN_OLDER_ONE = """
import sys
import sqlalchemy
from alembic import command
from alembic.script import ScriptDirectory
from mlflow.store.db.utils import _get_alembic_config
from mlflow.store.tracking.dbmodels.initial_models import Base

config = _get_alembic_config(sys.argv[1])
engine = sqlalchemy.create_engine(sys.argv[1])
Base.metadata.create_all(engine)
revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
with engine.begin() as connection:
    config.attributes["connection"] = connection
    command.upgrade(config, revisions[int(sys.argv[2])])
print(revisions[int(sys.argv[2])], revisions[0])
"""
EXPERIMENT = """insert into experiments (experiment_id, name, lifecycle_stage, creation_time, last_update_time)
                values (7, 'of-before', 'active', 1, 1)"""


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="gatesweep-postgres-") as scratch:
        Path(scratch).chmod(0o755)
        made = Postgres(Path(scratch) / "data")
        made.make()
        made.start()
        try:
            made.create("mlflow")
            yield made
        finally:
            made.stop()


def test_older_tables_are_refused_until_they_are_migrated_and_then_hold_what_they_held(
        postgres: Postgres, root: Path, tmp_path: Path) -> None:
    address = postgres.address("mlflow")
    made = subprocess.run([sys.executable, "-c", MADE_BY_AN_OLDER_ONE, address, str(YOUNGER)], check=True,
                          capture_output=True, text=True, timeout=200)  # fmt: skip
    old, head = made.stdout.split()
    assert _version(postgres) == old
    postgres.run("psql", *postgres.connection, "-q", "-c", EXPERIMENT, "mlflow")

    for name, value in {"postgres_password": postgres.password, "tracking_password": "p" * 12,
                        "tracking_session_key": "k"}.items():
        (tmp_path / name).write_text(value)
    environment = {**os.environ, "TRACKING_DATABASE": address.replace(f":{postgres.password}@", "@"),
                   "TRACKING_SECRETS": str(tmp_path), "TRACKING_ARTIFACTS": str(tmp_path / "artifacts"),
                   "TMPDIR": str(tmp_path)}  # fmt: skip

    def entry(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "docker/serve_tracking.py", *words], cwd=root, env=environment,
                              capture_output=True, text=True, timeout=200, check=False)  # fmt: skip

    refused = entry()
    assert refused.returncode == 1
    assert f"the tables are of another MLflow: version {old}, not {head}" in refused.stderr
    assert "gatesweep-tracking upgrade" in refused.stderr
    assert _version(postgres) == old
    migrated = entry("upgrade")
    assert migrated.returncode == 0, migrated.stderr
    assert postgres.password not in migrated.stdout + migrated.stderr + refused.stderr
    assert _version(postgres) == head
    assert _ask(postgres, "select name from experiments where experiment_id = 7") == "of-before"


def _version(postgres: Postgres) -> str:
    return _ask(postgres, "select version_num from alembic_version")


def _ask(postgres: Postgres, question: str) -> str:
    return postgres.output("psql", *postgres.connection, "-tAc", question, "mlflow").strip()
