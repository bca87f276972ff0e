"""Every search: the same proposals whatever dies, and what each of them promises of its own."""

import random
from pathlib import Path

import numpy as np
import pytest
from fakes import SPACE, drive, make_spec, opened
from scipy.stats import qmc

from gatesweep.errors import ConfigError
from gatesweep.storage import place
from gatesweep.sweep.replay import replay
from gatesweep.sweep.search import searcher
from gatesweep.sweep.spec import startable

SEARCHES = [
    {"name": "random"},
    {"name": "tpe", "startup_trials": 3, "candidates": 8},
    {"name": "qmc"},
    {"name": "qmc", "sequence": "halton"},
    {"name": "gp", "startup_trials": 3},
    {"name": "cmaes", "population": 4},
    {"name": "cmaes", "population": 4, "separable": True},
    {"name": "nsga2", "population": 4, "crossover": 0.8, "mutation": 0.3},
]


def _spec(search, **changes):
    return make_spec(search={"seed": 3, **search}, failure={"retries": 99}, **changes)


def _proposals(records):
    return [r["params"] for r in records if r["event"] == "new"]


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_killed_search_proposes_what_an_unkilled_one_does(tmp_path: Path, search):
    spec = _spec(search, budget={"trials": 12, "concurrent": 1})
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.1, death=0.03)
    assert kills > 1
    assert _proposals(wild) == _proposals(calm)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_replay_of_a_killed_search_with_three_at_a_time_gives_its_log(tmp_path: Path, search):
    spec = _spec(search, budget={"trials": 14, "concurrent": 3})
    records, kills = drive(tmp_path, spec, random.Random(1), crash=0.08, death=0.02)
    assert kills > 1
    compared, differences = replay(place(tmp_path))
    assert differences == []
    assert compared == sum(r["event"] in ("new", "result") for r in records)


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_trial_that_is_tried_again_leaves_the_replay_exact(tmp_path: Path, search):
    from gatesweep.sweep.failures import Death

    spec = _spec(search, budget={"trials": 9, "concurrent": 1}, scheduler={"name": "none"})
    ledger = opened(tmp_path, spec)
    for number in range(7):
        ledger.next(key := str(number))
        if number in (1, 4):
            ledger.failed(key, Death("nan", "the loss is nan"))
        else:
            ledger.result(key, _last(number))
        ledger.released(key)
    ledger.retry()
    for key in "abcd":
        ledger.next(key)
        ledger.result(key, _last(7, ledger.trials[ledger.running[key]].attempt))
        ledger.released(key)
    ledger.log.close()
    assert ledger.finished
    assert replay(place(tmp_path))[1] == []


def _last(number, attempt=1):
    metrics = {"val/mae": 1.0 + (number * 7 % 5)}
    return {"attempt": attempt, "epoch": 1, "metrics": metrics, "checkpoint": "", "final": True}


def test_quasi_random_proposals_are_scipys_sequence_and_fill_every_eighth_of_a_range_once():
    space = {"model.dropout": {"uniform": [0.0, 0.8]}, "optimizer.lr": {"log_uniform": [1e-4, 1e-1]}}
    search = searcher(make_spec(space=space, search={"name": "qmc", "seed": 5}))
    drawn = [search.propose(n)[0] for n in range(8)]
    eighths = sorted(int(params["model.dropout"] / 0.1) for params in drawn)
    assert eighths == list(range(8))
    from gatesweep.config.digest import seed_of

    unit = qmc.Sobol(2, rng=np.random.default_rng(seed_of(5, "qmc"))).random(8)
    assert [p["model.dropout"] for p in drawn] == pytest.approx(list(unit[:, 0] * 0.8))
    assert np.log10([p["optimizer.lr"] for p in drawn]) == pytest.approx(-4 + 3 * unit[:, 1])


@pytest.mark.parametrize("search", [{"name": "gp", "startup_trials": 4}, {"name": "cmaes", "population": 6}], ids=str)
def test_a_search_that_learns_comes_nearer_to_the_optimum_than_its_first_proposals(search):
    space = {"model.dropout": {"uniform": [0.0, 0.9]}, "optimizer.momentum": {"uniform": [0.0, 0.99]},
             "optimizer.lr": {"log_uniform": [1e-4, 1e-1]}}  # fmt: skip
    searching = searcher(make_spec(space=space, search={**search, "seed": 1}))
    scores = []
    for number in range(30):
        params, _ = searching.propose(number)
        x = [params["model.dropout"] - 0.3, params["optimizer.momentum"] - 0.6, np.log10(params["optimizer.lr"]) + 2.5]
        scores.append(float(np.dot(x, x)))
        searching.tell(number, [scores[-1]])
    assert np.median(scores[-8:]) < 0.5 * np.median(scores[:8])


def test_cmaes_is_what_optuna_proposes_when_it_is_driven_directly_and_never_restarted():
    import optuna

    from gatesweep.config.digest import seed_of

    space = {"model.dropout": {"uniform": [0.0, 0.9]}, "optimizer.momentum": {"uniform": [0.0, 0.99]}}
    spec = make_spec(space=space, search={"name": "cmaes", "seed": 2, "population": 4})
    study, first = optuna.create_study(), searcher(spec)
    told = []
    for number in range(14):
        study.sampler = optuna.samplers.CmaEsSampler(
            seed=seed_of(2, "cmaes", number), popsize=4, n_startup_trials=1, warn_independent_sampling=False,
            independent_sampler=optuna.samplers.TPESampler(
                seed=seed_of(2, "cmaes", number), n_startup_trials=6, constant_liar=True))  # fmt: skip
        trial = study.ask()
        theirs = {"model.dropout": trial.suggest_float("model.dropout", 0.0, 0.9),
                  "optimizer.momentum": trial.suggest_float("optimizer.momentum", 0.0, 0.99)}  # fmt: skip
        restarted = searcher(spec)
        for earlier, (params, value) in enumerate(told):
            restarted.adopt(earlier, params, {})
            restarted.tell(earlier, [value])
        ours = first.propose(number)[0]
        assert ours == restarted.propose(number)[0] == theirs
        told.append((ours, ours["model.dropout"] + (ours["optimizer.momentum"] - 0.5) ** 2))
        study.tell(trial, told[-1][1])
        first.tell(number, [told[-1][1]])


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"name": "random", "startup_trials": 3}, "search.startup_trials: 3 does nothing with `search.name: random`"),
        ({"name": "gp", "candidates": 9}, "search.candidates: 9 does nothing"),
        ({"name": "tpe", "population": 9}, "search.population: 9 does nothing"),
        ({"name": "cmaes", "sequence": "halton"}, "search.sequence: 'halton' does nothing"),
    ],
)
def test_an_option_that_does_nothing_is_refused_with_the_searches_that_it_is_for(search, said):
    with pytest.raises(ConfigError, match=said) as refused:
        startable(make_spec(search=search), "sweep.yaml")
    assert "leave it out" in refused.value.hint


def test_cmaes_without_two_ranges_is_refused():
    space = {"optimizer.name": SPACE["optimizer.name"], "optimizer.lr": SPACE["optimizer.lr"]}
    with pytest.raises(ConfigError, match="cmaes needs two ranges"):
        make_spec(space=space, search={"name": "cmaes"})


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
