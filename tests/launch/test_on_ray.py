"""A real Ray head with token authentication: a sweep is submitted, followed, stopped, resumed; no secret is told."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import Terminal, write_project
from object_store import ObjectStore, serve
from ray_heads import RayHead, ray_head
from ray_hosts import SECRETS

import gatesweep
from gatesweep.errors import ClusterError, NotFound, ResourceError
from gatesweep.launch.config import cluster_from
from gatesweep.launch.followed import find, surroundings
from gatesweep.launch.jobs import RayJobs
from gatesweep.launch.submitted import Attempt
from gatesweep.reproduce.elsewhere import its_store
from gatesweep.sweep.control import pending
from gatesweep.track.store import open_store

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

FILE_SECRET, ENV_SECRET = "hunter2-of-a-file-71c5", "hunter2-of-a-variable-93e1"
EXPERIMENT = "task: toy_task:ToyTask\ndata: {{examples: 32, hold: {hold}}}\ntrainer: {{max_epochs: 4}}\n"
SWEEP = """
experiment: {file: exp.yaml}
objective: {metric: val/mae}
space: {model.hidden_size: {choice: [4, 8]}, optimizer.lr: {log_uniform: [1e-3, 1e-1]}}
scheduler: {name: none}
budget: {trials: 3, concurrent: 1}
"""


@pytest.fixture(scope="module")
def head() -> Iterator[RayHead]:
    with ray_head(THEIR_VARIABLE=ENV_SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3 store that no test's own environment knows the keys of."""
    with serve(tmp_path_factory.mktemp("objects")) as store:
        yield store


@pytest.fixture
def cluster(head: RayHead, tmp_path: Path, root: Path) -> dict[str, Any]:
    (tmp_path / "secret").write_text(f"{FILE_SECRET}\n")
    return {
        "kind": "ray",
        "name": "one-node",
        "address": head.address,
        "tracking": f"sqlite:///{tmp_path}/mlflow.db",
        "storage": str(tmp_path / "shared"),
        "node": {"folder": str(tmp_path / "node")},
        "python": sys.executable,
        "environment": {"PYTHONPATH": str(root / "tests" / "support")},
        "secrets": {"MINE": {"file": str(tmp_path / "secret")}, "THEIRS": {"env": "THEIR_VARIABLE"}},
        "auth": {"token": {"file": str(head.token_file)}},
    }


@pytest.fixture
def terminal(tmp_path: Path, own_home: Path, cluster: dict[str, Any]) -> Terminal:
    folder = tmp_path / "project"
    folder.mkdir()
    write_project(folder, EXPERIMENT.format(hold=tmp_path / "hold"), SWEEP)
    (tmp_path / "lab.yaml").write_text(json.dumps(cluster))
    return Terminal(folder, own_home)


@pytest.fixture
def on_s3(terminal: Terminal, cluster: dict[str, Any], objects: ObjectStore, tmp_path: Path) -> ObjectStore:
    """The cluster's file names a storage on S3 and the keys as secrets by reference; no process was given them."""
    plain, secrets = dict(cluster["environment"]), dict(cluster["secrets"])
    for name, value in objects.environment.items():
        if name in SECRETS:
            (tmp_path / name.lower()).write_text(value)
            secrets[name] = {"file": str(tmp_path / name.lower())}
        else:
            plain[name] = value
    storage = f"s3://{objects.bucket}/kept"
    changed = {**cluster, "storage": storage, "environment": plain, "secrets": secrets}
    (tmp_path / "lab.yaml").write_text(json.dumps(changed))
    return objects


