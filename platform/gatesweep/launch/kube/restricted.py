"""What a namespace with the restricted Pod Security level refuses: of every workload's pods, whatever its kind.

After the Pod Security Standards; a read-only root file system, which they leave open, is our own demand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Broken = tuple[str, str, str]
"""Where, what, and what to do."""
_HOST = ("hostNetwork", "hostPID", "hostIPC")
_VOLUMES = frozenset({"name", "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
                      "projected", "secret"})  # fmt: skip


def broken(manifest: Mapping[str, Any]) -> list[Broken]:
    """What of a manifest's pods would be refused."""
    return [each for where, pod in pods(manifest) for each in _pod(where, pod)]


def pods(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The specs of every pod that a workload makes, and where they stand; none for what makes no pods."""
    spec = manifest.get("spec") or {}
    match manifest["kind"]:
        case "Pod":
            yield "spec", spec
        case "Deployment" | "StatefulSet" | "DaemonSet" | "Job":
            yield "spec.template", spec["template"]["spec"]
        case "CronJob":
            yield "spec.jobTemplate", spec["jobTemplate"]["spec"]["template"]["spec"]
        case "RayCluster":
            yield from _of_ray(spec)
        case "RayJob":
            if spec.get("submitterPodTemplate"):
                yield "submitterPodTemplate", spec["submitterPodTemplate"]["spec"]
            yield from _of_ray(spec.get("rayClusterSpec") or {})


def _of_ray(spec: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if spec.get("headGroupSpec"):
        yield "headGroupSpec", spec["headGroupSpec"]["template"]["spec"]
    for group in spec.get("workerGroupSpecs") or []:
        yield group["groupName"], group["template"]["spec"]


def _pod(where: str, pod: Mapping[str, Any]) -> Iterator[Broken]:
    yours = pod.get("securityContext") or {}
    if not yours.get("runAsNonRoot"):
        yield where, "may run as root", "securityContext: {runAsNonRoot: true, runAsUser: 1000}"
    if yours.get("runAsUser") == 0:
        yield where, "runs as root", "runAsUser: 1000"
    if (yours.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
        yield where, "may call anything of the kernel", "seccompProfile: {type: RuntimeDefault}"
    for name in _HOST:
        if pod.get(name):
            yield where, f"{name} shows it its node", "leave it out"
    for volume in pod.get("volumes") or []:
        for kind in sorted(set(volume) - _VOLUMES):
            yield where, f"volume {volume['name']}: {kind} reaches the node's files", "emptyDir, or a claim"
    for container in (*(pod.get("initContainers") or ()), *(pod.get("containers") or ())):
        yield from _container(f"{where}: {container['name']}", container.get("securityContext") or {})


def _container(where: str, security: Mapping[str, Any]) -> Iterator[Broken]:
    if security.get("privileged"):
        yield where, "is privileged", "leave it out"
    if security.get("allowPrivilegeEscalation") is not False:
        yield where, "may gain rights", "allowPrivilegeEscalation: false"
    capabilities = security.get("capabilities") or {}
    if "ALL" not in (capabilities.get("drop") or ()) or capabilities.get("add"):
        yield where, "has capabilities", "capabilities: {drop: [ALL]}"
    if not security.get("readOnlyRootFilesystem"):
        yield where, "may change its image's files", "readOnlyRootFilesystem: true"
