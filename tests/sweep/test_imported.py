"""Sweeps of other tools: what they mean there is what they mean here, and the rest is listed."""

import math
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from gatesweep.config.yaml_file import parse
from gatesweep.errors import ConfigError
from gatesweep.sweep.imported.reading import Imported, import_sweep
from gatesweep.sweep.imported.writing import flow
from gatesweep.sweep.spec import load_spec

FILES = Path(__file__).parent / "imported_files"
TRAFFIC = Path(__file__).parents[2] / "configs" / "experiments" / "traffic.yaml"
WANDB = {"method": "random", "metric": {"name": "val_loss"}, "parameters": {"lr": {"min": "0.001", "max": "0.1"}}}
LR = {"name": "lr", "parameterType": "double", "feasibleSpace": {"min": "0.001", "max": "0.1"}}
CONTINUOUS = {"lr": {"min": "1e-3", "max": "0.1"}, "dropout": {"min": "0.0", "max": "0.5"}}


@pytest.fixture
def importing(tmp_path: Path):
    """Import what these keys spell."""

    def run(raw: dict, *renames: str, experiment: Path | None = TRAFFIC) -> Imported:
        file = tmp_path / "theirs.yaml"
        file.write_text(yaml.safe_dump(raw, sort_keys=False))
        return import_sweep(file, experiment=experiment, out=tmp_path / "ours.yaml", renames=renames)

    return run


def wandb(**changes) -> dict:
    return {**WANDB, **changes}


def katib(parameters=(LR,), algorithm="random", settings=None, **spec) -> dict:
    named = [{"name": key, "value": value} for key, value in (settings or {}).items()]
    return {"apiVersion": "kubeflow.org/v1beta1", "kind": "Experiment", "metadata": {"name": "x"},
            "spec": {"objective": {"type": "minimize", "objectiveMetricName": "val_loss"},
                     "algorithm": {"algorithmName": algorithm, "algorithmSettings": named},
                     "parameters": list(parameters), **spec}}  # fmt: skip


def keys(found: Imported) -> set[str]:
    return {each.key for each in found.unmapped}


def test_a_wandb_sweep_is_the_same_search_here(tmp_path):
    out = tmp_path / "ours.yaml"
    found = import_sweep(FILES / "wandb.yaml", experiment=TRAFFIC, out=out)
    out.write_text(found.text)
    spec = load_spec(out)
    assert spec.space["optimizer.lr"].bounds == pytest.approx((1e-4, 1e-1), rel=1e-5)
    assert {key: dim.corners for key, dim in spec.space.items() if key != "optimizer.lr"} == {
        "trainer.batch_size": (32, 64, 128), "model.hidden_size": tuple(range(16, 129, 16)),
        "model.cell": ("vanilla", "gru"), "model.dropout": (0.0, 0.5), "optimizer.name": ("adam", "sgd")}  # fmt: skip
    assert (spec.name, spec.question, spec.experiment.model.layers) == (
        "lstm-traffic--bayes", "Which size forecasts best?", 2)  # fmt: skip
    assert (spec.goal.metric, spec.goal.mode, spec.budget.target, spec.budget.trials) == ("val/loss", "min", 0.1, 40)
    assert (spec.search.name, spec.scheduler.name) == ("gp", "asha")
    assert spec.scheduler.milestones(27) == [3, 9, 27]
    assert keys(found) == {
        "program", "project", "command", "early_terminate.strict", "parameters.weight_decay", "parameters.embed_dim",
        "parameters.optimizer", "parameters.optimizer.probabilities", "parameters.model.rnn_type"}  # fmt: skip
    assert all(f"#   {each.key} = " in found.text for each in found.unmapped)
    assert "  # embed_dim: {choice: [64, 128]}" in found.text


