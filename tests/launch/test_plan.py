"""`plan`: measured at the space's own ends, what cannot fit is refused, and nothing is written."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
from command_line import call, write_project
from fakes import drive, make_spec

import gatesweep
from gatesweep.errors import ClusterError, ConfigError, ResourceError, UserError
from gatesweep.launch.jobs import RayJobs
from gatesweep.launch.plan import effort, planned, room
from gatesweep.launch.plan.corners import corners
from gatesweep.launch.plan.effort import Spread, epoch_times, history
from gatesweep.launch.plan.probe import probe
from gatesweep.launch.plan.room import Nodes
from gatesweep.sweep.admission import Admission
from gatesweep.sweep.fitting import Node
from gatesweep.train.stopwatch import Timed

SMALL = Timed(0.01, 1.0, 8, 1.0, 600_000_000, 200_000_000, None)
LARGE = Timed(0.03, 3.0, 8, 1.0, 1_200_000_000, 200_000_000, None)
KEYS = {"name", "cluster", "trials", "at_once", "corners", "proposals", "epochs", "epoch_s", "trial_hours", "hours",
        "price", "nodes", "packing", "package", "notes", "config"}  # fmt: skip


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements without the processes."""
    monkeypatch.setattr(planned, "probe", lambda config, what, timeout_s: LARGE if "largest" in what else SMALL)


@pytest.fixture
def folder(tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rates = "rates: {cpu_hour: 0.5, currency: CHF}\n"
    ray = f"kind: ray\naddress: http://127.0.0.1:9\ntracking: http://127.0.0.1:9\nstorage: {tmp_path}/shared\n{rates}"
    return write_project(tmp_path, ray=ray, local="kind: local\n")


@pytest.mark.slow
def test_a_real_plan_measures_both_ends_of_the_space_and_writes_nothing(folder, own_home, capsys, monkeypatch) -> None:
    code, out, err = call(capsys, monkeypatch, "plan", "sweep.yaml", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert set(told) == KEYS
    smallest, largest = told["corners"]["smallest"], told["corners"]["largest"]
    assert (smallest["params"]["model.hidden_size"], largest["params"]["model.hidden_size"]) == (4, 8)
    assert (smallest["parameters"], largest["parameters"]) == (6 * 4 + 1, 6 * 8 + 1)
    for corner in (smallest, largest):
        assert 100e6 < corner["memory_bytes"] < 4e9
        assert 0 < corner["shared_bytes"] < corner["memory_bytes"]
        assert corner["steps_per_epoch"] == 1
        assert corner["gpu_bytes"] is None
        assert corner["epoch_s"] > 0
    assert [each["parameters"] for each in told["proposals"]] == [
        6 * each["params"]["model.hidden_size"] + 1 for each in told["proposals"]]  # fmt: skip
    assert told["hours"]["p50"] <= told["hours"]["p90"]
    assert told["epoch_s"]["from"] == "corners"
    assert (told["price"], told["package"]) == (None, None)
    assert not list(own_home.glob("sweeps/*"))
    assert not (own_home / "mlflow.db").exists()


def test_the_tables_tell_a_person_the_same(folder, measured, capsys, monkeypatch) -> None:
    words = ("plan", "sweep.yaml", "--cluster", "ray.yaml", "--set", "budget.trials=8")
    code, out, err = call(capsys, monkeypatch, *words)
    assert code == 0, err
    for said in ("smallest corner", "1,200 MB", "first proposals", "p50", "CHF", "8, 1 at a time", "files,",
                 "resolved configuration", "shares of a GPU were not measured", "the cluster was not asked"):
        assert said in out
    assert not (folder / "shared").exists()


def test_in_python_the_price_is_that_of_the_trials_hours(folder, measured) -> None:
    plan = gatesweep.plan("sweep.yaml", cluster="ray.yaml", overrides=["scheduler.name=none", "resources.cpus=2"])
    assert plan.epochs == Spread(6.0, 6.0)
    assert plan.epoch_times is not None
    assert plan.epoch_times.seconds == Spread(2.0, pytest.approx(2.8))
    assert plan.hours == Spread(pytest.approx(12 / 3600), pytest.approx(16.8 / 3600))
    assert plan.price == {"p50": pytest.approx(12 / 3600), "p90": pytest.approx(16.8 / 3600), "currency": "CHF"}
    assert plan.package is not None
    assert any(entry.name == "sweep.yaml" for entry in plan.package.entries)


def test_a_local_cluster_is_this_machine_and_what_was_not_measured_is_said(folder, measured, monkeypatch) -> None:
    monkeypatch.setattr(room, "_this_machine", lambda: Node({"CPU": 2.0, "GPU": 1.0, "memory": 9e9}))
    monkeypatch.setattr("gatesweep.launch.plan.planned.check_resources", lambda spec, cluster: None)
    words = ["resources.gpus=0.5", "budget.concurrent=2", "resources.cpus=2"]
    plan = gatesweep.plan("sweep.yaml", cluster="local.yaml", overrides=words)
    assert (plan.nodes.source, plan.package, plan.at_once) == ("this machine", None, 2)
    assert any("measured on its CPU" in note for note in plan.notes)
    assert any("2 trials at a time ask for 4 cores and this machine has 2" in note for note in plan.notes)


def test_a_budget_of_time_bounds_the_hours(folder, measured) -> None:
    plan = gatesweep.plan("sweep.yaml", overrides=["budget.trials=1000", "budget.wall_time=30s"])
    assert plan.hours == Spread(pytest.approx(30 / 3600), pytest.approx(30 / 3600))


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["objective.metric=val/mea"], ConfigError, "reports no 'val/mea'"),
        (["resources.cpus=999"], ResourceError, "resources.cpus: one trial asks for 999 CPUs, and this machine has 1"),
        (["resources.gpus=8"], ResourceError, "resources.gpus: one trial asks for 8 GPUs, and this machine has 1 node"),
        (["constraints=['model.parameters < 25']"], ConfigError, "none of 1000 random configurations satisfies them"),
        (["search.warm_start=[gone-1]"], UserError, "no sweep 'gone-1'"),
    ],
    ids=str,
)
def test_what_a_start_would_refuse_is_refused_before_anything_is_measured(folder, words, error, said) -> None:
    with pytest.raises(error, match=said.replace("(", r"\(")):
        gatesweep.plan("sweep.yaml", overrides=words)


