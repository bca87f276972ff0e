"""The working tree's road to pods, over a real S3 store and by the code with which each Ray node fetches it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gatesweep.launch.config import cluster_from
from gatesweep.launch.kube.ship import address_of, ship
from gatesweep.launch.kuberay import KubeRayCluster

FETCH = """
import asyncio, sys
from ray._private.runtime_env.packaging import download_and_unpack_package
print(asyncio.run(download_and_unpack_package(sys.argv[1], sys.argv[2])))
"""


@pytest.mark.services
def test_a_tree_that_was_shipped_to_s3_is_unpacked_by_ray_as_it_was(s3: str, tmp_path: Path) -> None:
    archive, cluster = tmp_path / "package.zip", _cluster(s3)
    with zipfile.ZipFile(archive, "w") as package:
        for name in ("jobs/sweep.py", ".submission/sweep.yaml", "platform/gatesweep/__init__.py"):
            package.writestr(name, f"# {name}\n")
    address = address_of(archive, cluster)
    assert address.startswith(f"{s3}/packages/")
    for _ in range(2):  # the second time it is there already
        ship(archive, cluster)
    (tmp_path / "node").mkdir()
    command = [sys.executable, "-c", FETCH, address, str(tmp_path / "node")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    folder = Path(done.stdout.strip().splitlines()[-1])
    unpacked = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert unpacked == {"jobs/sweep.py", ".submission/sweep.yaml", "platform/gatesweep/__init__.py"}
    assert (folder / "jobs" / "sweep.py").read_text() == "# jobs/sweep.py\n"


def _cluster(storage: str) -> KubeRayCluster:
    raw = {"kind": "kuberay", "tracking": "http://mlflow:5000", "storage": storage, "image": "gatesweep:cpu"}
    cluster = cluster_from(raw, place="k.yaml")
    assert isinstance(cluster, KubeRayCluster)
    return cluster