def test_a_sweep_is_submitted_stopped_and_resumed_by_its_id_and_no_secret_is_told_anywhere(
    head: RayHead, terminal: Terminal, on_s3: ObjectStore, tmp_path: Path, own_home: Path
) -> None:
    seen, hold = set(), tmp_path / "hold"
    hold.touch()
    answer = json.loads(terminal("submit", "sweep.yaml", "--cluster", "../lab.yaml", "--id", "toy", "--json"))
    assert {key: answer[key] for key in ("job_id", "sweep_id", "cluster")} == {
        "job_id": "toy-a1", "sweep_id": "toy", "cluster": "one-node"}  # fmt: skip
    terminal.until("toy", lambda told: told["best"] and told["running"])
    seen |= _command_lines()
    assert json.loads(terminal("status", "toy", "--json"))["job_id"] == "toy-a1"
    terminal("resume", "toy", code=2)  # an attempt is alive
    assert "toy-a1 is running" in terminal.said
    terminal("stop", "toy")
    _wait_until_heard(own_home)
    hold.unlink()
    told = terminal.until("toy", lambda told: told["state"] == "stopped" and told["job"]["state"] != "running")
    assert told["trials"]["stopped"] == 1
    assert told["reason"]

    assert json.loads(terminal("resume", "toy", "--json"))["job_id"] == "toy-a2"
    lines = terminal("status", "toy", "--watch").splitlines()
    seen |= _command_lines()
    assert lines[-1].startswith("toy: done, 3/3 trials over (3 completed)")
    assert "toy-a2" in terminal("status", "toy")
    assert '"sweep_id": "toy"' in terminal("logs", "toy", "-f")
    assert "-> completed" in terminal("logs", "toy", "--trial", "t0002")
    assert "one-node" in terminal("list")

    jobs = _asked(head, "/api/jobs/")
    texts = {"what was said": terminal.said, "command lines": "\n".join(seen), "jobs": jobs}
    planted = (FILE_SECRET, ENV_SECRET, head.token, on_s3.secret)
    found = [name for name, text in texts.items() if _tells(text.encode(), planted)]
    # the package lies unpacked in the head's folder
    folders = (head.folder / "r", own_home, tmp_path / "node", terminal.folder)
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    found += [str(path) for path in [*files, tmp_path / "mlflow.db"] if _tells(path.read_bytes(), planted)]
    kept = _objects(own_home)
    found += [name for name, content in kept.items() if _tells(content, planted)]
    assert found == []
    assert len(files) > 200
    assert {"log.jsonl", "lock.json", "lease.json"} <= kept.keys()
    assert any(name.startswith("logs/t0002/") for name in kept)
    assert any(path.name == "sweep.yaml" and path.parent.name == ".submission" for path in files)
    assert "toy-a1" in jobs
    assert any("jobs/sweep.py .submission/sweep.yaml --id toy" in line for line in seen)


def _tells(content: bytes, planted: tuple[str, ...]) -> bool:
    return any(secret.encode() in content for secret in planted)


def _objects(home: Path) -> dict[str, bytes]:
    """All that the sweep has in its storage."""
    followed = find("toy", home)
    with surroundings(followed.cluster):
        return {name: followed.place.read(name) for name in followed.place.names()}


def _wait_until_heard(home: Path) -> None:
    """The driver deletes a request once it has heard it."""
    followed, deadline_s = find("toy", home), time.monotonic() + 60
    with surroundings(followed.cluster):
        while pending(followed.place):
            assert time.monotonic() < deadline_s, "nobody heard the request"
            time.sleep(0.2)


