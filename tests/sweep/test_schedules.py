"""Every schedule: the same decisions whatever dies, and the decisions that its paper asks for."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import EPOCHS, SPACE, drive, make_spec, opened
from optuna.trial import TrialState

from gatesweep.errors import ConfigError
from gatesweep.storage import place
from gatesweep.sweep.replay import replay
from gatesweep.sweep.schedule import scheduler
from gatesweep.sweep.search import searcher
from gatesweep.sweep.spec import startable

SCHEDULES = [
    {"name": "asha", "grace_epochs": 1},
    {"name": "hyperband", "grace_epochs": 1},
    {"name": "hyperband", "grace_epochs": 1, "reduction": 2, "brackets": 2},
    {"name": "median", "grace_epochs": 2},
    {"name": "none"},
]
BOHB = {"name": "tpe", "startup_trials": 3, "learn_from": "rung"}


def _spec(schedule, search=None, **changes):
    search = {"seed": 3, **(search or {"name": "tpe", "startup_trials": 3})}
    return make_spec(scheduler=schedule, search=search, failure={"retries": 99}, **changes)


def _story(records):
    return [
        {k: v for k, v in r.items() if k not in ("ts", "attempt")} for r in records if r["event"] in ("new", "result")
    ]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_killed_sweep_decides_what_an_unkilled_one_does(tmp_path: Path, schedule):
    spec = _spec(schedule, budget={"trials": 14, "concurrent": 1})
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.1, death=0.03)
    assert kills > 1
    assert _story(wild) == _story(calm)


@pytest.mark.parametrize("search", [None, BOHB], ids=["best", "rung"])
@pytest.mark.parametrize("schedule", SCHEDULES[:2], ids=str)
def test_a_replay_with_three_at_a_time_gives_the_proposals_and_decisions_of_the_log(tmp_path: Path, schedule, search):
    spec = _spec(schedule, search, budget={"trials": 24, "concurrent": 3})
    records, kills = drive(tmp_path, spec, random.Random(1), crash=0.05, death=0.02)
    assert kills > 1
    assert any(r["event"] == "result" and r["outcome"] == "pruned" for r in records)
    compared, differences = replay(place(tmp_path))
    assert differences == []
    assert compared == sum(r["event"] in ("new", "result") for r in records)


def test_a_killed_bohb_proposes_what_an_unkilled_one_does(tmp_path: Path):
    spec = _spec(SCHEDULES[1], BOHB, budget={"trials": 24, "concurrent": 1})
    calm, _ = drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.1)
    assert kills > 1
    assert _story(wild) == _story(calm)


@pytest.mark.parametrize("seed", range(3))
def test_hyperband_stops_whom_successive_halving_stops_within_each_bracket(tmp_path: Path, seed: int):
    spec = _spec(SCHEDULES[1], budget={"trials": 40, "concurrent": 3})
    records, _ = drive(tmp_path, spec, random.Random(seed))
    band = scheduler(spec)
    rungs: dict[tuple[int, int], list[float]] = {}
    stopped = 0
    for r in records:
        if r["event"] != "result" or r["final"]:
            continue
        bracket = band.bracket_of(int(r["trial"][1:]))
        recorded = rungs.setdefault((bracket, r["epoch"]), [])
        value = r["metrics"]["val/mae"]
        at_rung = r["epoch"] in [3**k for k in range(bracket, 3)]
        worse = at_rung and bool(recorded) and value > np.percentile(recorded, 100 / 3)
        assert r["decision"] == ("stop" if worse else "continue")
        stopped += worse
        recorded.append(value)
    assert stopped > 5


def test_a_trials_bracket_follows_from_its_number_in_hyperbands_shares():
    spec = _spec({"name": "hyperband", "grace_epochs": 1})
    band, other = scheduler(spec), scheduler(spec)
    brackets = [band.bracket_of(n) for n in range(260)]
    assert [other.bracket_of(n) for n in reversed(range(260))] == brackets[::-1]
    counts = Counter(brackets)
    # n_s of s = 2, 1, 0 halvings at η = 3: 9/3, 3/2, 1/1, of 5.5
    assert [counts[k] for k in range(3)] == pytest.approx([260 * n / 5.5 for n in (3, 1.5, 1)], abs=1)
    assert set(brackets[:6]) == {0, 1, 2}


def test_median_stops_whom_the_rule_stops(tmp_path: Path):
    spec = _spec({"name": "median", "grace_epochs": 2, "min_trials": 2}, budget={"trials": 40, "concurrent": 2})
    records, _ = drive(tmp_path, spec, random.Random(4))
    seen: dict[str, list[float]] = {}
    stopped = 0
    for r in (r for r in records if r["event"] == "result"):
        epoch, own = r["epoch"], seen.setdefault(r["trial"], [])
        own.append(r["metrics"]["val/mae"])
        means = [np.mean(v[1:epoch]) for t, v in seen.items() if t != r["trial"] and len(v) >= epoch > 1]
        worse = epoch >= 2 and len(means) >= 2 and min(own) > np.median(means)
        assert r["decision"] == ("stop" if worse else "continue")
        stopped += worse
    assert stopped > 3


def test_a_trial_that_failed_counts_for_no_median():
    rule = scheduler(_spec({"name": "median", "grace_epochs": 1, "min_trials": 2}))
    for trial in ("t0000", "t0001"):
        assert rule.goes_on(trial, 1, 1.0)
    rule.over("t0000", 1, None)
    assert rule.goes_on("t0002", 1, 9.0)
    assert rule.goes_on("t0003", 1, 0.5)
    assert not rule.goes_on("t0004", 1, 9.5)


def test_the_model_compares_trials_at_the_highest_rung_that_enough_have_reached():
    space = {key: SPACE[key] for key in ("model.dropout", "optimizer.lr")}
    spec = make_spec(space=space, scheduler={"name": "hyperband", "grace_epochs": 1}, search={**BOHB, "seed": 1})
    search = searcher(spec)
    for number in range(8):
        search.propose(number)
        for epoch in range(1, 10 if number < 5 else 3):
            search.observe(number, epoch, 10.0 - epoch + number)
    for number in range(4):
        search.tell(number, [1.0])
    search.tell(5, [1.0])
    search.tell(6, None)
    assert search.rung() == 9  # d + 3 = 5 trials have come so far, of which one trains on
    search.propose(8)
    told = search.study.get_trials()
    assert [t.state for t in told] == [TrialState.COMPLETE] * 5 + [
        TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING, TrialState.RUNNING]  # fmt: skip
    assert [t.value for t in told[:5]] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert told[5].intermediate_values == {2: 13.0}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scheduler": {"name": "hyperband", "grace_epochs": 1, "brackets": 4}}, "scheduler.brackets: 4 do not fit"),
        ({"scheduler": {"name": "median", "grace_epochs": EPOCHS + 1}}, "scheduler.grace_epochs: 10 is more than"),
        ({"scheduler": {"name": "median", "reduction": 2}}, "scheduler.reduction: 2 does nothing"),
        ({"scheduler": {"name": "asha", "brackets": 2}}, "scheduler.brackets: 2 does nothing"),
        ({"scheduler": {"name": "none", "grace_epochs": 3}}, "scheduler.grace_epochs: 3 does nothing"),
        ({"scheduler": {"name": "median"}, "search": BOHB}, "rung needs a schedule with rungs"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        startable(make_spec(**changes), "sweep.yaml")


def test_a_log_is_opened_again_under_every_schedule(tmp_path: Path):
    for number, schedule in enumerate(SCHEDULES):
        spec = _spec(schedule, budget={"trials": 6, "concurrent": 2})
        records, _ = drive(_dir(tmp_path, str(number)), spec, random.Random(2))
        ledger = opened(tmp_path / str(number), spec, create=False)
        assert ledger.log.records[: len(records)] == records
        ledger.log.close()


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