def test_what_a_cluster_has_is_asked_of_it_and_more_is_refused_with_its_shape(folder, measured, monkeypatch) -> None:
    monkeypatch.setattr(RayJobs, "nodes", lambda self: [Node({"CPU": 4.0, "GPU": 2.0, "memory": 8e9})] * 2)
    with pytest.raises(ResourceError, match="one trial asks for 8 GPUs, and ray has 2 nodes of 4 CPUs and 2 GPUs"):
        gatesweep.plan("sweep.yaml", cluster="ray.yaml", overrides=["resources.gpus=8"])
    plan = gatesweep.plan("sweep.yaml", cluster="ray.yaml", overrides=["budget.trials=40", "budget.concurrent=20"])
    assert plan.at_once == 8
    assert "budget.concurrent is 20, and the nodes hold 8 trials at a time" in plan.notes


def test_trials_that_do_not_fit_into_memory_together_are_refused(folder, measured, monkeypatch) -> None:
    monkeypatch.setattr(room, "memory_bytes", lambda: 4.0e9)
    more = ["budget.trials=9", "budget.concurrent=4"]
    with pytest.raises(ResourceError, match=r"4 trials at a time of the .* need 4\.2 GB, .* has 4\.0 GB") as no:
        gatesweep.plan("sweep.yaml", overrides=more)
    assert no.value.hint == "--set budget.concurrent=3"
    assert no.value.place is not None
    assert "model.hidden_size = 8" in no.value.place
    assert gatesweep.plan("sweep.yaml", overrides=[*more, "budget.concurrent=3"]).packing.trials_by_memory == 3


def test_a_model_that_no_memory_holds_is_refused_by_counting_it(folder, monkeypatch) -> None:
    monkeypatch.setattr(planned, "probe", lambda *given: pytest.fail("it was to be counted alone"))
    monkeypatch.setattr(room, "memory_bytes", lambda: 700.0)
    with pytest.raises(ResourceError, match="49 parameters: with gradients and the optimizer's numbers") as refused:
        gatesweep.plan("sweep.yaml")
    assert "model.parameters <= " in (refused.value.hint or "")


def test_corners_follow_conditions_and_constraints() -> None:
    space = {"model.hidden_size": {"int_uniform": [8, 64]}, "model.family": {"choice": ["recurrent", "tcn"]},
             "model.layers": {"choice": [1, 3]}, "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
             "model.kernel_size": {"choice": [2, 5], "when": {"model.family": "tcn"}}}  # fmt: skip
    spec = make_spec(space=space)
    found = corners(spec, Admission(spec))
    assert found.largest.params["model.hidden_size"] == 64
    assert found.largest.parameters == 6 * 64 + 1
    assert found.smallest.params == {"model.hidden_size": 8, "model.family": "recurrent", "model.layers": 1,
                                     "optimizer.lr": 1e-4}  # fmt: skip
    held = make_spec(space=space, constraints=["model.parameters <= 200"])
    largest = corners(held, Admission(held)).largest
    assert 6 * 20 + 1 < largest.parameters <= 200


def test_the_epochs_of_a_schedule_are_those_of_real_sweeps_of_made_up_trials(tmp_path: Path) -> None:
    budget = {"trials": 40, "concurrent": 2}
    assert effort.epochs(make_spec(scheduler={"name": "none"}, budget=budget)) == Spread(360, 360)
    expected = effort.epochs(make_spec(budget=budget))
    records, _ = drive(tmp_path, make_spec(search={"name": "random", "seed": 1}, budget=budget), random.Random(3))
    trained = sum(record["event"] == "result" for record in records)
    assert 40 < expected.p50 <= expected.p90 < 360
    assert trained == pytest.approx(expected.p50, rel=0.35)


