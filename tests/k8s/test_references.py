"""What one object of k8s/ says of another is so: names, ports, hosts, images, secrets, versions."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from k8s_folders import OVERLAYS, Manifest, Render

from gatesweep.config.credentials import has_credentials
from gatesweep.launch.config import load_cluster
from gatesweep.launch.kube.restricted import pods
from gatesweep.launch.kuberay import KubeRayCluster

CREATED = re.compile(r"kubectl [^\n]*create secret (?:generic|tls) ([a-z0-9-]+)((?:[^\n]*\\\n)*[^\n]*)")
KEY = re.compile(r"--from-(?:file|literal)=([\w.-]+)=")
IMAGES = ("gatesweep", "gatesweep-tracking", "postgres")
SOUNDS_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|BACKEND_STORE_URI|ACCESS_KEY")


def created(root: Path) -> dict[str, set[str]]:
    """The secrets that the guide makes, and their keys where it names them one by one."""
    text = (root / "docs" / "kubernetes.md").read_text()
    return {name: set(KEY.findall(words)) for name, words in CREATED.findall(text)}


def by_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in manifests if each["kind"] == kind}


def templates(manifests: list[Manifest]) -> Iterator[dict[str, str]]:
    """The labels of every pod."""
    for manifest in manifests:
        spec = manifest.get("spec") or {}
        if manifest["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield spec["template"]["metadata"]["labels"]
        rays = spec.get("rayClusterSpec") or spec
        for group in [rays.get("headGroupSpec"), *rays.get("workerGroupSpecs", ())]:
            if group:
                yield group["template"]["metadata"]["labels"]
        if "submitterPodTemplate" in spec:
            yield spec["submitterPodTemplate"]["metadata"]["labels"]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    plain = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    rest = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in rest)
    return plain and all(labels.get(each["key"]) in each["values"] for each in rest)


def found(value: Any, key: str) -> Iterator[Any]:
    """Every value under a key, however deep."""
    if isinstance(value, dict):
        for name, below in value.items():
            if name == key:
                yield below
            yield from found(below, key)
    elif isinstance(value, list):
        for each in value:
            yield from found(each, key)


def everything(render: Render, folder: str) -> list[Manifest]:
    """An overlay with a sweep's RayJob and the migration, which come into the same namespace."""
    return [*render(folder), *render("rayjob"), *render("upgrade")]


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_secret_and_every_key_of_one_is_made_by_the_guide(render: Render, folder: str, root: Path) -> None:
    known, manifests = created(root), everything(render, folder)
    asked = [(each["name"], {each["key"]}) for each in found(manifests, "secretKeyRef")]
    asked += [(each["name"], set()) for each in found(manifests, "secretRef")]
    asked += [(each["secretName"], {item["key"] for item in each.get("items", ())})
              for each in found(manifests, "secret")]  # fmt: skip
    asked += [(name, set()) for name in found(manifests, "secretName")]
    assert asked
    for name, keys in asked:
        assert name in known, f"docs/kubernetes.md does not make the secret {name}"
        assert keys <= known[name], (name, keys)


@pytest.mark.parametrize("folder", OVERLAYS)
def test_no_secret_is_rendered_and_what_sounds_like_one_is_a_reference(render: Render, folder: str) -> None:
    manifests = everything(render, folder)
    assert by_kind(manifests, "Secret") == {}
    for variable in (each for group in found(manifests, "env") for each in group):
        if SOUNDS_SECRET.search(variable["name"]):
            assert "valueFrom" in variable or variable["value"].startswith("/run/secrets/"), variable["name"]
    for data in by_kind(manifests, "ConfigMap").values():
        assert not any(SOUNDS_SECRET.search(key) or has_credentials(value) for key, value in data["data"].items())


@pytest.mark.parametrize("folder", OVERLAYS)
def test_config_maps_accounts_and_the_namespace_are_there(render: Render, folder: str) -> None:
    manifests = everything(render, folder)
    maps, accounts = by_kind(manifests, "ConfigMap"), by_kind(manifests, "ServiceAccount")
    assert {each["name"] for each in found(manifests, "configMapRef")} <= set(maps)
    assert set(found(manifests, "serviceAccountName")) <= set(accounts)
    (namespace,) = by_kind(manifests, "Namespace")
    assert {each["metadata"].get("namespace", namespace) for each in manifests} == {namespace}
    assert all(account["automountServiceAccountToken"] is False for account in accounts.values())
    for where, pod in (each for manifest in manifests for each in pods(manifest)):
        assert pod["automountServiceAccountToken"] is (where == "headGroupSpec"), where


