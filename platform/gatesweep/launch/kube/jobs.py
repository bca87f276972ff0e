"""Drivers as RayJobs, by the API server of Kubernetes: `Runner` for clusters of kind kuberay."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from gatesweep.errors import ClusterError, NotFound
from gatesweep.launch.kube import rules
from gatesweep.launch.kube.client import PATIENCE, asking, connect
from gatesweep.launch.kube.manifest import GROUP, PLURAL, SWEEP, VERSION, rayjob
from gatesweep.launch.kube.ship import address_of, must_reach, ship
from gatesweep.launch.kuberay import KubeRayCluster
from gatesweep.launch.runner import Job, Order, State
from gatesweep.launch.submitted import Attempt, now

POLL_S = 2.0
SILENCE_S = 60.0
"""How long an API server may be away while somebody follows a log."""
_DEPLOYED: dict[str, State] = {
    "": "pending", "Initializing": "pending", "Waiting": "pending", "Retrying": "pending", "Scheduling": "pending",
    "Scheduled": "pending", "Suspending": "pending", "Suspended": "pending", "Running": "running",
    "Complete": "succeeded", "Failed": "failed", "ValidationFailed": "failed",
}  # fmt: skip
"""What the operator says of the job's pods."""
_TOLD = {"Retrying": "an attempt failed; the operator starts it again on new pods",
         "Suspended": "suspended: it waits for its queue"}  # fmt: skip


class KubeJobs:
    """Follows `Runner`. Nothing is asked of the API server before it is needed."""

    def __init__(self, cluster: KubeRayCluster) -> None:
        self.cluster = cluster
        self._known: Any = None

    def must_answer(self) -> str:
        with asking(self.cluster, "list RayJobs"):
            self._custom.list_namespaced_custom_object(*self._jobs, limit=1, _request_timeout=PATIENCE)
        must_reach(self.cluster)
        return f"the API server answers for the namespace {self.cluster.namespace}, and knows RayJobs"

    def start(self, order: Order) -> Attempt:
        """Checked by the operator's rules, then the code is brought to the storage, then the job applied."""
        assert order.package is not None, "pods get the code from the storage"
        manifest = rayjob(self.cluster, order, address_of(order.package, self.cluster))
        rules.refuse(manifest, self.cluster.name)
        ship(order.package, self.cluster)
        with asking(self.cluster, "start a RayJob"):
            self._custom.create_namespaced_custom_object(
                *self._jobs, body=manifest, field_manager="gatesweep", _request_timeout=PATIENCE)  # fmt: skip
        return Attempt(order.number, order.job_id, now())

    def job(self, attempt: Attempt) -> Job:
        try:
            with asking(self.cluster, "read RayJobs"):
                found = self._custom.get_namespaced_custom_object(
                    *self._jobs, name=attempt.job_id, _request_timeout=PATIENCE)  # fmt: skip
        except NotFound:
            return Job(attempt.job_id, "unknown", "the cluster knows no such job")
        return job_of(found)

    def attempts(self, sweep_id: str) -> list[Job]:
        with asking(self.cluster, "list RayJobs"):
            found = self._custom.list_namespaced_custom_object(
                *self._jobs, label_selector=f"{SWEEP}={sweep_id}", _request_timeout=PATIENCE)  # fmt: skip
        return [job_of(each) for each in sorted(found["items"], key=_born)]

    def log(self, attempt: Attempt) -> str:
        """What the submitter's pod repeats of the driver; nothing before it has begun, or once it was cleaned up."""
        pod = self._submitter(attempt)
        if pod is None:
            return ""
        with asking(self.cluster, "read the logs of pods"):
            return str(self._core.read_namespaced_pod_log(
                pod, self.cluster.namespace, _request_timeout=PATIENCE))  # fmt: skip

    def follow(self, attempt: Attempt) -> Iterator[str]:
        """By looking again: a retry of the operator has another pod, whose words follow those of the one before."""
        pod, shown, silent_since = None, 0, time.monotonic()
        while True:
            try:
                alive = self.job(attempt).alive  # before its words, so that the last ones are seen
                newest = self._submitter(attempt)
                pod, shown = newest, shown if newest == pod else 0
                said = self.log(attempt)
                if said[shown:]:
                    yield said[shown:]
                shown, silent_since = len(said), time.monotonic()
                if not alive:
                    return
            except ClusterError:
                if time.monotonic() - silent_since > SILENCE_S:
                    raise
            time.sleep(POLL_S)

    def stop(self, attempt: Attempt) -> None:
        """By deleting the RayJob: its finalizer sends the driver SIGTERM first, and no queue starts it again."""
        try:
            with asking(self.cluster, "delete RayJobs"):
                self._custom.delete_namespaced_custom_object(
                    *self._jobs, name=attempt.job_id, propagation_policy="Foreground", _request_timeout=PATIENCE)
        except NotFound:
            return  # it is gone, as was asked

    def _submitter(self, attempt: Attempt) -> str | None:
        """The newest pod of the job that submits; it has the RayJob's name."""
        with asking(self.cluster, "list pods"):
            found = self._core.list_namespaced_pod(
                self.cluster.namespace, label_selector=f"job-name={attempt.job_id}", _request_timeout=PATIENCE)
        born = sorted((str(pod.metadata.creation_timestamp), pod.metadata.name) for pod in found.items
                      if pod.status.phase in ("Running", "Succeeded", "Failed"))  # fmt: skip
        return born[-1][1] if born else None

    @property
    def _jobs(self) -> tuple[str, str, str, str]:
        return GROUP, VERSION, self.cluster.namespace, PLURAL

    @property
    def _custom(self) -> Any:
        from kubernetes.client import CustomObjectsApi

        return CustomObjectsApi(self._client())

    @property
    def _core(self) -> Any:
        from kubernetes.client import CoreV1Api

        return CoreV1Api(self._client())

    def _client(self) -> Any:
        self._known = self._known or connect(self.cluster)
        return self._known


def job_of(found: Mapping[str, Any]) -> Job:
    """A RayJob in our words: the operator's word on its pods, made exact by Ray's on the driver.

    A driver that failed is alive while the operator may start it again; one that was stopped is `Complete` too.
    """
    name, status = found["metadata"]["name"], found.get("status") or {}
    deployed, ray = status.get("jobDeploymentStatus") or "", status.get("jobStatus") or ""
    told = status.get("message") or _TOLD.get(deployed, "")
    if found["metadata"].get("deletionTimestamp"):
        return Job(name, "running", "it is being stopped")
    state: State = _DEPLOYED.get(deployed, "unknown")
    if state == "unknown":
        told = f"the operator says '{deployed}'"
    elif state == "running" and ray in ("", "PENDING"):
        state = "pending"
    elif state == "succeeded" and ray in ("STOPPED", "FAILED"):
        state = "stopped" if ray == "STOPPED" else "failed"
    elif state == "failed" and status.get("reason"):
        told = f"{status['reason']}: {told}" if told else str(status["reason"])
    return Job(name, state, told.partition("\n")[0][:300])


def _born(found: Mapping[str, Any]) -> str:
    return str(found["metadata"].get("creationTimestamp") or "")
