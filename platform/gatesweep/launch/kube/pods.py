"""Pods of a Ray cluster that a namespace with the restricted Pod Security level admits.

    root file system   read-only
    /tmp               Ray's session, sockets and its copy of the working tree; gone with the pod
    /var/lib/gatesweep the home folder, and the node's cache of data
"""

from __future__ import annotations

from typing import Any

from gatesweep.launch.kuberay import HOME, CacheVolume, KubeRayCluster, NodeGroup, Toleration

USER = 1000
GPU = "nvidia.com/gpu"
PART = "gatesweep/part"
"""The label by which network policies tell head, worker and submitter."""
POD_SECURITY = {"runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip
CONTAINER_SECURITY = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                      "capabilities": {"drop": ["ALL"]}}  # fmt: skip
TMP_SIZE = "20Gi"
GRACE_S = 90
"""More than a driver gets to close its books when it is told to stop."""


def variables(cluster: KubeRayCluster) -> dict[str, str]:
    """Plain variables of every pod: Ray's own processes need them too, to fetch the working tree."""
    return {
        "GATESWEEP_HOME": HOME,
        "GATESWEEP_NODE_FOLDER": f"{HOME}/node",
        "GATESWEEP_IMAGE": cluster.image,
        "XDG_CACHE_HOME": "/tmp/.cache",  # the user's own folder is read-only
        "XDG_CONFIG_HOME": "/tmp/.config",
        "MPLCONFIGDIR": "/tmp/.config/matplotlib",
        "DVC_SITE_CACHE_DIR": "/tmp/.cache/dvc",
        "RAY_USAGE_STATS_ENABLED": "0",
        **cluster.environment,
    }


def ray_pod(cluster: KubeRayCluster, group: NodeGroup, part: str) -> dict[str, Any]:
    """The template of the head (`part`: head) or of a group's workers."""
    spec = {
        **_base(cluster),
        "containers": [{
            **_container(cluster, f"ray-{part}", group.cpus, group.memory, group.gpus),
            "volumeMounts": [*_mounts(cluster), {"name": "home", "mountPath": HOME}],
        }],
        "volumes": [*_volumes(cluster), {"name": "home", **_home(cluster.cache)}],
        "terminationGracePeriodSeconds": GRACE_S,
    }  # fmt: skip
    if part == "head":
        account = cluster.head_account
        spec["automountServiceAccountToken"] = cluster.autoscale  # its autoscaler asks the API server for pods
    else:
        account = cluster.service_account
    if account:
        spec["serviceAccountName"] = account
    tolerations = [_toleration(each) for each in group.tolerations]
    if group.gpus:
        tolerations.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
    spec |= {"tolerations": tolerations} if tolerations else {}
    spec |= {"nodeSelector": dict(group.node_selector)} if group.node_selector else {}
    return {"metadata": {"labels": labels(part)}, "spec": spec}


def submitter_pod(cluster: KubeRayCluster) -> dict[str, Any]:
    """The pod that hands the job to the head and repeats what its driver says; the operator fills in the command."""
    container = {**_container(cluster, "ray-job-submitter", 0.5, "1Gi", 0),
                 "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}]}  # fmt: skip
    container.pop("envFrom", None)
    spec = {**_base(cluster), "restartPolicy": "Never", "containers": [container], "volumes": [_tmp()]}
    spec |= {"serviceAccountName": cluster.service_account} if cluster.service_account else {}
    return {"metadata": {"labels": labels("submitter")}, "spec": spec}


def labels(part: str) -> dict[str, str]:
    """What every object of ours carries, and which part it is."""
    return {"app.kubernetes.io/name": "gatesweep", PART: part}


def _base(cluster: KubeRayCluster) -> dict[str, Any]:
    base: dict[str, Any] = {"automountServiceAccountToken": False, "securityContext": dict(POD_SECURITY)}
    if cluster.pull_secrets:
        base["imagePullSecrets"] = [{"name": name} for name in cluster.pull_secrets]
    return base


def _container(cluster: KubeRayCluster, name: str, cpus: float, memory: str, gpus: int) -> dict[str, Any]:
    asked = {"cpu": f"{cpus:g}", "memory": memory} | ({GPU: str(gpus)} if gpus else {})
    made: dict[str, Any] = {
        "name": name,
        "image": cluster.image,
        "env": [{"name": key, "value": value} for key, value in variables(cluster).items()],
        "resources": {"requests": dict(asked), "limits": dict(asked)},
        "securityContext": dict(CONTAINER_SECURITY),
    }
    if cluster.env_from:
        made["envFrom"] = [{"secretRef": {"name": secret}} for secret in cluster.env_from]
    return made


def _mounts(cluster: KubeRayCluster) -> list[dict[str, Any]]:
    return [
        {"name": "tmp", "mountPath": "/tmp"},
        *({"name": f"claim-{i}", "mountPath": folder} for i, folder in enumerate(cluster.volumes)),
        *({"name": f"secret-{i}", "mountPath": folder, "readOnly": True}
          for i, folder in enumerate(cluster.secret_volumes)),
    ]  # fmt: skip


def _volumes(cluster: KubeRayCluster) -> list[dict[str, Any]]:
    claims, secrets = cluster.volumes.values(), cluster.secret_volumes.values()
    return [
        _tmp(),
        *({"name": f"claim-{i}", "persistentVolumeClaim": {"claimName": name}} for i, name in enumerate(claims)),
        *({"name": f"secret-{i}", "secret": {"secretName": name, "defaultMode": 0o440}}
          for i, name in enumerate(secrets)),
    ]  # fmt: skip


def _tmp() -> dict[str, Any]:
    return {"name": "tmp", "emptyDir": {"sizeLimit": TMP_SIZE}}


def _home(cache: CacheVolume) -> dict[str, Any]:
    """The node's own disk; with a storage class a volume of it, made with the pod and gone with it."""
    if cache.storage_class is None:
        return {"emptyDir": {"sizeLimit": cache.size}}
    return {"ephemeral": {"volumeClaimTemplate": {"spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": cache.storage_class,
        "resources": {"requests": {"storage": cache.size}}}}}}  # fmt: skip


def _toleration(given: Toleration) -> dict[str, Any]:
    made: dict[str, Any] = {"key": given.key, "operator": "Exists" if given.value is None else "Equal"}
    made |= {"value": given.value} if given.value is not None else {}
    return made | ({"effect": given.effect} if given.effect else {})