@pytest.mark.parametrize("folder", OVERLAYS)
def test_services_ingresses_policies_and_budgets_find_their_pods(render: Render, folder: str) -> None:
    manifests = everything(render, folder)
    labels, services = list(templates(manifests)), by_kind(manifests, "Service")
    named = {port["name"] for group in found(manifests, "ports") for port in group if "containerPort" in port}
    for service in services.values():
        assert any(matches({"matchLabels": service["spec"]["selector"]}, each) for each in labels)
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    for backend in found(by_kind(manifests, "Ingress"), "backend"):
        ports = services[backend["service"]["name"]]["spec"]["ports"]
        assert backend["service"]["port"]["name"] in {port["name"] for port in ports}
    selectors = [each["spec"]["selector"] for each in by_kind(manifests, "PodDisruptionBudget").values()]
    selectors += list(found(by_kind(manifests, "NetworkPolicy"), "podSelector"))
    for selector in selectors:
        assert any(matches(selector, each) for each in labels), selector


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_pod_may_be_reached_on_the_ports_that_it_serves(render: Render, folder: str) -> None:
    manifests = everything(render, folder)
    policies = by_kind(manifests, "NetworkPolicy").values()
    assert any(policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for policy in policies)
    for kind in ("Deployment", "StatefulSet"):
        for workload in by_kind(manifests, kind).values():
            labels = workload["spec"]["template"]["metadata"]["labels"]
            open_ = {port["port"] for policy in policies if matches(policy["spec"]["podSelector"], labels)
                     for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]}  # fmt: skip
            served = {port["containerPort"] for container in workload["spec"]["template"]["spec"]["containers"]
                      for port in container["ports"]}  # fmt: skip
            assert served == open_, workload["metadata"]["name"]


@pytest.mark.parametrize("folder", OVERLAYS)
def test_mlflow_allows_every_host_by_which_somebody_comes(render: Render, folder: str, root: Path) -> None:
    manifests = render(folder)
    maps = by_kind(manifests, "ConfigMap")
    allowed = set(maps["gatesweep-mlflow"]["data"]["MLFLOW_SERVER_ALLOWED_HOSTS"].split(","))
    hosts = set(found(by_kind(manifests, "Ingress"), "host"))
    assert hosts
    cluster = load_cluster(root / "configs" / "clusters" / "kuberay.yaml")
    for address in (maps["gatesweep-ray"]["data"]["MLFLOW_TRACKING_URI"], str(cluster.tracking)):
        hosts.add(urlsplit(address).netloc)
    assert hosts <= allowed
    assert {host for hosts_ in found(by_kind(manifests, "Ingress"), "hosts") for host in hosts_} <= allowed


@pytest.mark.parametrize("folder", OVERLAYS)
def test_images_are_ours_with_a_tag_and_on_gpu_nodes_those_for_gpus(render: Render, folder: str) -> None:
    images = set(found(render(folder), "image"))
    for image in images:
        name, _, tag = image.rpartition("/")[2].partition(":")
        assert name in IMAGES
        assert tag not in ("", "latest")
    ours = {image.rpartition(":")[2] for image in images if image.rpartition("/")[2].startswith("gatesweep:")}
    assert ours == {"gpu" if folder == "overlays/gpu" else "cpu"}


@pytest.mark.parametrize("folder", [*OVERLAYS, "rayjob"])
def test_ray_is_the_locks(render: Render, folder: str, root: Path) -> None:
    lock = re.search(r"^ray==(.+)$", (root / "constraints.txt").read_text(), re.MULTILINE)
    assert lock
    assert set(found(render(folder), "rayVersion")) == {lock[1]}


def test_the_cluster_file_names_what_the_base_has(render: Render, root: Path) -> None:
    cluster = load_cluster(root / "configs" / "clusters" / "kuberay.yaml")
    assert isinstance(cluster, KubeRayCluster)
    manifests = render("overlays/cpu")
    assert {cluster.namespace} == set(by_kind(manifests, "Namespace"))
    assert {cluster.head_account, cluster.service_account} <= set(by_kind(manifests, "ServiceAccount"))
    assert set(cluster.env_from) <= set(created(root))
    quota = by_kind(manifests, "ResourceQuota")["gatesweep"]["spec"]["hard"]
    assert cluster.head.cpus + sum(group.cpus * group.max_replicas for group in cluster.workers) <= int(
        quota["limits.cpu"])  # fmt: skip


def test_submitting_takes_no_right_that_the_role_does_not_give(render: Render) -> None:
    role = by_kind(render("overlays/cpu"), "Role")["gatesweep-submitter"]
    given = {(resource, verb) for rule in role["rules"] for resource in rule["resources"] for verb in rule["verbs"]}
    assert given == {("rayjobs", "create"), ("rayjobs", "get"), ("rayjobs", "list"), ("rayjobs", "delete"),
                     ("pods", "list"), ("pods/log", "get")}  # fmt: skip
