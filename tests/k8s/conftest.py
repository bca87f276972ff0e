"""k8s/ as kubectl renders it. No API server runs here: what one does with these manifests is shown by no test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from k8s_folders import Manifest, Render, objects, schemas


@pytest.fixture(scope="session")
def render() -> Render:
    """The objects of a folder below k8s/."""
    return objects


@pytest.fixture(scope="session")
def crds() -> dict[str, Manifest]:
    """KubeRay's schemas by kind, from the folder that GATESWEEP_CRDS names."""
    folder = os.environ.get("GATESWEEP_CRDS")
    if not folder:
        pytest.skip("GATESWEEP_CRDS names no folder with KubeRay's ray.io_rayjobs.yaml and ray.io_rayclusters.yaml:"
                    " their schemas are not checked")  # fmt: skip
    return dict(schemas(Path(folder)))
