"""Kubernetes' official client, by the user's kubeconfig; and what its errors mean to a user."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

from gatesweep.errors import AttemptExists, ClusterError, ConfigError, GatesweepError, NotFound
from gatesweep.launch.kuberay import KubeRayCluster

PATIENCE = (5.0, 60.0)
"""Seconds for a connection, and for an answer."""
_RIGHTS = "k8s/base/rbac.yaml has the role that submitting takes; the namespace's owner binds it to you"


def connect(cluster: KubeRayCluster) -> Any:
    """A client of the API server that the kubeconfig's context names. Nothing is asked yet.

    Raises:
        ClusterError: the library is not installed.
        ConfigError: there is no kubeconfig, or it has no such context.
    """
    try:
        from kubernetes import client, config
    except ModuleNotFoundError:
        raise ClusterError("this machine has no client of Kubernetes", place=cluster.name,
                           hint="pip install 'gatesweep[k8s]'") from None
    made = client.Configuration()
    try:
        file = os.environ.get("KUBECONFIG") or "~/.kube/config"  # the library looks once, when it is imported
        config.load_kube_config(file, context=cluster.context, client_configuration=made)
    except (config.ConfigException, OSError) as error:
        if cluster.context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=made)
            return client.ApiClient(made)
        wanted = f"the context '{cluster.context}'" if cluster.context else "a current context"
        hint = ("KUBECONFIG names the file, by default ~/.kube/config; `kubectl config get-contexts` lists contexts,"
                " and `context:` of the cluster's file chooses one")  # fmt: skip
        why = f"the kubeconfig does not give {wanted}: {error}"
        raise ConfigError(why, place=cluster.name, hint=hint) from None
    made.retries = False  # one answer or one error
    return client.ApiClient(made)


@contextlib.contextmanager
def asking(cluster: KubeRayCluster, what: str) -> Iterator[None]:
    """Whatever the client raises comes out as one of our errors. `what` is being done, in words: `start a RayJob`."""
    try:
        yield
    except GatesweepError:
        raise
    except Exception as error:
        raise in_words(error, cluster, what) from None


def in_words(error: Exception, cluster: KubeRayCluster, what: str) -> Exception:
    """What a user can act on; anything else is our fault, and stays as it is."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    place = f"{cluster.name}, namespace {cluster.namespace}"
    if isinstance(error, HTTPError | OSError):
        return ClusterError(f"the API server does not answer: {_first(str(error))}", place=place,
                            hint="`kubectl cluster-info` asks the same server; a VPN or a tunnel may be missing")
    if not isinstance(error, ApiException):
        return error
    said = _message(error)
    match error.status:
        case 401:
            return ClusterError("the API server does not accept this machine's credentials", place=place,
                                hint="log in again, as for kubectl; `kubectl auth whoami`")
        case 403:
            return ClusterError(f"you have not the right to {what}: {said}", place=place, hint=_RIGHTS)
        case 404 if "could not find the requested resource" in said or "page not found" in said:
            return ClusterError("the API server knows no RayJob: the KubeRay operator is not installed", place=place,
                                hint="docs/kubernetes.md, step 3, installs it")
        case 404:
            return NotFound("the cluster knows no such job", place=place, hint="gatesweep resume ID sends it again")
        case 409:
            return AttemptExists("this attempt is on the cluster already: somebody else was faster", place=place,
                                 hint="gatesweep status ID follows it")
        case 400 | 422:
            return ClusterError(f"the API server refuses it: {said}", place=place,
                                hint="gatesweep submit --dry-run prints what was sent; are the CRDs of this KubeRay?")
        case _:
            return ClusterError(f"the API server answered {error.status}: {said}", place=place,
                                hint="its own log says more; asked again, it may answer")


def _message(error: Any) -> str:
    try:
        said = json.loads(error.body)["message"]
    except (ValueError, KeyError, TypeError):
        said = error.body or error.reason
    return _first(str(said))


def _first(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "no word of why")[:500]