def test_a_katib_experiment_is_the_same_search_here(tmp_path):
    out = tmp_path / "ours.yaml"
    found = import_sweep(FILES / "katib.yaml", experiment=TRAFFIC, out=out)
    out.write_text(found.text)
    spec = load_spec(out)
    assert {key: (dim.kind, dim.corners) for key, dim in spec.space.items()} == {
        "optimizer.lr": ("log_uniform", (1e-4, 0.1)), "model.hidden_size": ("int_uniform", (16, 128)),
        "model.dropout": ("choice", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)), "optimizer.name": ("choice", ("adam", "sgd")),
        "trainer.batch_size": ("choice", (32, 64))}  # fmt: skip
    assert (spec.search.name, spec.search.seed, spec.search.startup_trials) == ("tpe", 7, 8)
    assert (spec.scheduler.name, spec.scheduler.grace_epochs, spec.scheduler.min_trials) == ("median", 3, 4)
    assert (spec.budget.trials, spec.budget.concurrent, spec.budget.target) == (24, 3, 0.05)
    assert spec.failure.breaker == 0.25
    assert keys(found) == {
        "metadata.namespace", "spec.objective.additionalMetricNames", "spec.algorithm.algorithmSettings.gamma",
        "spec.parameters.optimizer", "spec.trialTemplate"}  # fmt: skip


RANGES = [
    ({"min": "16", "max": "64"}, {"int_uniform": ["16", "64"]}),
    ({"distribution": "log_uniform_values", "min": "1e-4", "max": "0.1"}, {"log_uniform": ["1e-4", "0.1"]}),
    ({"distribution": "inv_log_uniform", "min": "0", "max": "2"}, {"log_uniform": ["0.135335", "1"]}),
    ({"distribution": "q_uniform", "min": "0.1", "max": "0.4", "q": "0.1"}, {"choice": ["0.1", "0.2", "0.3", "0.4"]}),
    ({"distribution": "q_log_uniform_values", "min": "8", "max": "256", "q": "1"}, {"log_int_uniform": ["8", "256"]}),
    ({"value": "3"}, {"choice": ["3"]}),
    ({"min": "0.5", "max": "0.5"}, {"choice": ["0.5"]}),
]


@pytest.mark.parametrize(("theirs", "ours"), RANGES)
def test_each_distribution_of_wandb_has_its_kind(importing, theirs, ours):
    parameters = {**WANDB["parameters"], "x": theirs}
    found = importing(wandb(parameters=parameters), "x=data.x", experiment=None)
    space, constants = found.values["space"], found.values.get("experiment")
    assert space.get("data.x") == ours or constants == {"data": {"x": ours["choice"][0]}}


def test_an_exponent_is_an_exponent(importing):
    low, high = importing(wandb(parameters={"lr": {"distribution": "log_uniform", "min": -7.5, "max": -2}})).values[
        "space"]["optimizer.lr"]["log_uniform"]  # fmt: skip
    assert (float(low), float(high)) == pytest.approx((math.exp(-7.5), math.exp(-2)), rel=1e-5)


def test_min_iter_begins_the_ladder(importing):
    found = importing(wandb(early_terminate={"type": "hyperband", "min_iter": "2", "eta": "2"}))
    assert found.values["scheduler"] == {"name": "asha", "grace_epochs": 2, "reduction": 2}


def test_a_grid_has_a_trial_for_each_point_and_every_step_of_a_range(importing):
    found = importing(wandb(method="grid", parameters={"lr": {"values": ["0.1", "0.01"]},
                                                       "hidden_size": {"min": "8", "max": "10"}}))  # fmt: skip
    assert found.values["space"]["model.hidden_size"] == {"choice": ["8", "9", "10"]}
    assert found.values["budget"] == {"trials": 6}


@pytest.mark.parametrize(("theirs", "ours"), [
    ("random", "random"), ("bayesianoptimization", "gp"), ("tpe", "tpe"), ("sobol", "qmc"), ("cmaes", "cmaes"),
])  # fmt: skip
def test_each_algorithm_of_katib_has_its_search(importing, theirs, ours):
    two = (LR, {**LR, "name": "dropout"})
    found = importing(katib(two, theirs))
    assert (found.values["search"]["name"], keys(found)) == (ours, set())


def test_what_has_no_search_here_is_listed_and_random_stands_in(importing):
    found = importing(katib(algorithm="enas", settings={"depth": "8"}))
    assert found.values["search"]["name"] == "random"
    assert keys(found) == {"spec.algorithm.algorithmName", "spec.algorithm.algorithmSettings.depth"}


def test_katibs_population_is_ours(importing):
    settings = {"n_population": "10", "truncation_threshold": "0.3", "resample_probability": "0.1"}
    found = importing(katib(algorithm="pbt", settings=settings, maxTrialCount=60))
    assert found.values["scheduler"] == {"name": "pbt", "factors": [0.8, 1.2], "resample": 0.1, "quantile": 0.3}
    assert (found.values["search"]["name"], found.values["budget"]) == ("random", {"trials": 10, "concurrent": 3})
    assert keys(found) == {"spec.maxTrialCount"}
    assert importing(katib(algorithm="pbt")).values["scheduler"] == {
        "name": "pbt", "factors": [0.8, 1.2], "resample": 0.0, "quantile": 0.2}  # fmt: skip


