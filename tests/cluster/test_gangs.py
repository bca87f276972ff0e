"""Trials of several workers on two hosts: placed whole, pruned without a trace, survived, the same bits anywhere."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import end, start, write_project
from gang_bed import GangBed

from gatesweep.runs import gang
from gatesweep.runs.build import prepare
from gatesweep.sweep.spec import spec_from
from gatesweep.sweep.waiting import LOOK_S
from gatesweep.train.fit import fit

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


def spec_of(resources: dict[str, Any], *, trials: int = 4, concurrent: int = 2, epochs: int = 4, schedule: str = "asha",
            **data: Any) -> dict[str, Any]:  # fmt: skip
    return {
        "name": "toy",
        "experiment": {"task": "toy_task:ToyTask", "data": {"examples": 48, **data},
                       "model": {"hidden_size": 8, "dropout": 0.3},
                       "trainer": {"max_epochs": epochs, "batch_size": 16}},
        "objective": {"metric": "val/mae"},
        "space": {"optimizer.lr": {"log_uniform": [1e-3, 1e-1]}},
        "search": {"name": "random", "seed": 3},
        "scheduler": {"name": "asha", "grace_epochs": 1, "reduction": 2} if schedule == "asha" else {"name": "none"},
        "budget": {"trials": trials, "concurrent": concurrent},
        "resources": resources,
    }  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=400)
    return process.returncode, out, err


def until(condition: Callable[[], Any], process: subprocess.Popen[str] | None = None, *, seconds: float = 300) -> Any:
    """What the condition gives, once that is something."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends and (process is None or process.poll() is None):
        if found := condition():
            return found
        time.sleep(0.2)
    said = ended(process) if process is not None and process.poll() is not None else ""
    raise AssertionError(f"it never came: {said}")


def numbers(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not name.startswith("time/")}


@pytest.fixture(scope="module")
def bed() -> Iterator[GangBed]:
    made = GangBed(more=("--labels=zone=a",))
    try:
        yield made
    finally:
        made.network.close()


def test_trials_over_two_hosts_end_are_pruned_without_a_trace_and_come_again_bit_for_bit(
        bed: GangBed, tmp_path: Path) -> None:
    """Each trial fills both hosts, and two are asked for at a time: one has to wait for the whole of the other."""
    spec = spec_of({"workers": 2, "cpus": 2})
    code, out, err = ended(bed.sweep("two-hosts", spec))
    assert code == 0, err
    outcomes = json.loads(out.splitlines()[-1])
    assert outcomes["pruned"] >= 1
    assert outcomes["pruned"] + outcomes["completed"] == 4
    assert bed.left() == {"actors": [], "groups": []}

    records = bed.log("two-hosts")
    new = next(record for record in records if record["event"] == "new")
    reported = [numbers(r["metrics"]) for r in records if r["event"] == "result" and r["trial"] == new["trial"]]
    weights = [r["weights"] for r in records if r["event"] == "result" and r["trial"] == new["trial"]]
    config = spec_from(spec, place="test").trial_config(new["params"], new["number"])
    again: list[Any] = []
    task, recipe = prepare(config)
    with gang.local(config) as team:
        fit(task, recipe, folder=tmp_path, on_epoch=again.append, team=team)
    assert [numbers(each.metrics) for each in again][: len(reported)] == reported
    assert [each.weights for each in again][: len(weights)] == weights


def test_a_killed_worker_of_a_trial_costs_one_attempt_and_no_epoch(bed: GangBed) -> None:
    hold = bed.network.shared / "hold"
    hold.touch()
    resources = {"workers": 2, "cpus": 2, "labels": {"zone": "a"}}
    process = bed.sweep("killed", spec_of(resources, trials=2, concurrent=1, schedule="none", hold=str(hold)))
    until(lambda: any(r["event"] == "result" for r in bed.log("killed")), process)
    followers = [each for host in bed.workers for each in host.processes("ray::Worker.follow")]
    assert len(followers) == 1
    followers[0].kill()
    died = until(lambda: [r for r in bed.log("killed") if r["event"] == "fail"], process)
    hold.unlink()
    code, out, err = ended(process)
    assert code == 0, err
    assert json.loads(out.splitlines()[-1])["completed"] == 2
    assert [(r["class"], r["policy"]) for r in died] == [("crash", "counted")]
    records = bed.log("killed")
    assert len([r for r in records if r["event"] == "fail"]) == 1
    first = [r for r in records if r.get("trial") == "t0000"]
    assert [r["epoch"] for r in first if r["event"] == "result"] == [1, 2, 3, 4]
    assert [r["epoch"] for r in first if r["event"] == "start"] == [0, 1]


