"""Sweeps are submitted to Kubernetes, followed and stopped, against a small fake of its API: no API server runs here.

What KubeRay makes of a RayJob, and what a real API server says, is not exercised by any test.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kube_api import FakeApi, serve

from gatesweep.errors import AttemptExists, ClusterError, ConfigError, StorageError
from gatesweep.launch import submit as module
from gatesweep.launch.config import cluster_from
from gatesweep.launch.followed import find
from gatesweep.launch.kube import jobs as kube_jobs
from gatesweep.launch.kube.jobs import job_of
from gatesweep.launch.logs import driver_log
from gatesweep.launch.sections import ClusterConfig
from gatesweep.launch.stop import stop
from gatesweep.launch.submitted import recall
from gatesweep.sweep.spec import load_spec


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    with serve() as fake:
        monkeypatch.setenv("KUBECONFIG", str(fake.kubeconfig(tmp_path / "kubeconfig")))
        yield fake


@pytest.fixture
def cluster(tmp_path: Path) -> ClusterConfig:
    storage = tmp_path / "shared"
    storage.mkdir()
    return kube(storage)


def kube(folder: Path, **changes: Any) -> ClusterConfig:
    return cluster_from({
        "kind": "kuberay", "name": "k", "tracking": "http://mlflow:5000", "image": "gatesweep:cpu",
        "namespace": "lab", "storage": str(folder), "volumes": {str(folder): "claim"}, **changes,
    }, place="k.yaml")  # fmt: skip


def send(cluster: ClusterConfig, home: Path) -> module.Sent:
    return module.submit(load_spec(Path("sweep.yaml")), cluster, "toy-1", home, lambda line: None)


def test_what_the_fake_api_gets_runs_the_tree_that_lies_in_the_storage(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, tmp_path: Path
) -> None:
    sent = send(cluster, own_home)
    assert (sent.job_id, sent.cluster) == ("toy-1-a1", "k")
    job = api.jobs["toy-1-a1"]
    assert job["metadata"]["namespace"] == "lab"
    address = yaml.safe_load(job["spec"]["runtimeEnvYAML"])["working_dir"]
    assert address.startswith(f"file://{tmp_path}/shared/packages/")
    with zipfile.ZipFile(address.removeprefix("file://")) as archive:
        assert archive.read("model.py") == b"forget = 1\n"
        assert json.loads(archive.read(".submission/cluster.yaml"))["kind"] == "kuberay"
    assert recall("toy-1", own_home) is not None
    before = set((tmp_path / "shared" / "packages").iterdir())
    manifest = module.preview(load_spec(Path("sweep.yaml")), cluster, "toy-1", own_home, lambda line: None)
    assert yaml.safe_load(manifest["spec"]["runtimeEnvYAML"])["working_dir"] == address  # the same tree, the same name
    assert set((tmp_path / "shared" / "packages").iterdir()) == before


def test_a_dry_run_asks_nobody_and_writes_nothing(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, tmp_path: Path
) -> None:
    manifest = module.preview(load_spec(Path("sweep.yaml")), cluster, "toy-1", own_home, lambda line: None)
    assert manifest["metadata"]["name"] == "toy-1-a1"
    assert api.asked == []
    assert list((tmp_path / "shared").iterdir()) == []
    assert recall("toy-1", own_home) is None


def test_a_job_that_a_rule_refuses_is_neither_shipped_nor_applied(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="has 51 characters, and the operator takes 47"):
        module.submit(load_spec(Path("sweep.yaml")), cluster, "a" * 48, own_home, lambda line: None)
    assert api.jobs == {}
    assert not list((tmp_path / "shared").rglob("*.zip"))


STATES = [
    ({}, "pending"),
    ({"jobDeploymentStatus": "Initializing"}, "pending"),
    ({"jobDeploymentStatus": "Suspended"}, "pending"),
    ({"jobDeploymentStatus": "Running"}, "pending"),
    ({"jobDeploymentStatus": "Running", "jobStatus": "PENDING"}, "pending"),
    ({"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}, "running"),
    ({"jobDeploymentStatus": "Running", "jobStatus": "FAILED"}, "running"),
    ({"jobDeploymentStatus": "Retrying", "jobStatus": "FAILED"}, "pending"),
    ({"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}, "succeeded"),
    ({"jobDeploymentStatus": "Complete", "jobStatus": "STOPPED"}, "stopped"),
    ({"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "reason": "AppFailed", "message": "no"}, "failed"),
    ({"jobDeploymentStatus": "ValidationFailed"}, "failed"),
    ({"jobDeploymentStatus": "OfNextYear"}, "unknown"),
]


@pytest.mark.parametrize(("status", "state"), STATES, ids=lambda each: str(each)[:60])
def test_states_of_a_rayjob_are_told_in_our_words(status: dict[str, str], state: str) -> None:
    job = job_of({"metadata": {"name": "toy-1-a1"}, "status": status})
    assert job.state == state
    assert job.message or "reason" not in status
    assert job_of({"metadata": {"name": "x", "deletionTimestamp": "now"}, "status": status}).alive


def test_no_second_attempt_is_sent_while_the_operator_may_start_the_first_again(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path
) -> None:
    send(cluster, own_home)
    api.says("toy-1-a1", "Retrying", "FAILED")
    spec = load_spec(Path("sweep.yaml"))
    with pytest.raises(ClusterError, match="toy-1-a1 is pending"):
        module.again(find("toy-1", own_home), spec, (), lambda line: None)
    api.says("toy-1-a1", "Failed", "FAILED", reason="DeadlineExceeded")
    sent = module.again(find("toy-1", own_home), spec, ("--set", "budget.trials=9"), lambda line: None)
    assert sent.job_id == "toy-1-a2"
    assert "--set budget.trials=9 --supervised" in api.jobs["toy-1-a2"]["spec"]["entrypoint"]
    assert [job.job_id for job in kube_jobs.KubeJobs(cluster).attempts("toy-1")] == ["toy-1-a1", "toy-1-a2"]  # type: ignore[arg-type]


def test_of_two_who_send_the_same_attempt_the_fake_api_takes_one(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path
) -> None:
    send(cluster, own_home)
    (own_home / "submitted" / "toy-1.json").unlink()
    with pytest.raises(AttemptExists, match="somebody else was faster"):
        send(cluster, own_home)


def test_logs_are_the_submitters_and_follow_it_through_a_retry(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_jobs, "POLL_S", 0.0)
    send(cluster, own_home)
    assert list(driver_log(find("toy-1", own_home), follow=False)) == [""]
    api.says("toy-1-a1", "Running", "RUNNING")
    api.logs["toy-1-a1"] = ["first\n"]
    heard = driver_log(find("toy-1", own_home), follow=True)
    assert next(heard) == "first\n"
    api.logs["toy-1-a1"][0] += "second\n"
    assert next(heard) == "second\n"
    api.logs["toy-1-a1"].append("on new pods\n")
    assert next(heard) == "on new pods\n"
    api.says("toy-1-a1", "Complete", "SUCCEEDED")
    assert list(heard) == []


def test_stopping_deletes_the_rayjob_and_a_resume_gets_the_next_number(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path
) -> None:
    send(cluster, own_home)
    api.says("toy-1-a1", "Running", "RUNNING")
    answer = stop(find("toy-1", own_home), "now", None, lambda line: None)
    assert answer["signalled"]
    assert api.jobs == {}
    assert ("DELETE", "/apis/ray.io/v1/namespaces/lab/rayjobs/toy-1-a1") in api.asked
    job = find("toy-1", own_home).job()
    assert job is not None
    assert (job.state, job.alive) == ("unknown", False)
    sent = module.again(find("toy-1", own_home), load_spec(Path("sweep.yaml")), (), lambda line: None)
    assert sent.job_id == "toy-1-a2"


REFUSALS = [
    (403, 'rayjobs.ray.io is forbidden: User "me"', "you have not the right to list RayJobs", "rbac.yaml"),
    (404, "the server could not find the requested resource", "the KubeRay operator is not installed", "step 3"),
    (500, "etcd", "the API server answered 500: etcd", "again"),
]


@pytest.mark.parametrize(("code", "said", "message", "hint"), REFUSALS, ids=lambda each: str(each)[:20])
def test_what_an_api_server_refuses_is_one_message_and_nothing_is_remembered(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, code: int, said: str, message: str, hint: str
) -> None:
    api.refuses = (code, said)
    with pytest.raises(ClusterError, match=message) as refused:
        send(cluster, own_home)
    assert hint in str(refused.value.hint)
    assert recall("toy-1", own_home) is None


def test_wrong_credentials_no_answer_and_no_such_context_are_told_apart(
    api: FakeApi, project: Path, cluster: ClusterConfig, own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "other", token="an-old-one")))
    with pytest.raises(ClusterError, match="does not accept this machine's credentials") as refused:
        send(cluster, own_home)
    assert "an-old-one" not in str(refused.value)
    with pytest.raises(ConfigError, match="does not give the context 'elsewhere'"):
        send(kube(tmp_path / "shared", context="elsewhere"), own_home)
    api.address = "http://127.0.0.1:9"
    monkeypatch.setenv("KUBECONFIG", str(api.kubeconfig(tmp_path / "nobody")))
    with pytest.raises(ClusterError, match="the API server does not answer"):
        send(cluster, own_home)


def test_storage_that_this_machine_does_not_see_is_refused_before_anything_is_applied(
    api: FakeApi, project: Path, own_home: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="and the code travels through it") as refused:
        send(kube(tmp_path / "unmounted"), own_home)
    assert "mount the same volume here" in str(refused.value.hint)
    assert not (tmp_path / "unmounted").exists()
    with pytest.raises(StorageError):
        send(kube(tmp_path, storage="s3://b/x", environment={"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}), own_home)
    assert api.jobs == {}
