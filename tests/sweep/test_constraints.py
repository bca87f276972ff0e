"""Constraints: what violates one is never tried, and whatever dies, the same proposals come."""

import random
from pathlib import Path

import pytest
from fakes import SPACE, drive, make_spec, opened

from gatesweep.errors import ConfigError
from gatesweep.storage import place
from gatesweep.sweep import admission
from gatesweep.sweep.admission import REJECTED, Admission
from gatesweep.sweep.constraints import parse
from gatesweep.sweep.replay import replay
from gatesweep.sweep.search import searcher

WIDTH = "model.hidden_size * (model.dropout + 1) <= 40"
SEARCHES = [
    {"name": "random"},
    {"name": "tpe", "startup_trials": 3, "candidates": 8},
    {"name": "tpe", "startup_trials": 3, "learn_from": "rung"},
    {"name": "qmc"},
    pytest.param({"name": "gp", "startup_trials": 3}, marks=pytest.mark.slow),
    {"name": "cmaes", "population": 4},
    {"name": "nsga2", "population": 4, "crossover": 0.8, "mutation": 0.3},
]


def _spec(search, **changes):
    return make_spec(**{"search": {"seed": 3, **search}, "constraints": [WIDTH], "failure": {"retries": 99}, **changes})


def _new(records):
    return [r for r in records if r["event"] == "new"]


def _width(params):
    return params["model.hidden_size"] * (params["model.dropout"] + 1)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_no_trial_violates_a_constraint_and_a_killed_sweep_proposes_what_an_unkilled_one_does(tmp_path: Path, search):
    spec = _spec(search, budget={"trials": 12, "concurrent": 1})
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.1, death=0.03)
    assert kills > 1
    assert [(r["params"], r["memory"]) for r in _new(wild)] == [(r["params"], r["memory"]) for r in _new(calm)]
    assert len(_new(calm)) == 12, "what is rejected costs no trial"
    assert max(_width(r["params"]) for r in _new(calm)) <= 40
    assert any(r["memory"].get(REJECTED) for r in _new(calm))


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_replay_of_a_constrained_search_with_three_at_a_time_gives_its_log(tmp_path: Path, search):
    spec = _spec(search, budget={"trials": 12, "concurrent": 3})
    _, kills = drive(tmp_path, spec, random.Random(1), crash=0.08, death=0.02)
    assert kills > 1
    assert replay(place(tmp_path))[1] == []


@pytest.mark.parametrize("search", ["tpe", "cmaes", "nsga2"])
def test_draws_of_the_space_when_the_sampler_finds_nothing_are_exact_too(tmp_path: Path, monkeypatch, search):
    from gatesweep.sweep.modelled import Modelled

    monkeypatch.setattr(Modelled, "patience", 1)
    spec = _spec({"name": search}, budget={"trials": 10, "concurrent": 2})
    records, kills = drive(tmp_path, spec, random.Random(2), crash=0.1)
    assert kills > 1
    assert any(r["memory"].get(REJECTED, 0) > 1 for r in _new(records))
    assert replay(place(tmp_path))[1] == []


def test_without_constraints_and_with_one_that_always_holds_the_proposals_are_the_same():
    for search in ({"name": name} for name in ("random", "tpe", "qmc", "gp", "cmaes", "nsga2")):
        free, held = (searcher(make_spec(search=search, constraints=given))
                      for given in ([], ["model.hidden_size <= 128"]))  # fmt: skip
        assert [free.propose(n) for n in range(4)] == [held.propose(n) for n in range(4)]


def test_a_grid_leaves_out_the_combinations_that_violate_and_says_how_many():
    space = {"model.hidden_size": {"choice": [8, 16, 32]}, "model.layers": {"choice": [1, 2]}}
    spec = make_spec(space=space, search={"name": "grid"}, constraints=["model.hidden_size * model.layers < 32"])
    search = searcher(spec)
    proposed = [search.propose(n) for n in range(4)]
    assert [tuple(each[0].values()) for each in proposed[:3]] == [(8, 1), (8, 2), (16, 1)]
    assert proposed[3] is None
    assert Admission(spec).must_be_possible() == ["constraints: 3 of the grid's 6 combinations are left out"]


