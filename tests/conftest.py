"""What every test shares: the repository's root, one thread each, and nothing of the user's own surroundings."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]

# Before torch, Ray and MLflow are imported: one thread (the same numbers everywhere, and two workers do not fight),
# no telemetry, no display; Triton's kernels by its interpreter, for there may be no GPU.
os.environ.update({
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "TRITON_INTERPRET": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "true",
    "COLUMNS": "120",
})
# A tracking server, a cluster or a home folder of the user's must not reach a test, nor a test them.
for _name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_RUN_ID", "RAY_ADDRESS", "GATESWEEP_HOME",
              "GATESWEEP_ROOT", "FORCE_COLOR", "KUBERNETES_SERVICE_HOST"):
    os.environ.pop(_name, None)

os.environ["KUBECONFIG"] = os.devnull  # nor a Kubernetes of the user's

SUPPORT = str(ROOT / "tests" / "support")  # fakes and a toy task, importable here and in processes that tests start
sys.path.insert(0, SUPPORT)
os.environ["PYTHONPATH"] = os.pathsep.join([SUPPORT, *filter(None, [os.environ.get("PYTHONPATH")])])

pytest_plugins = ["chromium_pages", "object_store"]  # fixtures `chromium`, `page`, `offline_page`; `object_store`, `s3`

# A property is drawn the same way every time, and a busy machine is no failure: pytest-timeout guards against a hang.
settings.register_profile("gatesweep", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("gatesweep")


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of this test's own, which commands started by it use too."""
    folder = tmp_path / "home"
    monkeypatch.setenv("GATESWEEP_HOME", str(folder))
    return folder


@pytest.fixture(scope="session", autouse=True)
def _one_migration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow's migrations run once a process, 3 s of work: the next fresh database is a copy of the first."""
    from gatesweep.track import sqlite

    first, made = tmp_path_factory.mktemp("migrated") / "mlflow.db", sqlite._create

    def create(path: Path, artifacts: Path) -> None:
        if not first.is_file():
            made(path, artifacts)
            shutil.copyfile(path, first)
            first.with_suffix(".uri").write_text(artifacts.as_uri())
            return
        shutil.copyfile(first, path)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)",
                             (first.with_suffix(".uri").read_text(), artifacts.as_uri()))

    create.__wrapped__ = made  # type: ignore[attr-defined]  # for tests of the making itself
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite, "_create", create)
        yield
