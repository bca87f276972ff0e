"""Earlier sweeps: what is taken over, what is left out, and that a restart needs nothing of them."""

import random
import shutil
from pathlib import Path

import pytest
from fakes import EPOCHS, SPACE, drive, make_spec, opened

from gatesweep.errors import ConfigError, NotFound
from gatesweep.storage import place
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.replay import replay
from gatesweep.sweep.search import known_of, searcher
from gatesweep.sweep.spec import startable
from gatesweep.sweep.warm_start import take_over
from gatesweep.track.log import SweepLog
from gatesweep.track.records import VERSION

BOHB = {"name": "tpe", "startup_trials": 3, "learn_from": "rung"}
LEARNING = [{"name": "tpe", "startup_trials": 3}, BOHB, {"name": "gp", "startup_trials": 3},
            {"name": "cmaes", "population": 4}, {"name": "nsga2", "population": 4}]  # fmt: skip
SEARCHES = [pytest.param(each, marks=pytest.mark.slow) if each["name"] == "gp" else each for each in LEARNING]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with a sweep of 12 trials."""
    folder = tmp_path / "home" / "sweeps" / "old-1"
    folder.mkdir(parents=True)
    drive(folder, make_spec(search={"name": "random", "seed": 8}, budget={"trials": 12, "concurrent": 2}),
          random.Random(5))  # fmt: skip
    return tmp_path / "home"


def _warm(home: Path, folder: Path, search, **changes):
    """A spec that learns from old-1, and its log begun in `folder`."""
    spec = make_spec(search={"seed": 3, "warm_start": ["old-1"], **search}, failure={"retries": 99}, **changes)
    taken = take_over(spec, {}, home)
    log = SweepLog(place(folder), create=True)
    log.append({"event": "sweep", "version": VERSION, "sweep_id": "toy", "name": "toy", "spec": spec.as_dict(),
                "data": {}, "versions": {}, "warm_start": taken.trials})  # fmt: skip
    log.close()
    return spec, taken


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_killed_warm_search_proposes_what_an_unkilled_one_does_when_the_old_sweep_is_gone(
    tmp_path: Path, home: Path, monkeypatch, search
):
    budget = {"trials": 10, "concurrent": 1}
    specs = [_warm(home, _dir(tmp_path, name), search, budget=budget)[0] for name in ("calm", "wild")]
    shutil.rmtree(home)
    monkeypatch.setattr("fakes.opened", lambda folder, spec, create=True: opened(folder, spec, create=False))
    calm, _ = drive(tmp_path / "calm", specs[0], random.Random(0))
    wild, kills = drive(tmp_path / "wild", specs[1], random.Random(0), crash=0.1, death=0.03)
    assert kills > 1
    proposals = [[r["params"] for r in records if r["event"] == "new"] for records in (calm, wild)]
    assert proposals[0] == proposals[1]
    assert replay(place(tmp_path / "wild"))[1] == []


@pytest.mark.parametrize("search", LEARNING, ids=str)
def test_the_first_proposals_are_others_than_those_of_a_cold_start_and_near_the_best_that_is_known(
    tmp_path: Path, home: Path, search
):
    spec, taken = _warm(home, tmp_path, search, scheduler={"name": "asha", "grace_epochs": 1})
    warm, cold = searcher(spec), searcher(spec)
    warm.inform(known_of({"warm_start": taken.trials}))
    assert [warm.propose(n)[0] for n in range(3)] != [cold.propose(n)[0] for n in range(3)]
    if search["name"] == "cmaes":
        best = min(taken.trials, key=lambda each: each["values"])["params"]
        drawn = [warm.propose(n)[0]["model.dropout"] for n in range(3, 9)]
        assert sum(drawn) / 6 == pytest.approx(best["model.dropout"], abs=0.1)


def test_only_what_lies_within_the_new_space_is_taken_over_and_why_the_rest_is_not_is_said(tmp_path: Path, home: Path):
    space = {**SPACE, "model.hidden_size": {"int_uniform": [8, 64]}, "model.layers": {"choice": [1, 2]}}
    _, taken = _warm(home, tmp_path, {"name": "tpe"}, space=space)
    old = [r for r in _records(home) if r["event"] == "new"]
    small = [r for r in old if r["params"]["model.hidden_size"] <= 64]
    assert 0 < len(small) < 12
    assert [each["params"] for each in taken.trials] == [{**r["params"], "model.layers": 1} for r in small]
    assert taken.notes == [f"old-1: {len(small)} of 12 trials are known to the search; not {12 - len(small)} for their"
                           " model.hidden_size"]  # fmt: skip
    ledger = Ledger(SweepLog(place(home / "sweeps" / "old-1")), make_spec())
    told = {each["trial"].rpartition("/")[2]: each for each in taken.trials}
    assert {name: each["values"][0] for name, each in told.items()} == {
        name: ledger.value(ledger.trials[name]) for name in told
    }
    assert all(len(each["curve"]) == ledger.trials[name].epoch <= EPOCHS for name, each in told.items())


def _records(home: Path):
    log = SweepLog(place(home / "sweeps" / "old-1"))
    log.close()
    return log.records


def test_a_dimension_that_is_fixed_now_must_have_had_that_value(tmp_path: Path, home: Path):
    space = {key: each for key, each in SPACE.items() if key != "model.dropout"}
    with pytest.raises(ConfigError, match=r"no trial lies within the space: old-1: 0 of 12 .* for their model.dropout"):
        _warm(home, tmp_path, {"name": "tpe"}, space=space)


def test_other_data_and_another_experiment_are_said(home: Path):
    experiment = {"task": "toy_task:ToyTask", "data": {"examples": 64}, "trainer": {"max_epochs": 5, "batch_size": 8}}
    spec = make_spec(search={"name": "tpe", "warm_start": ["old-1"]}, experiment=experiment)
    notes = take_over(spec, {"traffic": "abc.dir"}, home).notes[1:]
    assert notes == [f"old-1: warning: {what}" for what in (
        "the data 'traffic' were not there and are abc.dir", "data.examples was 32 and is 64",
        "trainer.batch_size was 64 and is 8", "trainer.max_epochs was 9 and is 5")]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"search": {"name": "tpe", "warm_start": ["gone-1"]}}, NotFound, "no sweep 'gone-1'"),
        ({"objective": {"metric": "val/loss"}}, ConfigError, r"old-1 has the objective val/mae \(min\), this sweep v"),
        ({"search": {"name": "cmaes", "warm_start": ["old-1"]},
          "space": {**SPACE, "model.hidden_size": {"int_uniform": [8, 64]}}}, ConfigError, "cmaes learns from 10"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_from_is_refused(home: Path, changes, error, said):
    with pytest.raises(error, match=said):
        take_over(make_spec(**{"search": {"name": "tpe", "warm_start": ["old-1"]}, **changes}), {}, home)


@pytest.mark.parametrize("search", ["random", "grid", "qmc"])
def test_a_search_that_learns_nothing_takes_no_warm_start(search):
    space = {"optimizer.name": {"choice": ["adamw", "sgd"]}}
    with pytest.raises(ConfigError, match=r"search\.warm_start: .* does nothing with `search.name: "):
        startable(make_spec(space=space, search={"name": search, "warm_start": ["old-1"]}), "s.yaml")


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