def test_a_population_over_what_cannot_change_is_listed(importing):
    hidden = {"name": "hidden_size", "parameterType": "int", "feasibleSpace": {"min": "8", "max": "64"}}
    found = importing(katib((LR, hidden), "pbt"))
    assert (found.values["scheduler"], keys(found)) == ({"name": "none"}, {"spec.algorithm"})
    sizes = {**hidden, "parameterType": "categorical", "feasibleSpace": {"list": ["16", "32"]}}
    assert importing(katib((LR, sizes), "pbt")).values["scheduler"]["name"] == "pbt"


def test_cmaes_over_one_range_is_listed(importing):
    found = importing(katib(algorithm="cmaes"))
    assert (found.values["search"]["name"], keys(found)) == ("tpe", {"spec.algorithm"})


def test_hyperband_of_katib_says_how_long_trials_train(importing):
    epochs = {"name": "epochs", "parameterType": "int", "feasibleSpace": {"min": "1", "max": "9"}}
    found = importing(katib((LR, epochs), "hyperband", {"r_l": "9", "eta": "3", "resource_name": "epochs"}))
    assert found.values["scheduler"] == {"name": "hyperband", "grace_epochs": 1, "reduction": 3}
    assert found.values["experiment"]["trainer"] == {"max_epochs": "9"}
    assert list(found.values["space"]) == ["optimizer.lr"]
    assert keys(found) == {"spec.parameters.epochs"}


def test_a_schedule_over_trials_of_unequal_length_is_listed(importing):
    parameters = {**CONTINUOUS, "epochs": {"values": ["4", "8"]}}
    found = importing(wandb(parameters=parameters, early_terminate={"type": "hyperband", "min_iter": "2"}))
    assert (found.values["scheduler"], keys(found)) == ({"name": "none"}, {"early_terminate"})


def test_a_continuous_range_over_whole_numbers_becomes_whole(importing):
    found = importing(wandb(parameters={"hidden_size": {"distribution": "uniform", "min": "16.5", "max": "64.5"}}))
    assert found.values["space"] == {"model.hidden_size": {"int_uniform": ["17", "64"]}}


def test_values_are_tried_beside_the_constants_of_their_file(importing):
    parameters = {**CONTINUOUS, "optimizer": {"value": "sgd"}, "momentum": {"value": "0.9"},
                  "nesterov": {"values": ["true", "false"]}}  # fmt: skip
    assert importing(wandb(parameters=parameters)).values["space"]["optimizer.nesterov"] == {
        "choice": ["true", "false"]}  # fmt: skip


def test_renames_reach_parameters_and_the_metric(importing):
    found = importing(wandb(metric={"name": "score"}, parameters={"width": {"values": ["8", "16"]}}),
                      "width=model.hidden_size", "score=val/mae")  # fmt: skip
    assert found.values["objective"] == {"metric": "val/mae", "mode": "min"}
    assert found.mapped == {"width": "model.hidden_size"}
    assert keys(found) == set()


def test_a_metric_that_nobody_reports_is_listed_and_the_experiments_own_taken(importing):
    found = importing(wandb(metric={"name": "score", "target": "3"}))
    assert found.values["objective"] == {"metric": "val/mae", "mode": "min"}
    assert keys(found) == {"metric.name", "metric.target"}


def test_two_names_for_one_key_do_not_overwrite_each_other(importing):
    found = importing(wandb(parameters={**CONTINUOUS, "learning_rate": {"values": ["1"]}}))
    assert found.values["space"]["optimizer.lr"] == {"uniform": ["1e-3", "0.1"]}
    assert keys(found) == {"parameters.learning_rate"}


