"""What the KubeRay operator refuses beyond its schema: found before anything is applied.

Each rule is a generator over one RayJob or RayCluster; it yields what is wrong, where, and what to do. Their source is
the operator's own validation (ray-operator/controllers/ray/utils/validation.go).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from gatesweep.errors import ConfigError
from gatesweep.launch.kube import restricted

JOB_NAME, CLUSTER_NAME = 47, 53
"""Longest names: services and pods get suffixes, and 63 is where Kubernetes ends."""
REMOTE = ("s3://", "gs://", "https://", "file:///")
FIRST_WITH_TOKENS = (2, 52)
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_IN_REDIS = {"REDIS_PASSWORD": "redisPassword", "RAY_REDIS_ADDRESS": "redisAddress", "REDIS_USERNAME": "redisUsername"}
_RESOURCES = ("num-cpus", "num-gpus", "memory", "resources")


@dataclass(frozen=True)
class Complaint:
    """One thing that would be refused."""

    key: str
    what: str
    hint: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}"


Rule = Callable[[Mapping[str, Any]], Iterator[Complaint]]


def complaints(manifest: Mapping[str, Any]) -> list[Complaint]:
    """Everything wrong with a RayJob or a RayCluster, in the order of its keys."""
    spec = manifest.get("spec") or {}
    found = list(_name(manifest))
    if manifest["kind"] == "RayJob":
        found += [each for rule in JOB_RULES for each in rule(spec)]
        if manifest["metadata"].get("labels", {}).get("kueue.x-k8s.io/queue-name"):
            found += _queued(spec)
        spec = spec.get("rayClusterSpec") or {}
    found += [each for rule in CLUSTER_RULES for each in rule(spec)] if spec else []
    return found + [Complaint(*each) for each in restricted.broken(manifest)]


def refuse(manifest: Mapping[str, Any], place: str) -> None:
    """Refuse what the operator or the namespace would.

    Raises:
        ConfigError: the first complaint; the file is `place`.
    """
    for first in complaints(manifest):
        raise ConfigError(str(first), place=place, hint=first.hint)


def _name(manifest: Mapping[str, Any]) -> Iterator[Complaint]:
    name, most = manifest["metadata"]["name"], JOB_NAME if manifest["kind"] == "RayJob" else CLUSTER_NAME
    if len(name) > most:
        yield Complaint("metadata.name", f"'{name}' has {len(name)} characters, and the operator takes {most}",
                        "a shorter name of the sweep, or a shorter --id")
    if not _DNS_1035.fullmatch(name):
        yield Complaint("metadata.name", f"'{name}' is no name of Kubernetes",
                        "small letters, digits and dashes; a letter first; no dash last")


def _suspension(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    if spec.get("suspend") and not spec.get("shutdownAfterJobFinishes"):
        yield Complaint("spec.suspend", "needs shutdownAfterJobFinishes: true",
                        "deletion_rules: false, where a queue suspends jobs")


def _selected(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    selector = spec.get("clusterSelector")
    if not selector:
        if not spec.get("rayClusterSpec"):
            yield Complaint("spec", "names no cluster to run on", "rayClusterSpec, or clusterSelector")
        return
    if not selector.get("ray.io/cluster"):
        yield Complaint("spec.clusterSelector", "names no cluster", "ray.io/cluster: the cluster's name")
    for key, given in (("backoffLimit", (spec.get("backoffLimit") or 0) > 0), ("suspend", spec.get("suspend"))):
        if given:
            yield Complaint(f"spec.{key}", "is not for a job on a cluster that is there already (clusterSelector)",
                            f"leave {key} out, or give the job a rayClusterSpec of its own")
    if spec.get("submissionMode") == "SidecarMode":
        yield Complaint("spec.submissionMode", "SidecarMode needs a head of its own", "K8sJobMode")


def _limits(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    deadline_s = spec.get("activeDeadlineSeconds")
    if deadline_s is not None and deadline_s <= 0:
        yield Complaint("spec.activeDeadlineSeconds", f"{deadline_s} is no time", "deadline_hours: 24, or none")
    for key in ("backoffLimit", "ttlSecondsAfterFinished"):
        if (spec.get(key) or 0) < 0:
            yield Complaint(f"spec.{key}", f"{spec[key]} is below 0", "0 or more")
    if (spec.get("backoffLimit") or 0) > 0 and spec.get("submissionMode") == "InteractiveMode":
        yield Complaint("spec.backoffLimit", "InteractiveMode takes no retries", "backoffLimit: 0")


def _deletion(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    rules = (spec.get("deletionStrategy") or {}).get("deletionRules") or []
    key, shuts = "spec.deletionStrategy", spec.get("shutdownAfterJobFinishes")
    if not shuts and spec.get("ttlSecondsAfterFinished"):
        yield Complaint("spec.ttlSecondsAfterFinished", "needs shutdownAfterJobFinishes: true", "or leave it out")
    if rules and shuts:
        yield Complaint(key, "deletion rules and shutdownAfterJobFinishes exclude each other", "one of them")
    scales = (spec.get("rayClusterSpec") or {}).get("enableInTreeAutoscaling")
    if scales and any(rule.get("policy") == "DeleteWorkers" for rule in rules):
        yield Complaint(key, "DeleteWorkers does not go with autoscaling", "DeleteCluster, or autoscale: false")
    seen: dict[str, dict[str, int]] = {}
    for rule in rules:
        condition = rule.get("condition") or {}
        of_status = seen.setdefault(str(condition.get("jobStatus") or condition.get("jobDeploymentStatus")), {})
        if rule["policy"] in of_status:
            yield Complaint(key, f"{rule['policy']} stands there twice for one status", "once")
        of_status[rule["policy"]] = condition.get("ttlSeconds") or 0
    for status, ttls in seen.items():
        times = [ttls[policy] for policy in ("DeleteWorkers", "DeleteCluster", "DeleteSelf") if policy in ttls]
        if times != sorted(times):
            yield Complaint(key, f"after {status}, what is larger goes first", "workers, then cluster, then the job")


def _runtime(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    try:
        runtime = yaml.safe_load(spec.get("runtimeEnvYAML") or "{}")
    except yaml.YAMLError:
        runtime = None
    if not isinstance(runtime, Mapping):
        yield Complaint("spec.runtimeEnvYAML", "is no mapping in YAML", "working_dir: s3://bucket/package.zip")
    elif not str(runtime.get("working_dir", REMOTE[0])).startswith(REMOTE):
        yield Complaint("spec.runtimeEnvYAML", f"working_dir: '{runtime['working_dir']}' is no address that pods reach",
                        "s3://bucket/package.zip")


def _queued(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    if spec.get("clusterSelector"):
        yield Complaint("spec.clusterSelector", "Kueue queues jobs with pods of their own alone", "rayClusterSpec")
    if (spec.get("rayClusterSpec") or {}).get("enableInTreeAutoscaling"):
        yield Complaint("spec.rayClusterSpec", "Kueue admits a fixed number of pods", "autoscale: false")


def _tokens(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    if (spec.get("authOptions") or {}).get("mode") != "token":
        yield Complaint("authOptions", "whoever reaches the head may run anything on it", "authOptions: {mode: token}")
        return
    numbers = re.match(r"(\d+)\.(\d+)", str(spec.get("rayVersion") or ""))
    if numbers is None or (int(numbers[1]), int(numbers[2])) < FIRST_WITH_TOKENS:
        yield Complaint("rayVersion", f"'{spec.get('rayVersion')}' knows no tokens", "2.52.0 or newer, the lock's Ray")


def _head(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    head, external = spec.get("headGroupSpec") or {}, spec.get("gcsFaultToleranceOptions")
    containers = head.get("template", {}).get("spec", {}).get("containers") or [{}]
    names = {variable["name"] for variable in containers[0].get("env") or []}
    for name in sorted(names & set(_IN_REDIS)):
        hint = f"gcsFaultToleranceOptions.{_IN_REDIS[name]}"
        yield Complaint(f"headGroupSpec: {name}", "is set by the operator", hint)
    if external and head.get("rayStartParams", {}).get("redis-password"):
        yield Complaint("headGroupSpec.rayStartParams.redis-password", "is a secret in plain sight",
                        "gcsFaultToleranceOptions.redisPassword, by secretKeyRef")
    if "RAY_enable_autoscaler_v2" in names:
        yield Complaint("headGroupSpec: RAY_enable_autoscaler_v2", "is set by the operator",
                        "autoscalerOptions: {version: v2}")


def _groups(spec: Mapping[str, Any]) -> Iterator[Complaint]:
    scales = spec.get("enableInTreeAutoscaling")
    second = scales and (spec.get("autoscalerOptions") or {}).get("version") == "v2"
    workers = spec.get("workerGroupSpecs") or []
    for name, group in (("headGroupSpec", spec.get("headGroupSpec") or {}), *((g["groupName"], g) for g in workers)):
        pod = group.get("template", {}).get("spec", {})
        if not pod.get("containers"):
            yield Complaint(name, "has no container", "at least one")
        if group.get("resources") and any(group.get("rayStartParams", {}).get(key) for key in _RESOURCES):
            yield Complaint(name, "says its resources twice", "resources, or rayStartParams")
        if second and pod.get("restartPolicy", "Never") != "Never":
            yield Complaint(name, "the autoscaler replaces pods itself", "restartPolicy: Never, or none")
        if scales and group.get("suspend"):
            yield Complaint(name, "is suspended, and the autoscaler would start it", "suspend: false")
    for group in workers:
        fewest, most = group.get("minReplicas", 0), group.get("maxReplicas", 1 << 31)
        if not fewest <= group.get("replicas", fewest) <= most:
            yield Complaint(group["groupName"], f"replicas: {group.get('replicas')} does not lie within {fewest} and"
                            f" {most}", "min_replicas <= replicas <= max_replicas")  # fmt: skip


JOB_RULES: tuple[Rule, ...] = (_suspension, _selected, _limits, _deletion, _runtime)
CLUSTER_RULES: tuple[Rule, ...] = (_tokens, _head, _groups)
