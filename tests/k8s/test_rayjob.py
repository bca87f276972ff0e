"""What is wrong with a cluster's file or a RayJob is refused before anything is applied, each with one message."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import COMMAND, call, write_project
from k8s_folders import Manifest, Render
from structural import problems

from gatesweep.errors import EXIT_USER, ConfigError
from gatesweep.launch.config import cluster_from, load_cluster
from gatesweep.launch.kube.manifest import as_yaml, rayjob
from gatesweep.launch.kube.rules import complaints, refuse
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.runner import Order

ID = "traffic-20261123-ab12cd"
WORDS = ("configs/sweeps/traffic.yaml", "--id", ID, "--cluster", "configs/clusters/kuberay.yaml")
TREE = "s3://sweeps/gatesweep/packages/tree.zip"
PLAIN = {"kind": "kuberay", "name": "k", "tracking": "http://mlflow:5000", "storage": "s3://b/s", "image": "x:1"}


def kube(**changes: Any) -> KubeRayCluster:
    cluster = cluster_from({**PLAIN, **changes}, place="k.yaml")
    assert isinstance(cluster, KubeRayCluster)
    return cluster


def job(**changes: Any) -> Manifest:
    return rayjob(kube(**changes), Order(ID, 1, f"{ID}-a1", WORDS), TREE)


EVERYTHING = {
    "redis": {"address": "redis:6379", "password": {"secret_name": "r"}}, "ray_token_name": "t", "deletion_rules": True,
    "volumes": {"/mnt/shared": "claim"}, "storage": "/mnt/shared/s", "secret_volumes": {"/run/secrets": "aws"},
    "secrets": {"KEY": {"file": "/run/secrets/key"}}, "pull_secrets": ["registry"], "head_account": "h",
    "cache": {"storage_class": "fast"}, "resources": {"driver": {"cpus": 1, "custom": {"driver": 1}}},
    "workers": [{"name": "spot", "gpus": 1, "node_selector": {"spot": "true"},
                 "tolerations": [{"key": "spot", "value": "true", "effect": "NoSchedule"}]}],
}  # fmt: skip
VARIANTS = [{}, {"queue": "research", "autoscale": False}, EVERYTHING]


@pytest.mark.parametrize("changes", VARIANTS, ids=["least", "queued", "everything"])
def test_what_a_cluster_file_makes_is_valid_by_schema_and_rules(changes: Any, crds: dict[str, Manifest]) -> None:
    made = job(**changes)
    assert [str(each) for each in complaints(made)] == []
    assert problems(crds["RayJob"], made) == []
    assert yaml.safe_load(as_yaml(made)) == made


def test_the_template_in_k8s_is_what_the_cluster_file_beside_it_makes(render: Render, root: Path) -> None:
    cluster = load_cluster(root / "configs" / "clusters" / "kuberay.yaml")
    assert isinstance(cluster, KubeRayCluster)
    assert render("rayjob") == [rayjob(cluster, Order(ID, 1, f"{ID}-a1", WORDS), TREE)]


def test_gpu_and_spot_groups_ask_for_their_nodes_and_the_head_takes_no_trials() -> None:
    spec = job(**EVERYTHING)["spec"]["rayClusterSpec"]
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    pod = spec["workerGroupSpecs"][0]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {each["key"] for each in pod["tolerations"]} == {"spot", "nvidia.com/gpu"}
    assert pod["nodeSelector"] == {"spot": "true"}
    assert pod["automountServiceAccountToken"] is False


def test_a_queued_job_waits_suspended_with_a_fixed_number_of_pods() -> None:
    made = job(queue="research", autoscale=False)
    assert made["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert made["spec"]["suspend"] is True
    group = made["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert (group["minReplicas"], group["replicas"], group["maxReplicas"]) == (1, 1, 1)


WRONG_FILES = [
    ({"queue": "research"}, "queue: Kueue admits a fixed number of pods", "autoscale: false"),
    ({"storage": "/mnt/shared"}, "storage: no volume is mounted at '/mnt/shared'", "volumes:"),
    ({"node": {"folder": "/var/tmp"}}, "node.folder: pods cannot write '/var/tmp'", "/var/lib/gatesweep"),
    ({"secrets": {"K": {"file": "/run/secrets/k"}}}, "secrets.K: no secret is mounted", "secret_volumes:"),
    ({"secrets": {"K": {"env": "K"}}}, "secrets.K: no secret gives the pods the variable K", "env_from:"),
    ({"image": "gatesweep"}, "image:", ""),
    ({"workers": []}, "workers: there is none", "workers: [{name: cpu}]"),
    ({"workers": [{"name": "w", "replicas": 9}]}, "replicas: 9 does not lie within 0 and 4", "max_replicas"),
    ({"head": {"memory": "4 GB"}}, "head.memory:", ""),
    ({"retries": -1}, "retries:", ""),
]


@pytest.mark.parametrize(("changes", "message", "hint"), WRONG_FILES, ids=lambda each: str(each)[:40])
def test_a_wrong_cluster_file_is_refused_with_the_key_and_the_way_out(changes: Any, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        kube(**changes)
    assert message in str(refused.value)
    assert str(refused.value).startswith("k.yaml: ")
    assert hint in str(refused.value)


def _set(*path: Any, to: Any) -> Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        manifest[path[-1]] = to

    return change


CLUSTER = ("spec", "rayClusterSpec")
HEAD = (*CLUSTER, "headGroupSpec", "template", "spec")
WORKER = (*CLUSTER, "workerGroupSpecs", 0, "template", "spec")
RULES = [{"policy": "DeleteCluster", "condition": {"jobStatus": "FAILED", "ttlSeconds": 9}},
         {"policy": "DeleteSelf", "condition": {"jobStatus": "FAILED", "ttlSeconds": 1}}]  # fmt: skip
WRONG_JOBS = [
    ([_set("metadata", "name", to="a" * 48)], "has 48 characters, and the operator takes 47"),
    ([_set("metadata", "name", to="7days")], "'7days' is no name of Kubernetes"),
    ([_set("spec", "suspend", to=True), _set("spec", "shutdownAfterJobFinishes", to=False),
      _set("spec", "ttlSecondsAfterFinished", to=0)], "spec.suspend: needs shutdownAfterJobFinishes"),
    ([_set("spec", "clusterSelector", to={"ray.io/cluster": "c"})], "spec.backoffLimit: is not for a job on a cluster"),
    ([_set("spec", "rayClusterSpec", to=None)], "spec: names no cluster to run on"),
    ([_set("spec", "activeDeadlineSeconds", to=0)], "spec.activeDeadlineSeconds: 0 is no time"),
    ([_set("spec", "backoffLimit", to=-1)], "spec.backoffLimit: -1 is below 0"),
    ([_set("spec", "submissionMode", to="InteractiveMode")], "InteractiveMode takes no retries"),
    ([_set("spec", "deletionStrategy", to={"deletionRules": RULES[:1]})], "exclude each other"),
    ([_set("spec", "deletionStrategy", to={"deletionRules": RULES}), _set("spec", "ttlSecondsAfterFinished", to=0),
      _set("spec", "shutdownAfterJobFinishes", to=False)], "after FAILED, what is larger goes first"),
    ([_set("spec", "runtimeEnvYAML", to="working_dir: .")], "working_dir: '.' is no address that pods reach"),
    ([_set("spec", "runtimeEnvYAML", to="a: [")], "spec.runtimeEnvYAML: is no mapping in YAML"),
    ([_set(*CLUSTER, "authOptions", to={})], "authOptions: whoever reaches the head may run anything"),
    ([_set(*CLUSTER, "rayVersion", to="2.9.0")], "rayVersion: '2.9.0' knows no tokens"),
    ([_set(*HEAD, "containers", 0, "env", to=[{"name": "REDIS_PASSWORD", "value": "x"}])], "REDIS_PASSWORD: is set by"),
    ([_set(*WORKER, "restartPolicy", to="Always")], "workers: the autoscaler replaces pods itself"),
    ([_set(*CLUSTER, "workerGroupSpecs", 0, "replicas", to=9)], "workers: replicas: 9 does not lie within 0 and 4"),
    ([_set("metadata", "labels", to={"kueue.x-k8s.io/queue-name": "q"})], "Kueue admits a fixed number of pods"),
    ([_set(*WORKER, "securityContext", to={})], "workers: may run as root"),
    ([_set(*WORKER, "volumes", to=[{"name": "v", "hostPath": {"path": "/"}}])], "hostPath reaches the node's files"),
    ([_set(*HEAD, "containers", 0, "securityContext", "readOnlyRootFilesystem", to=False)], "may change its image's"),
    ([_set(*HEAD, "hostNetwork", to=True)], "headGroupSpec: hostNetwork shows it its node"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG_JOBS, ids=[message[:40] for _, message in WRONG_JOBS])
def test_a_deliberately_wrong_rayjob_is_refused_with_a_message(changes: Any, message: str) -> None:
    made = yaml.safe_load(as_yaml(job()))
    refuse(made, "k.yaml")
    for change in changes:
        change(made)
    with pytest.raises(ConfigError) as refused:
        refuse(made, "k.yaml")
    assert message in str(refused.value)
    assert refused.value.place == "k.yaml"
    assert refused.value.hint


def test_a_word_that_a_second_shell_would_read_otherwise_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be handed to a job on Kubernetes"):
        rayjob(kube(), Order(ID, 2, f"{ID}-a2", (*WORDS, "--set", "budget.trials=$(rm)")), TREE)


SECRET = "hunter2-hunter2-hunter2"


def test_a_planted_secret_stands_in_no_manifest_and_stops_a_tree_that_holds_it(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(write_project(tmp_path, kube=yaml.safe_dump({
        **PLAIN, "env_from": ["gatesweep-s3"], "secrets": {"TEAM_KEY": {"env": "TEAM_KEY"}}})))  # fmt: skip
    monkeypatch.setenv("TEAM_KEY", SECRET)
    command = ("submit", "sweep.yaml", "--cluster", "kube.yaml", "--dry-run", "--id", "toy-1", "--json")
    code, out, err = call(capsys, monkeypatch, *command)
    assert code == 0, err
    assert SECRET not in out + err
    pods = json.loads(out)["manifest"]["spec"]["rayClusterSpec"]
    assert pods["headGroupSpec"]["template"]["spec"]["containers"][0]["envFrom"] == [
        {"secretRef": {"name": "gatesweep-s3"}}]  # fmt: skip
    (tmp_path / "notes.py").write_text(f"KEY = '{SECRET}'\n")
    code, out, err = call(capsys, monkeypatch, *command)
    assert (code, out) == (EXIT_USER, "")
    assert "notes.py: holds the secret that `TEAM_KEY` refers to" in err
    assert SECRET not in err


def test_a_dry_run_needs_no_client_of_kubernetes_and_no_server(tmp_path: Path, own_home: Path) -> None:
    write_project(tmp_path, kube=yaml.safe_dump(PLAIN))
    (tmp_path / "kubernetes.py").write_text("raise ModuleNotFoundError('kubernetes')\n")
    words = ["submit", "sweep.yaml", "--cluster", "kube.yaml", "--dry-run", "--id", "toy-1"]
    path = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    done = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}, timeout=120)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["metadata"]["name"] == "toy-1-a1"
    assert "package: " in done.stderr
