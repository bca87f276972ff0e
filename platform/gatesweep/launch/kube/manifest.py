"""A sweep's RayJob: pods of its own, an entry point that resumes whatever is there, an end to everything.

Each attempt has a RayJob of its own name, so that two of one number cannot both be sent; a retry of the operator is the
same RayJob on new pods.
"""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import version
from typing import Any

import yaml

from gatesweep.errors import ConfigError
from gatesweep.launch.jobs import runtime_variables
from gatesweep.launch.kube.pods import CONTAINER_SECURITY, labels, ray_pod, submitter_pod
from gatesweep.launch.kuberay import KubeRayCluster, Redis, WorkerGroup
from gatesweep.launch.runner import Order

GROUP, VERSION, PLURAL = "ray.io", "v1", "rayjobs"
SWEEP = "gatesweep/sweep"
"""The label by which attempts of a sweep are found."""
QUEUE = "kueue.x-k8s.io/queue-name"
TWICE_READ = re.compile(r"[\w@%+=:,./-]+", re.ASCII)


def rayjob(cluster: KubeRayCluster, order: Order, package: str) -> dict[str, Any]:
    """The manifest of one attempt.

    Args:
        package: the address of the packed working tree, as the pods reach it: s3://… or file://….

    Raises:
        ConfigError: a word of the entry point would not survive the shells that it passes through.
    """
    names = {**labels("job"), "app.kubernetes.io/managed-by": "gatesweep", SWEEP: order.sweep_id}
    queued = {QUEUE: cluster.queue} if cluster.queue else {}
    driver = cluster.resources.driver
    spec: dict[str, Any] = {
        "entrypoint": _entry_point(order),
        "runtimeEnvYAML": yaml.safe_dump({"working_dir": package, "env_vars": runtime_variables(cluster)}),
        "metadata": {"sweep_id": order.sweep_id, "job_name": order.job_id},
        "submissionMode": "K8sJobMode",
        "submitterPodTemplate": submitter_pod(cluster),
        "submitterConfig": {"backoffLimit": 2},
        "backoffLimit": cluster.retries,
        **_ends(cluster),
        "rayClusterSpec": ray_cluster(cluster),
    }
    if cluster.deadline_hours is not None:
        spec["activeDeadlineSeconds"] = round(cluster.deadline_hours * 3600)
    if driver.cpus:
        spec["entrypointNumCpus"] = driver.cpus
    if driver.custom:
        spec["entrypointResources"] = json.dumps(dict(driver.custom))
    if queued:
        spec["suspend"] = True  # Kueue lets it go
    metadata = {"name": order.job_id, "namespace": cluster.namespace, "labels": names | queued}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": "RayJob", "metadata": metadata, "spec": spec}


def ray_cluster(cluster: KubeRayCluster) -> dict[str, Any]:
    """The spec of the RayCluster that a job runs on."""
    spec: dict[str, Any] = {
        "rayVersion": version("ray"),
        "enableInTreeAutoscaling": cluster.autoscale,
        "authOptions": {"mode": "token"} | ({"secretName": cluster.ray_token_name} if cluster.ray_token_name else {}),
        "headGroupSpec": {
            # no trial and no actor lands beside the driver and the cluster's own books
            "rayStartParams": {"num-cpus": "0", "num-gpus": "0", "dashboard-host": "0.0.0.0"},
            "template": ray_pod(cluster, cluster.head, "head"),
        },
        "workerGroupSpecs": [_group(cluster, group) for group in cluster.workers],
    }
    if cluster.autoscale:
        spec["autoscalerOptions"] = {
            "version": "v2", "idleTimeoutSeconds": 120, "securityContext": dict(CONTAINER_SECURITY),
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            "resources": {"requests": {"cpu": "200m", "memory": "512Mi"}, "limits": {"cpu": "500m", "memory": "1Gi"}},
        }  # fmt: skip
    if cluster.redis:
        spec["gcsFaultToleranceOptions"] = _redis(cluster.redis)
    return spec


def as_yaml(manifest: dict[str, Any]) -> str:
    """What `kubectl apply -f -` takes: lines as they are, and nothing by reference."""
    return yaml.dump(manifest, Dumper=_Plain, sort_keys=False, width=120)


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Plain.add_representer(str, _text)


def _entry_point(order: Order) -> str:
    """Safe characters alone: the operator's shell and Ray's both read it."""
    for word in order.words:
        if not TWICE_READ.fullmatch(word):
            raise ConfigError(f"'{word}' cannot be handed to a job on Kubernetes", place=order.job_id,
                              hint="letters, digits and @%+=:,./- pass through its shells unchanged")
    return shlex.join(["python", "jobs/sweep.py", *order.words, "--supervised"])


def _ends(cluster: KubeRayCluster) -> dict[str, Any]:
    """When pods go: by the operator's plain rule, or by its deletion rules, which exclude each other."""
    keep_s = cluster.keep_minutes * 60
    if not cluster.deletion_rules:
        return {"shutdownAfterJobFinishes": True, "ttlSecondsAfterFinished": keep_s}
    after = (("SUCCEEDED", 0), ("FAILED", keep_s))
    return {"shutdownAfterJobFinishes": False, "deletionStrategy": {"deletionRules": [
        {"policy": "DeleteCluster", "condition": {"jobStatus": status, "ttlSeconds": ttl}} for status, ttl in after]}}


def _group(cluster: KubeRayCluster, group: WorkerGroup) -> dict[str, Any]:
    fixed = not cluster.autoscale
    return {
        "groupName": group.name,
        "replicas": group.replicas,
        "minReplicas": group.replicas if fixed else group.min_replicas,
        "maxReplicas": max(1, group.replicas) if fixed else group.max_replicas,
        "rayStartParams": {},
        "template": ray_pod(cluster, group, "worker"),
    }


def _redis(redis: Redis) -> dict[str, Any]:
    options: dict[str, Any] = {"redisAddress": redis.address}
    if redis.password:
        options["redisPassword"] = {"valueFrom": {"secretKeyRef": {
            "name": redis.password.secret_name, "key": redis.password.key}}}  # fmt: skip
    return options
