"""docker/compose.yaml: hardened containers, a sweep sent to them, a worker killed, the best trial again in one."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import COMMAND
from composed import Platform
from engine import Engine, Image

pytestmark = [pytest.mark.images, pytest.mark.timeout(1700)]

TRIALS = 4
SMALLER = (f"budget.trials={TRIALS}", "search.name=random", "scheduler.name=none", "experiment.trainer.max_epochs=8")
TRAINING = "ray::ImplicitFunc.train"
SHIPPED = "configs/clusters/compose.yaml"
SETTINGS = {"NODE_SHM": "256m", "NODE_OBJECTS": "80000000", "NODE_TMP": "2g", "WORKERS": "2"}


@pytest.fixture(scope="module")
def platform(engine: Engine, image: Callable[[str], Image], project: Path, mounts: list[str],
             tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:  # fmt: skip
    images = {"PLATFORM_IMAGE": image("cpu").tag, "TRACKING_IMAGE": image("tracking").tag,
              "POSTGRES_IMAGE": image("postgres").tag, "OBJECTS_IMAGE": image("objects").tag}  # fmt: skip
    made = Platform(engine, project, tmp_path_factory.mktemp("platform"), {**SETTINGS, **images}, mounts)
    try:
        order = made.up()
        assert order.index("postgres") < order.index("tracking") < order.index("head") < order.index("worker")
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def submit(platform: Platform, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Sends the traffic sweep, made small, from this machine by the shipped file but for its port; its id."""
    text = (project / SHIPPED).read_text()
    assert "http://127.0.0.1:8265" in text
    mine = tmp_path_factory.mktemp("host")
    (mine / "compose.yaml").write_text(text.replace(":8265", f":{platform.ray_port}"))
    mine_too = {"RAY_AUTH_TOKEN_PATH": "docker/secrets/ray_token", "GATESWEEP_HOME": str(mine / "home")}

    def send(*settings: str) -> str:
        words = ["submit", "configs/sweeps/traffic.yaml", "--cluster", str(mine / "compose.yaml"), "--json",
                 *(word for each in (*SMALLER, *settings) for word in ("--set", each))]  # fmt: skip
        done = subprocess.run([*COMMAND, *words], cwd=project, env={**os.environ, **mine_too}, capture_output=True,
                              text=True, timeout=300, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["sweep_id"])

    return send


@pytest.fixture(scope="module")
def submitted(submit: Callable[..., str]) -> str:
    return submit()


@pytest.fixture(scope="module")
def swept(platform: Platform, submitted: str) -> dict[str, Any]:
    """Its state at the end, after one of the two workers was killed while both trained."""
    workers = platform.containers("worker")
    assert len(workers) == 2
    _wait_until_training(platform, submitted, workers)
    platform.engine("kill", "--signal", "KILL", workers[0])
    return _wait_until_over(platform, submitted)


def _wait_until_training(platform: Platform, sweep_id: str, workers: list[str]) -> None:
    ends = time.monotonic() + 240
    while not all(TRAINING in platform.engine("top", worker, "args") for worker in workers):
        assert time.monotonic() < ends, platform.status(sweep_id)
        time.sleep(0.5)
    time.sleep(2)


def _wait_until_over(platform: Platform, sweep_id: str) -> dict[str, Any]:
    ends = time.monotonic() + 480
    told = platform.status(sweep_id)
    while told["state"] in ("empty", "pending", "starting", "running"):
        assert time.monotonic() < ends, told
        told = platform.status(sweep_id)
    return told


def test_every_container_is_hardened_and_no_secret_is_in_what_the_engine_shows(platform: Platform) -> None:
    ids = [each for name in platform.services for each in platform.containers(name)]
    assert len(ids) == 6
    text = platform.engine("inspect", *ids)
    for told in json.loads(text):
        host = told["HostConfig"]
        assert host["ReadonlyRootfs"], told["Name"]
        assert told["EffectiveCaps"] in ([], None), told["Name"]
        assert "no-new-privileges" in str(host["SecurityOpt"]), told["Name"]
        assert told["Config"]["User"].partition(":")[0] in ("1000", "999"), told["Name"]
        for binding in (each for ports in (host["PortBindings"] or {}).values() for each in ports):
            assert binding["HostIp"] == "127.0.0.1", told["Name"]
        text += platform.engine("top", told["Id"], "args")
    assert [name for name, value in platform.secrets.items() if value in text] == []
    assert len(platform.secrets) == 6


def test_strangers_are_refused_by_mlflow_and_by_ray(platform: Platform) -> None:
    runs = f"http://127.0.0.1:{platform.tracking_port}/api/2.0/mlflow/experiments/search?max_results=1"
    jobs = f"http://127.0.0.1:{platform.ray_port}/api/jobs/"
    password, token = platform.secrets["tracking_password"], platform.secrets["ray_token"]
    asked = ([runs], ["-u", f"admin:{password}", runs], [jobs], ["-H", f"Authorization: Bearer {token}", jobs])
    answers = [_curl("-o", "/dev/null", "-w", "%{http_code}", *words) for words in asked]
    assert answers == ["401", "200", "401", "200"]


def _curl(*words: str) -> str:
    return subprocess.run(["curl", "-s", *words], capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_sweep_submitted_to_it_ends_with_every_trial_though_a_worker_was_killed(swept: dict[str, Any]) -> None:
    assert swept["state"] == "done", swept
    assert swept["trials"]["completed"] == TRIALS
    assert swept["trials"]["failed"] == 0
    assert swept["failures"].get("node_lost", 0) >= 1, swept["failures"]


def test_its_best_trial_comes_again_bit_for_bit_in_the_same_image_which_the_lock_names(
        platform: Platform, submitted: str, swept: dict[str, Any], engine: Engine,
        image: Callable[[str], Image]) -> None:
    answer = json.loads(platform.client("reproduce", f"best:{submitted}", "--json", timeout_s=600))
    assert answer["verdict"] == "bitwise", answer
    assert answer["compared"] > 8
    address = f"http://127.0.0.1:{platform.tracking_port}/get-artifact?path=lock.json&run_uuid={answer['run_id']}"
    lock = json.loads(_curl("-u", f"admin:{platform.secrets['tracking_password']}", address))
    assert lock["machine"]["image"] == f"sha256:{engine.inspect(image('cpu').tag)['Id']}"
    assert lock["machine"]["compiler"] is None
    assert lock["code"]["commit"] == image("cpu").revision