def test_parameters_are_those_of_the_module_that_is_trained():
    from gatesweep.runs.build import prepare

    spec = make_spec(constraints=["model.parameters <= 300"])
    judge = Admission(spec)
    for size in (8, 49, 50, 128):
        params = {**dict.fromkeys(SPACE, 0.1), "model.hidden_size": size, "optimizer.name": "adamw"}
        params.pop("optimizer.momentum")
        task, _ = prepare(spec.trial_config(params, 0))
        there = sum(p.numel() for p in task.module.parameters())
        assert there == 6 * size + 1
        assert judge.admits(params) == (there <= 300)


def test_a_sweep_whose_constraints_leave_too_little_stops_resumably(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("gatesweep.sweep.independent.MOST_DRAWS", 3)
    ledger = opened(tmp_path, _spec({"name": "random"}, constraints=["model.hidden_size <= 8"]))
    assert ledger.next("a") == "finished"
    assert ledger.stopped == "constraints: none of 3 draws for trial 0 satisfies them"
    assert not ledger.finished


def test_what_no_random_configuration_satisfies_is_refused_with_the_numbers(monkeypatch):
    monkeypatch.setattr(admission, "MOST_DRAWS", 5)
    with pytest.raises(ConfigError, match="none of 5 random configurations satisfies them") as refused:
        Admission(make_spec(constraints=["model.parameters <= 3"])).must_be_possible()
    assert "model.parameters = " in str(refused.value)


def test_a_point_that_violates_is_refused():
    search = {"name": "tpe", "points": [{"model.hidden_size": 128}]}
    with pytest.raises(ConfigError, match=r"search\.points\[0\]: violates model.hidden_size <= 64 \(.* = 128\)"):
        Admission(make_spec(search=search, constraints=["model.hidden_size <= 64"])).must_be_possible()


@pytest.mark.parametrize(
    ("text", "values", "holds"),
    [
        ("a <= 2e6", {"a": 2e6}, True),
        ("a < 2_000_000", {"a": 2e6}, False),
        ("2 >= a", {"a": 2}, True),
        ("a > b / c", {"a": 2, "b": 3, "c": 2}, True),
        ("a - b - c <= 0", {"a": 5, "b": 3, "c": 2}, True),
        ("a - (b - c) <= 0", {"a": 5, "b": 3, "c": 2}, False),
        ("-a * 2 + b <= -.5", {"a": 1, "b": 1}, True),
        ("a / b <= 1e9", {"a": 1, "b": 0}, False),
        ("x.y_2 * 1.5 <= 3", {"x.y_2": 2}, True),
    ],
)
def test_arithmetic_is_pythons(text, values, holds):
    assert parse(text).holds({name: (value, value) for name, value in values.items()}) is holds


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("model.hidden_size", "it compares nothing", "<=, <, >= or >"),
        ("model.hidden_size == 8", "'==' compares nothing", "for example"),
        ("model.hidden_size <= ", "it ends where a number or a name should", "for example"),
        ("model.hidden_size <= 8 8", "'8' follows where it should end", "for example"),
        ("(model.hidden_size <= 8", "a bracket is not closed", "for example"),
        ("__import__('os') <= 8", "'(' compares nothing", "for example"),
        ("model.hiden_size <= 8", "there is no 'model.hiden_size'", "did you mean 'model.hidden_size'?"),
        ("model.params <= 8", "there is no 'model.params'", "model.parameters"),
        ("optimizer.name <= 8", "'optimizer.name' is or may be 'adamw', which is no number", "for example"),
        ("model.layers <= 8", "names no dimension of the space", "model.parameters"),
        ("model.hidden_size * 2 < 16", "nothing in the space satisfies", "model.hidden_size lies within 8 and 128"),
    ],
)
def test_a_constraint_that_cannot_be_meant_is_refused_with_place_value_and_hint(text, said, hint):
    with pytest.raises(ConfigError) as refused:
        make_spec(constraints=["model.hidden_size <= 99", text])
    assert refused.value.place == "test"
    assert refused.value.message.startswith("constraints[1]: ")
    assert said in refused.value.message
    assert hint in (refused.value.hint or "")


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