def test_earlier_sweeps_of_the_name_tell_how_long_an_epoch_is(tmp_path: Path) -> None:
    folder = tmp_path / "sweeps" / "toy-1"
    folder.mkdir(parents=True)
    drive(folder, make_spec(search={"name": "random"}), random.Random(0))
    (tmp_path / "sweeps" / "other-1").mkdir()
    known_s, sweeps = history(make_spec(), [tmp_path, tmp_path])
    assert sweeps == ["toy-1"]
    assert len(known_s) >= 2, "of every trial with two epochs"
    times = epoch_times((1.0, 3.0), [10.0, 20.0, 30.0], sweeps)
    assert times is not None
    assert (times.source, times.seconds.p50) == ("history", 20.0)
    assert epoch_times((1.0, None), [10.0], sweeps) is None


@pytest.mark.parametrize(
    ("trouble", "said"),
    [("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the largest corner: its process was killed"),
     ("raise ValueError('so much')", "the largest corner: ValueError: so much")],
    ids=["killed", "raised"],
)  # fmt: skip
def test_a_corner_that_breaks_its_process_is_told_in_words(monkeypatch, trouble, said) -> None:
    monkeypatch.setattr("gatesweep.launch.plan.probe._COMMAND", trouble)
    with pytest.raises(UserError, match=said):
        probe(make_spec().trial_config({}, 0), "the largest corner")


def test_a_stopwatch_counts_an_epochs_batches_and_takes_a_few() -> None:
    from gatesweep.runs.build import prepare
    from gatesweep.train.stopwatch import timed

    experiment = {"task": "toy_task:ToyTask", "data": {"examples": 320}, "trainer": {"batch_size": 8, "accumulate": 3}}
    task, recipe = prepare(make_spec(experiment=experiment, scheduler={"name": "none"}).trial_config({}, 0))
    told = timed(task, recipe)
    assert told.steps_per_epoch == 14, "40 batches, three a step"
    assert task.module.trainer.global_step == 8, "two to warm up, six that count"
    assert told.epoch_s is not None
    assert told.epoch_s >= 40 * told.step_s / 3
    assert told.memory_bytes > told.shared_bytes > 0
    assert told.busy > 0


def test_on_a_node_of_a_cluster_what_processes_share_counts_once() -> None:
    nodes = Nodes((Node({"CPU": 8.0, "memory": 5e9}),), "the cluster", "lab")
    spec = make_spec(budget={"trials": 12, "concurrent": 12})
    assert room.at_once(spec, nodes) == 8
    packed = room.packing(spec, LARGE, nodes)
    assert (packed.trials_by_memory, packed.recommended, packed.gpus) == (4, 4, None)
    idle = room.packing(spec, Timed(**{**vars(SMALL), "busy": 0.3}), nodes)
    assert (idle.trials_per_core, idle.trials_by_memory) == (3.0, 12)


def test_a_cluster_that_is_silent_is_said_and_its_file_counts(monkeypatch) -> None:
    def silent(self):
        raise ClusterError("nobody answers")

    monkeypatch.setattr(RayJobs, "nodes", silent)
    from gatesweep.launch.config import cluster_from

    cluster = cluster_from({"kind": "ray", "name": "lab", "address": "http://x:1", "tracking": "http://x:2",
                            "storage": "/tmp/x"}, place="lab.yaml")  # fmt: skip
    nodes = room.nodes_of(cluster)
    assert (nodes.there, nodes.source) == ((), "the cluster's file, for nobody answers")


def test_pods_of_a_groups_most_replicas_are_nodes() -> None:
    from gatesweep.launch.config import cluster_from

    cluster = cluster_from({"kind": "kuberay", "name": "k", "image": "x:1", "tracking": "http://x:2",
                            "storage": "s3://b/p", "workers": [{"name": "gpu", "cpus": 4, "gpus": 2, "memory": "16Gi",
                                                                "max_replicas": 2}]}, place="k.yaml")  # fmt: skip
    nodes = room.nodes_of(cluster)
    assert nodes.shape == "2 nodes of 4 CPUs and 2 GPUs"
    assert nodes.there[0].resources["memory"] == 16 << 30
    assert room.on_one_node(make_spec(budget={"trials": 9, "concurrent": 9}), nodes.there[0], nodes) == 4


def test_a_cluster_tells_of_its_living_nodes_by_its_state_api(monkeypatch) -> None:
    from gatesweep.launch.config import cluster_from

    told = {"data": {"result": {"result": [
        {"state": "ALIVE", "resources_total": {"CPU": 4.0, "memory": 9e9}, "labels": {"zone": "a"}},
        {"state": "DEAD", "resources_total": {"CPU": 64.0}},
    ]}}}  # fmt: skip
    asked = SimpleNamespace(_do_request=lambda *words, **more: SimpleNamespace(ok=True, json=lambda: told))
    jobs = RayJobs(cluster_from({"kind": "ray", "address": "http://x:1", "tracking": "http://x:2", "storage": "/tmp/x",
                                 "name": "lab"}, place="lab.yaml"))  # fmt: skip
    monkeypatch.setattr(jobs, "_client", lambda: asked)
    assert jobs.nodes() == [Node({"CPU": 4.0, "memory": 9e9}, {"zone": "a"})]
