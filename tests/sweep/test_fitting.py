"""Promises of the arithmetic of what fits on a cluster."""

from __future__ import annotations

import pytest

from gatesweep.config.loader import build
from gatesweep.errors import ConfigError, ResourceError
from gatesweep.sweep.fitting import Node, check_fits, nodes_of, shape_of, trials_at_once, workers_that_fit
from gatesweep.sweep.options import Resources

SMALL, TWO_GPUS = Node({"CPU": 4.0}), Node({"CPU": 8.0, "GPU": 2.0, "accelerator_type:A100": 1.0})


def test_trials_that_share_gpus_fit_as_often_as_the_devices_hold_them() -> None:
    quarter, third = Resources(gpus=0.25), Resources(gpus=0.3)
    assert trials_at_once(quarter, [TWO_GPUS, TWO_GPUS]) == 16
    assert trials_at_once(third, [TWO_GPUS]) == 6  # 0.1 of each device stays unused, and makes no seventh
    assert trials_at_once(Resources(cpus=3, gpus=0.25), [TWO_GPUS]) == 2  # the cores end first


def test_a_gang_may_span_nodes_and_no_worker_does() -> None:
    assert trials_at_once(Resources(workers=4), [SMALL, SMALL]) == 2
    assert workers_that_fit(Resources(cpus=3), [SMALL, SMALL]) == 2
    check_fits(Resources(cpus=3, workers=2), [SMALL, SMALL])
    with pytest.raises(ResourceError, match=r"resources.workers: one trial asks for 3 workers of 3 CPUs, of which 2 fit"
                                            r", and the cluster has 2 nodes of 4 CPUs") as refused:  # fmt: skip
        check_fits(Resources(cpus=3, workers=3), [SMALL, SMALL])
    assert refused.value.hint == "set resources.workers to at most 2"


def test_eight_gpus_where_no_node_has_them_are_refused_with_the_clusters_shape() -> None:
    with pytest.raises(ResourceError, match=r"lab.yaml: resources.gpus: one trial asks for 8 GPUs, and the cluster has "
                                            r"2 nodes of 8 CPUs and 2 GPUs \(A100\), 1 node of 4 CPUs") as refused:
        check_fits(Resources(gpus=8), [TWO_GPUS, TWO_GPUS, SMALL], place="lab.yaml")
    assert refused.value.hint == "set resources.gpus to at most 2"


def test_a_machine_without_gpus_is_told_to_train_on_its_cores() -> None:
    with pytest.raises(ResourceError, match="this machine has 1 node of 4 CPUs") as refused:
        check_fits(Resources(gpus=1), [SMALL], whole="this machine")
    assert refused.value.hint == "set resources.gpus to 0 to train on the CPU"


def test_a_kind_of_gpu_is_asked_of_the_nodes_that_have_it() -> None:
    check_fits(Resources(gpus=1, accelerator="A100"), [SMALL, TWO_GPUS])
    with pytest.raises(ResourceError, match=r"resources\.accelerator: one trial asks for H100"):
        check_fits(Resources(gpus=1, accelerator="H100"), [TWO_GPUS])


@pytest.mark.parametrize(("condition", "fitting"), [("a", 4), ("!a", 8), ("in(a, b)", 8), ("!in(a,b)", 4)])
def test_labels_take_the_forms_of_ray(condition: str, fitting: int) -> None:
    nodes = [Node({"CPU": 4.0}, {"zone": "a"}), Node({"CPU": 4.0}, {"zone": "b"}), SMALL]
    assert workers_that_fit(Resources(labels={"zone": condition}), nodes) == fitting


def test_a_label_that_no_node_has_is_named() -> None:
    with pytest.raises(ResourceError, match=r"resources.labels: one trial asks for a node with \{zone: c\}"):
        check_fits(Resources(labels={"zone": "c"}), [SMALL])


def test_dead_nodes_hold_nothing() -> None:
    told = [{"Alive": True, "Resources": {"CPU": 4.0}, "Labels": {}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    assert shape_of(nodes_of(told)) == "1 node of 4 CPUs"
    with pytest.raises(ResourceError, match="the cluster has no node"):
        check_fits(Resources(), [])


def test_an_elastic_trial_needs_its_least_number_of_workers_alone() -> None:
    check_fits(Resources(workers=(2, 64)), [SMALL])
    assert trials_at_once(Resources(workers=(2, 64)), [SMALL]) == 2


@pytest.mark.parametrize(("given", "message"), [
    ({"gpus": 1.5}, "no whole number"),
    ({"accelerator": "A100"}, "does nothing without GPUs"),
    ({"workers": [4, 2]}, "turn them round"),
    ({"workers": 0}, "workers"),
])  # fmt: skip
def test_resources_that_make_no_sense_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build(Resources, given, place="resources")
