"""How many workers a trial has, what its batch and its rate are then, and what is said while none fits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from fakes import make_spec, opened

from gatesweep.errors import ConfigError
from gatesweep.sweep.cluster import logical_cpus
from gatesweep.sweep.fitting import share
from gatesweep.sweep.options import Resources
from gatesweep.sweep.spec import SweepSpec, spec_from, startable
from gatesweep.sweep.waiting import LOOK_S, Waiting


def spec_of(resources: dict[str, Any], *, trainer: dict[str, Any] | None = None, space: dict[str, Any] | None = None
            ) -> SweepSpec:  # fmt: skip
    return startable(spec_from({
        "name": "toy",
        "experiment": {"task": "toy_task:ToyTask", "data": {}, "optimizer": {"lr": 0.01},
                       "trainer": {"batch_size": 24, **(trainer or {})}},
        "objective": {"metric": "val/mae"},
        "space": space or {"model.hidden_size": {"choice": [4, 8]}},
        "resources": resources,
    }, place="toy.yaml"), "toy.yaml")  # fmt: skip


def test_the_batch_and_the_rate_are_the_experiments_whatever_the_workers() -> None:
    for workers in (1, 2, 3, 8):
        config = spec_of({"workers": workers, "cpus": 2}).trial_config({}, 0)
        assert (config.trainer.workers, config.trainer.threads) == (workers, 2)
        assert (config.trainer.batch_size, config.optimizer.lr) == (24, 0.01)


@pytest.mark.parametrize(("rule", "factor"), [("none", 1.0), ("linear", 4.0), ("sqrt", 2.0)])
def test_a_batch_for_each_worker_scales_the_rate_as_asked(rule: str, factor: float) -> None:
    spec = spec_of({"workers": 4, "batch": "per_worker", "lr_rule": rule}, space={"optimizer.lr": {"choice": [0.01]}})
    config = spec.trial_config({"optimizer.lr": 0.02}, 0)
    assert (config.trainer.batch_size, config.trainer.workers) == (96, 4)
    assert math.isclose(config.optimizer.lr, 0.02 * factor)


@pytest.mark.parametrize(("resources", "more", "message"), [
    ({"workers": 5}, {}, "24 examples cannot be shared evenly by 5 workers"),
    ({"workers": 2}, {"space": {"trainer.batch_size": {"choice": [8, 15]}}}, "15 examples cannot be shared evenly"),
    ({"workers": 2}, {"space": {"trainer.batch_size": {"int_uniform": [8, 64]}}}, "cannot share every number evenly"),
    ({"workers": 2}, {"space": {"trainer.workers": {"choice": [1, 2]}}}, r"'trainer\.workers' is set by the sweep"),
    ({"workers": 2}, {"trainer": {"workers": 4}}, r"experiment\.trainer\.workers: is 4, and resources\.workers is 2"),
    ({"workers": [2, 4], "batch": "per_worker"}, {}, "needs one number of workers"),
    ({"workers": 2, "lr_rule": "linear"}, {}, "does nothing where the batch is the same"),
])  # fmt: skip
def test_what_cannot_be_shared_or_means_two_things_is_refused(resources, more, message) -> None:
    with pytest.raises(ConfigError, match=message):
        spec_of(resources, **more)


@pytest.mark.parametrize(("room", "others", "batch_size", "workers"), [
    (16, 0, 24, 8),  # the most
    (7, 0, 24, 6),  # 7 would not share 24 evenly
    (8, 2, 24, 4),  # two others get their 2 each
    (3, 2, 24, 2),  # too little room: the least, which waits
    (8, 0, 14, 7),
])  # fmt: skip
def test_an_open_number_is_as_many_as_fit_and_share_the_batch_evenly(room, others, batch_size, workers) -> None:
    wanted = Resources(workers=(2, 8))
    assert share(wanted, room=room, others=others, batch_size=batch_size) == workers


def test_a_machine_of_four_cores_gives_an_open_number_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert logical_cpus(Resources(workers=(2, 8)), 1) == 4
    assert logical_cpus(Resources(workers=(2, 8)), 3) == 6  # two each, as asked
    assert logical_cpus(Resources(cpus=2), 4) == 8


def test_the_log_says_how_many_workers_an_attempt_had_and_hours_count_each(tmp_path: Path) -> None:
    spec = make_spec(resources={"workers": [2, 8], "cpus": 1})
    ledger = opened(tmp_path / "s", spec)
    ledger.workers_for = lambda trial: 6
    ledger.next("a")
    start = ledger.log.records[-1]
    assert (start["event"], start["workers"]) == ("start", 6)
    trial = ledger.trials["t0000"]
    ledger._apply({"event": "result", "trial": "t0000", "epoch": 1, "metrics": {spec.goal.metric: 1.0},
                   "checkpoint": "", "outcome": None, "ts": trial.started_ms + 1000}, proposed=False)  # fmt: skip
    assert (trial.workers, trial.busy_ms, trial.worked_ms) == (6, 1000, 6000)


def test_a_cluster_that_has_become_too_small_is_said_once_and_so_is_its_return() -> None:
    now, nodes, said = [0.0], [{"Alive": True, "Resources": {"CPU": 2.0}}] * 2, []
    waiting = Waiting(Resources(workers=2, cpus=2), lambda: nodes, said.append, lambda: now[0])

    def later(*states: str) -> None:
        now[0] += LOOK_S + 1
        waiting.look(states)

    later("PENDING")
    assert said == []  # there is room: Ray is about to place it
    nodes = nodes[:1]
    later("RUNNING", "PENDING")
    assert said == []
    later("PENDING")
    later("PENDING", "TERMINATED")
    assert len(said) == 1
    asked = "resources.workers: one trial asks for 2 workers of 2 CPUs, of which 1 fit"
    assert said[0].startswith(f"waiting for nodes: {asked}")
    assert "the cluster has 1 node of 2 CPUs" in said[0]
    nodes = nodes * 2
    later("PENDING")
    assert said[1:] == ["the cluster has room again"]
