"""Several objectives: the Pareto front is the result, and every search of them is exact after a kill."""

import random
from pathlib import Path

import pytest
from fakes import Crash, loss, make_spec, opened
from rich.console import Console

from gatesweep.errors import ConfigError
from gatesweep.report.page import render
from gatesweep.report.table import trials_frame
from gatesweep.report.terminal import front_table, summary
from gatesweep.storage import place
from gatesweep.sweep.failures import Death
from gatesweep.sweep.overview import sweeps
from gatesweep.sweep.replay import replay
from gatesweep.sweep.spec import spec_from
from gatesweep.sweep.view import sweep_view
from gatesweep.track.view import SweepView

TWO = [{"metric": "val/mae"}, {"metric": "val/loss", "mode": "max"}]
SEARCHES = [
    {"name": "nsga2", "population": 4},
    {"name": "tpe", "startup_trials": 4},
    {"name": "gp", "startup_trials": 4},
    {"name": "random"},
]


def _spec(search, **changes):
    return make_spec(**{
        "objective": TWO, "search": {"seed": 3, **search}, "scheduler": {"name": "none"}, "failure": {"retries": 99},
        "budget": {"trials": 14, "concurrent": 1}, **changes})  # fmt: skip


def _size(params):
    return params["model.hidden_size"] / 128 - params["optimizer.lr"]


def _drive(folder, spec, rng, crash=0.0):
    """Two epochs a trial; the driver dies with probability `crash` after each."""
    ledger, kills, live = opened(folder, spec), 0, {}
    keys = map(str, range(10**6))
    while True:
        try:
            while not isinstance(given := ledger.next(key := next(keys)), str):
                live[key] = given.trial
            if given == "finished":
                ledger.log.close()
                return ledger, kills
            key = rng.choice(sorted(live))
            trial = live[key]
            epoch = trial.epoch + 1
            metrics = {"val/mae": loss(trial.params, epoch), "val/loss": _size(trial.params) + 0.01 * epoch}
            report = {"attempt": trial.attempt, "epoch": epoch, "metrics": metrics, "checkpoint": ""}
            if ledger.result(key, {**report, "final": epoch == 2}) == "stop":
                ledger.released(key)
                del live[key]
            if rng.random() < crash:
                raise Crash
        except Crash:
            kills += 1
            ledger.log.close()
            ledger, live = opened(folder, spec, create=False), {}


@pytest.mark.parametrize("search", SEARCHES, ids=str)
def test_a_killed_search_of_two_objectives_proposes_what_an_unkilled_one_does(tmp_path: Path, search):
    spec = _spec(search)
    calm, _ = _drive(_dir(tmp_path, "calm"), spec, random.Random(0))
    wild, kills = _drive(_dir(tmp_path, "wild"), spec, random.Random(0), crash=0.2)
    assert kills > 1
    assert [t.params for t in wild.trials.values()] == [t.params for t in calm.trials.values()]


@pytest.mark.parametrize("search", SEARCHES[:3], ids=str)
def test_a_replay_of_two_objectives_with_three_at_a_time_gives_its_log(tmp_path: Path, search):
    spec = _spec(search, budget={"trials": 14, "concurrent": 3})
    _, kills = _drive(tmp_path, spec, random.Random(1), crash=0.15)
    assert kills > 1
    assert replay(place(tmp_path))[1] == []


def _ended(folder, points):
    """A sweep whose trials end with these (mae, loss); None: failed."""
    ledger = opened(folder, _spec({"name": "random"}, budget={"trials": len(points), "concurrent": 1}))
    for number, point in enumerate(points):
        ledger.next(key := str(number))
        if point is None:
            ledger.failed(key, Death("nan", "the loss is nan"))
        else:
            report = {"attempt": 1, "epoch": 1, "metrics": dict(zip(("val/mae", "val/loss"), point, strict=True))}
            ledger.result(key, {**report, "checkpoint": "", "final": True})
        ledger.released(key)
    ledger.log.close()
    return ledger


def test_the_front_is_what_no_other_trial_dominates_and_best_is_its_best_by_the_first_objective(tmp_path: Path):
    points = [(1.0, 5.0), (0.5, 1.0), (0.5, 2.0), (2.0, 4.0), None, (3.0, 9.0), (1.0, float("nan")), (1.0, 5.0)]
    ledger = _ended(tmp_path, points)
    assert [t.name for t in ledger.front()] == ["t0002", "t0000", "t0007", "t0005"]
    assert ledger.ranked()[0].name == "t0002"


def test_a_front_is_optunas_best_trials(tmp_path: Path):
    import optuna

    rng = random.Random(7)
    points = [(rng.randint(0, 9) / 10, rng.randint(0, 9) / 10) for _ in range(30)]
    ledger = _ended(tmp_path, points)
    study = optuna.create_study(directions=["minimize", "maximize"])
    for point in points:
        study.add_trial(optuna.trial.create_trial(values=point))
    assert {t.number for t in ledger.front()} == {t.number for t in study.best_trials}


def test_summary_page_table_and_tracking_show_the_front(tmp_path: Path):
    (tmp_path / "sweeps" / "toy").mkdir(parents=True)
    ledger = _ended(tmp_path / "sweeps" / "toy", [(1.0, 5.0), (0.5, 2.0), (2.0, 4.0)])
    view = sweep_view(ledger, "toy", {})
    assert view.front == ["toy/t0001", "toy/t0000"]
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(front_table(view))
    console.print(summary(view))
    shown = console.export_text()
    assert "Pareto front: 2 of 3 trials" in shown
    assert "val/loss (max)" in shown
    assert "t0001 is the best by val/mae of the 2 trials on the Pareto front, of 3 trials" in shown
    page = render(view)
    assert 'id="chart-pareto"' in page
    assert "2 of 3 trials are on the front" in page
    assert trials_frame(view)["pareto"].tolist() == [True, True, False]
    tracked = SweepView()
    for record in ledger.log.records:
        tracked.fold(record)
    assert tracked.objective == ("val/mae", "min")
    assert sweeps(tmp_path)[0]["best"] == 0.5


def test_one_objective_or_several_are_the_same_after_their_log():
    spec = make_spec()
    assert spec.goal.metric == "val/mae"
    assert spec_from(spec.as_dict(), place="log") == spec
    several = _spec({"name": "nsga2"})
    assert spec_from(several.as_dict(), place="log") == several


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scheduler": {"name": "asha"}}, "scheduler.name: asha takes one objective"),
        ({"search": {"name": "cmaes"}}, "search.name: cmaes takes one objective"),
        ({"objective": [TWO[0], TWO[0]]}, "'val/mae' is there twice"),
        ({"objective": [TWO[0], {"metric": "val/mea"}]}, "reports no 'val/mea'"),
        ({"objective": []}, "objective"),
        ({"objective": [TWO[0], {"metric": "val/loss", "mode": "low"}]}, "objective.1.mode"),
        ({"objective": {"metric": "val/mae", "mde": "min"}}, "objective: unknown key 'mde'"),
        ({"budget": {"target": 1.0}}, "budget.target: takes one objective"),
        ({"budget": {"no_improvement": 2}}, "budget.no_improvement: takes one objective"),
    ],
)
def test_what_several_objectives_cannot_have_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        _spec(changes.pop("search", {"name": "nsga2"}), **changes)


def _dir(base: Path, name: str) -> Path:
    (base / name).mkdir()
    return base / name