def test_a_trial_that_never_fits_is_refused_with_the_clusters_shape(bed: GangBed) -> None:
    code, out, err = ended(bed.sweep("too-large", spec_of({"workers": 4, "cpus": 2})))
    assert (code, out) == (2, "")
    assert "resources.workers: one trial asks for 4 workers of 2 CPUs, of which 2 fit" in err
    assert "2 nodes of 2 CPUs" in err
    assert bed.log("too-large") == []


@pytest.mark.slow
def test_a_trial_whose_number_of_workers_is_open_takes_what_is_there_and_the_log_says_so(bed: GangBed) -> None:
    spec = spec_of({"workers": [2, 8]}, trials=1, concurrent=1, schedule="none", epochs=2)
    code, _, err = ended(bed.sweep("open", spec))
    assert code == 0, err
    assert [r["workers"] for r in bed.log("open") if r["event"] == "start"] == [4]


@pytest.mark.slow
def test_a_host_that_is_cut_off_is_told_waited_for_and_gone_on_with(bed: GangBed) -> None:
    """Nobody closes its connections, and what is left holds no trial."""
    hold = bed.network.shared / "hold"
    hold.touch()
    process = bed.sweep("cut", spec_of({"workers": 2, "cpus": 2}, trials=1, concurrent=1, schedule="none",
                                       hold=str(hold)))  # fmt: skip
    until(lambda: any(r["event"] == "result" for r in bed.log("cut")), process)
    far = next(host for host in bed.workers if host.processes("ray::Worker.follow"))
    far.cut()
    died = until(lambda: [r for r in bed.log("cut") if r["event"] == "fail"], process)
    assert [(r["class"], r["policy"]) for r in died] == [("node_lost", "free")]
    hold.unlink()
    until(lambda: len([r for r in bed.log("cut") if r["event"] == "start"]) == 2, process)
    time.sleep(3 * LOOK_S)
    far.mend()
    bed.start(far)
    code, out, err = ended(process)
    assert code == 0, err
    assert "waiting for nodes: resources.workers: one trial asks for 2 workers of 2 CPUs, of which 1 fit" in out
    assert [r["epoch"] for r in bed.log("cut") if r["event"] == "result"] == [1, 2, 3, 4]


@pytest.mark.slow
def test_sixteen_trials_share_four_logical_gpus_at_once() -> None:
    bed = GangBed(cpus=8, more=("--num-gpus=2",))
    try:
        hold = bed.network.shared / "hold"
        hold.touch()
        process = bed.sweep("gpus", spec_of({"gpus": 0.25}, trials=16, concurrent=16, schedule="none", epochs=2,
                                            hold=str(hold)))  # fmt: skip
        until(lambda: len({r["trial"] for r in bed.log("gpus") if r["event"] == "result"}) == 16, process, seconds=500)
        assert not any(r["event"] == "fail" or r.get("outcome") for r in bed.log("gpus"))
        hold.unlink()
        code, out, err = ended(process)
        assert code == 0, err
        assert json.loads(out.splitlines()[-1])["completed"] == 16
        code, _, err = ended(bed.sweep("eight", spec_of({"gpus": 8})))
        assert code == 2
        assert "one trial asks for 8 GPUs, and the cluster has" in err
        assert "2 nodes of 8 CPUs and 2 GPUs" in err
    finally:
        bed.network.close()


def test_a_run_of_two_workers_comes_again_bit_for_bit(tmp_path: Path, own_home: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    write_project(tmp_path, "task: toy_task:ToyTask\ndata: {examples: 40}\nmodel: {dropout: 0.3}\n"
                            "trainer: {max_epochs: 3, batch_size: 16, workers: 2}\n")  # fmt: skip
    commit = ["-c", "user.name=A", "-c", "user.email=a@b", "commit", "-qm", "first"]
    for words in (["init", "-q"], ["add", "."], commit):
        subprocess.run(["git", *words], check=True)
    code, out, err = end(start("run", "exp.yaml", "--json"))
    assert code == 0, err
    code, out, err = end(start("reproduce", json.loads(out)["run_id"], "--json"))
    assert code == 0, err
    assert json.loads(out)["verdict"] == "bitwise"