def _command_lines() -> set[str]:
    found = set()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.add(place.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # ended meanwhile
            continue
    return found


def _asked(head: RayHead, path: str) -> str:
    request = urllib.request.Request(head.address + path, headers={"Authorization": f"Bearer {head.token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_a_driver_whose_secret_is_missing_says_which_and_the_sweep_has_failed(
    terminal: Terminal, tmp_path: Path, cluster: dict[str, Any]
) -> None:
    secrets = {"MINE": {"file": "/nowhere/on/the/cluster"}}
    (tmp_path / "lab.yaml").write_text(json.dumps({**cluster, "secrets": secrets}))
    terminal("run", "exp.yaml", "--cluster", "../lab.yaml", "--json")
    sweep_id = json.loads(terminal("list", "--json"))["sweeps"][0]["sweep_id"]
    terminal.until(sweep_id, lambda told: told["state"] == "failed")
    assert "secrets.MINE: /nowhere/on/the/cluster cannot be read" in terminal("logs", sweep_id)


def test_a_run_of_this_machine_comes_again_on_the_cluster_bit_for_bit_from_its_commit(
    terminal: Terminal, cluster: dict[str, Any], tmp_path: Path, own_home: Path
) -> None:
    commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first"]
    for words in (["init", "-q"], ["add", "."], commit):
        subprocess.run(["git", "-C", str(terminal.folder), *words], check=True)
    made = json.loads(terminal("run", "exp.yaml", "--json"))
    (terminal.folder / "exp.yaml").write_text("task: another\n")
    answer = json.loads(terminal("reproduce", made["run_id"], "--on", "../lab.yaml", "--json"))
    assert (answer["verdict"], answer["first_difference"]) == ("bitwise", None)
    assert answer["compared"] > 8  # two losses and an error of four epochs, the test's and the weights
    with its_store(tmp_path / "lab.yaml", own_home) as theirs:
        again = theirs.get_run(answer["rerun_id"])
        assert again.tags["gatesweep.reproduces"] == made["run_id"]
        with pytest.raises(NotFound):
            theirs.get_run(made["run_id"])
    ours = open_store(own_home).get_run(made["run_id"])
    assert ours.tags["gatesweep.reproduced_by"] == answer["rerun_id"]
    assert ours.tags["gatesweep.verdict"] == "bitwise"
    (tmp_path / "lab.yaml").write_text(json.dumps({**cluster, "secrets": {"MINE": {"file": "/nowhere/there"}}}))
    terminal("reproduce", made["run_id"], "--on", "../lab.yaml", code=1)
    assert "the training ended without a model" in terminal.said


@pytest.mark.parametrize(("token", "message"), [("0" * 64, "does not accept this machine's token"),
                                                (None, "asks for a token")])  # fmt: skip
def test_a_cluster_that_wants_another_token_says_so(
    cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, token: str | None, message: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    if token:
        monkeypatch.setenv("WRONG", token)
    auth = {"token": {"env": "WRONG"}} if token else {}
    with pytest.raises(ClusterError, match=message) as refused:
        RayJobs(cluster_from({**cluster, "auth": auth}, place="lab.yaml")).must_answer()
    assert "0000" not in str(refused.value)


def test_another_address_in_the_environment_does_not_lead_a_submission_astray(
    cluster: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    assert RayJobs(cluster_from(cluster, place="lab.yaml")).must_answer().startswith("Ray 2.")
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:9"


def test_a_job_that_the_cluster_does_not_know_is_unknown_and_not_an_error(cluster: dict[str, Any]) -> None:
    jobs = RayJobs(cluster_from(cluster, place="lab.yaml"))
    assert jobs.job(Attempt(1, "no-such-job", "")).state == "unknown"


def test_a_plan_asks_the_cluster_for_its_nodes_and_refuses_with_their_shape(
    head: RayHead, cluster: dict[str, Any], tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write_project(tmp_path))
    lab = cluster_from(cluster, place="lab.yaml")
    nodes, deadline_s = None, time.monotonic() + 60
    while nodes is None:  # a new head knows of its own node after some seconds
        with contextlib.suppress(ClusterError):
            nodes = RayJobs(lab).nodes()  # type: ignore[arg-type]
        assert time.monotonic() < deadline_s
        time.sleep(0.5)
    assert [node.resources["CPU"] for node in nodes] == [2.0]
    assert nodes[0].resources["memory"] > 1e8
    with pytest.raises(ResourceError, match=r"one trial asks for 8 GPUs, and .* has 1 node of 2 CPUs"):
        gatesweep.plan("sweep.yaml", cluster=lab, overrides=["resources.gpus=8"])