WRONG = [
    (wandb(parameters={"lr": {"min": "0.1", "max": "0.01"}}), "parameters.lr: min 0.1 is above max 0.01"),
    (wandb(parameters={"lr": {"min": "0.1"}}), "parameters.lr: uniform has no max"),
    (wandb(parameters={"lr": {"min": "low", "max": "1"}}), "parameters.lr.min: is a number, not low"),
    (wandb(parameters={"lr": {"min": ".nan", "max": "1"}}), "parameters.lr.min: is a number"),
    (wandb(parameters={"lr": {"min": "1", "max": "1e999999999"}}), "beyond what a float can hold"),
    (wandb(parameters={"lr": {"distribution": "log_uniform", "min": "1", "max": "9999"}}), "takes exponents"),
    (wandb(parameters={"lr": {"distribution": "log_uniform_values", "min": "0", "max": "1"}}), "starts above 0"),
    (wandb(parameters={"lr": {"distribution": "zipf", "min": "0", "max": "1"}}), "there is no distribution 'zipf'"),
    (wandb(parameters={"lr": {"values": []}}), "parameters.lr.values: is a list of at least one value"),
    (wandb(parameters={"lr": {"value": "1", "min": "0", "max": "1"}}), "has value and min and max at once"),
    (wandb(parameters={"lr": {"values": ["1"] * 1001}}), "parameters.lr.values: lists 1001 values"),
    (wandb(parameters={"lr": "0.1"}), "parameters.lr: is a section with keys of its own, not 0.1"),
    (wandb(parameters={"odd": {"values": ["1", "2"]}}), "nothing to search is left"),
    (wandb(method="grid"), "parameters.lr: a grid has no end over a range without a q"),
    (wandb(run_cap="-3"), "run_cap: is a whole number of at least 1, not -3"),
    (wandb(metric={"name": "val_loss", "goal": "up"}), "metric.goal: is minimize or maximize, not up"),
    (wandb(metric={"name": "val_loss", "goal": "maximize"}), "would be no valid sweep: objective.mode: is max"),
    (wandb(early_terminate={"type": "hyperband"}), "hyperband has neither min_iter nor max_iter"),
    (katib([{**LR, "parameterType": "complex"}]), "parameterType: is one of double, int, categorical, discrete"),
    (katib([{**LR, "feasibleSpace": {"min": "0", "max": "1", "distribution": {"a": "b"}}}]), "distribution: is a word"),
    (katib([LR, LR]), "spec.parameters: 'lr' is there twice"),
    (katib(maxTrialCount="many"), "spec.maxTrialCount: is a number, not many"),
    ({"apiVersion": "kubeflow.org/v1", "kind": "TFJob"}, "TFJob of kubeflow.org/v1 cannot be imported"),
    ({"task": "forecasting"}, "is neither a Weights & Biases sweep nor a Katib Experiment"),
]


@pytest.mark.parametrize(("raw", "message"), WRONG, ids=lambda each: each[:40] if isinstance(each, str) else "")
def test_a_broken_file_is_one_message_that_names_file_and_key(importing, raw, message):
    with pytest.raises(ConfigError) as told:
        importing(raw)
    assert message in str(told.value)
    assert "theirs.yaml: " in str(told.value)


@pytest.mark.parametrize(("rename", "message"), [
    ("lr", "is not THEIRS=OURS"), ("lrr=optimizer.lr", "there is no parameter or metric 'lrr'"),
    ("lr=optimizer.rate", "the experiment has no 'optimizer.rate'"),
])  # fmt: skip
def test_a_rename_that_leads_nowhere_is_refused(importing, rename, message):
    with pytest.raises(ConfigError, match=message):
        importing(WANDB, rename)


@given(st.text(), st.text())
def test_nothing_of_their_file_gets_out_of_its_place(tmp_path_factory, name, value):
    file = tmp_path_factory.mktemp("any") / "theirs.yaml"
    raw = wandb(parameters={**CONTINUOUS, f"odd{name}": {"value": value}}, description=f"q{value}", program=value)
    file.write_text(yaml.safe_dump(raw))
    found = import_sweep(file)
    assert set(parse(found.text, "ours")) == set(found.values)
    assert parse(found.text, "ours")["space"] == {
        "optimizer.lr": {"uniform": ["1e-3", "0.1"]}, "model.dropout": {"uniform": ["0", "0.5"]}}  # fmt: skip


@example({"\u0100" * 300: "x"})  # a key that is written with more than 1,024 characters
@given(st.recursive(st.none() | st.text(), lambda below: st.lists(below) | st.dictionaries(st.text(), below)))
def test_a_value_comes_back_from_the_line_that_spells_it(value):
    assert parse(f"x: {flow(value)}", "x") == {"x": value}
