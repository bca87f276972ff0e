"""Every folder of k8s/ renders, and every object in it is one that Kubernetes and KubeRay know, field by field."""

from __future__ import annotations

import kubernetes_validate
import pytest
from k8s_folders import FOLDERS, Manifest, Render
from structural import problems

from gatesweep.launch.kube import restricted
from gatesweep.launch.kube.rules import complaints

RAY = ("RayCluster", "RayJob")
OLDEST, NEWEST = "1.29", kubernetes_validate.latest_version()


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("folder", FOLDERS)
def test_every_object_of_kubernetes_own_kinds_is_strictly_valid(render: Render, folder: str, version: str) -> None:
    own = [each for each in render(folder) if each["kind"] not in RAY]
    for manifest in own:
        kubernetes_validate.validate(manifest, version, strict=True)
    assert own or folder == "rayjob"


@pytest.mark.parametrize("folder", [each for each in FOLDERS if each != "upgrade"])
def test_every_ray_object_is_valid_by_kuberays_schema_after_its_defaults(
    render: Render, folder: str, crds: dict[str, Manifest]
) -> None:
    found = [each for each in render(folder) if each["kind"] in RAY]
    assert found
    for manifest in found:
        assert problems(crds[manifest["kind"]], manifest) == []


def test_the_schemas_refuse_an_unknown_field_and_a_wrong_type(render: Render, crds: dict[str, Manifest]) -> None:
    cluster = next(each for each in render("overlays/cpu") if each["kind"] == "RayCluster")
    cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["securityContex"] = {}
    cluster["spec"]["workerGroupSpecs"][0]["maxReplicas"] = "four"
    said = "\n".join(problems(crds["RayCluster"], cluster))
    assert "'securityContex' was unexpected" in said
    assert "'four' is not of type 'integer'" in said


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_breaks_what_the_operator_and_a_restricted_namespace_demand(render: Render, folder: str) -> None:
    for manifest in render(folder):
        broken = complaints(manifest) if manifest["kind"] in RAY else restricted.broken(manifest)
        assert [str(each) for each in broken] == []
