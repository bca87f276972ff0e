"""Trials that copy each other (pbt, pb2): the same exchanges whatever dies and in whatever order trials come."""

import math
import random
from collections import Counter
from pathlib import Path

import pytest
from fakes import EPOCHS, drive, make_spec, opened

from gatesweep.config.dimension import Dimension
from gatesweep.errors import ConfigError, LogError
from gatesweep.launch.progress import fold
from gatesweep.storage import place
from gatesweep.sweep.failures import Death
from gatesweep.sweep.mutable import mutable
from gatesweep.sweep.population import moved
from gatesweep.sweep.replay import replay
from gatesweep.sweep.spec import load_spec, startable
from gatesweep.track.log import encode

SPACE = {
    "optimizer.lr": {"log_uniform": [1e-4, 1e-1]},
    "model.dropout": {"uniform": [0.0, 0.5]},
    "trainer.batch_size": {"choice": [16, 32, 64, 128]},
}
TWO_CELLS = {**SPACE, "model.hidden_size": {"choice": [8, 16]}}
SCHEDULES = [{"name": "pbt"}, {"name": "pbt", "interval_epochs": 3, "quantile": 0.5, "resample": 0.0}, {"name": "pb2"}]


def _spec(schedule=SCHEDULES[0], space=SPACE, concurrent=1, trials=8, **changes):
    return make_spec(**{
        "space": space, "scheduler": schedule, "search": {"name": "random", "seed": 3}, "failure": {"retries": 99},
        "budget": {"trials": trials, "concurrent": concurrent}, **changes})  # fmt: skip


def loss(params, epoch):
    """How far the rate and the dropout lie from the best ones; less with every epoch."""
    off = abs(math.log10(params["optimizer.lr"]) + 2.2) + params["model.dropout"] + params["trainer.batch_size"] / 999
    return off + 3 * 0.6**epoch


def _story(records):
    """What was decided, whatever came first."""
    of_trials = sorted(
        ((r["trial"], r.get("epoch", 0), r.get("params"), r.get("metrics"), r.get("decision"), r.get("outcome"))
         for r in records if r["event"] in ("new", "result")), key=lambda row: row[:2])  # fmt: skip
    return of_trials, _exchanges(records)


def _exchanges(records):
    return [(r["epoch"], r["changes"]) for r in records if r["event"] == "mutate"]


def _swept(folder: Path, spec, seed: int = 0, crash: float = 0.0, death: float = 0.0):
    folder.mkdir(exist_ok=True)
    return drive(folder, spec, random.Random(seed), crash, death, loss)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_killed_population_of_three_at_a_time_does_what_a_calm_one_does_one_by_one(tmp_path: Path, schedule):
    calm, _ = _swept(tmp_path / "calm", _spec(schedule))
    wild, kills = _swept(tmp_path / "wild", _spec(schedule, concurrent=3), 1, crash=0.1, death=0.03)
    assert kills > 3
    assert _story(wild) == _story(calm)
    interval = schedule.get("interval_epochs", 2)
    assert [epoch for epoch, _ in _exchanges(calm)] == list(range(interval, EPOCHS, interval))
    assert all(changes for _, changes in _exchanges(calm))
    compared, differences = replay(place(tmp_path / "wild"))
    assert differences == []
    assert compared == sum(r["event"] in ("new", "result", "mutate") for r in wild)


def test_no_trial_passes_an_exchange_before_all_have_come_to_it(tmp_path: Path):
    records, _ = _swept(tmp_path, _spec(concurrent=3))
    epochs: Counter[str] = Counter()
    for r in records:
        if r["event"] == "result":
            epochs[r["trial"]] = r["epoch"]
            assert r["decision"] == ("pause" if r["epoch"] in (2, 4, 6, 8) else "continue")
        elif r["event"] == "mutate":
            assert set(epochs.values()) == {r["epoch"]}
            assert len(epochs) == 8


def test_the_worst_quarter_takes_weights_and_values_of_the_best_quarter(tmp_path: Path):
    spec = _spec({"name": "pbt", "resample": 0.0})
    records, _ = _swept(tmp_path, spec)
    values: dict[tuple[str, int], float] = {}
    checkpoints: dict[tuple[str, int], str] = {}
    params = {r["trial"]: r["params"] for r in records if r["event"] == "new"}
    for r in records:
        if r["event"] == "result":
            values[r["trial"], r["epoch"]] = r["metrics"]["val/mae"]
            checkpoints[r["trial"], r["epoch"]] = r["checkpoint"]
        elif r["event"] == "mutate":
            ranked = sorted(params, key=lambda trial: values[trial, r["epoch"]])
            assert {c["trial"] for c in r["changes"]} == set(ranked[-2:])
            assert {c["from"] for c in r["changes"]} <= set(ranked[:2])
            for c in r["changes"]:
                assert c["checkpoint"] == checkpoints[c["from"], r["epoch"]]
                assert c["was"] == params[c["trial"]]
                ratio = c["params"]["optimizer.lr"] / params[c["from"]]["optimizer.lr"]
                assert ratio == pytest.approx(0.8) or ratio == pytest.approx(1.25) or c["params"]["optimizer.lr"] == 0.1
            params |= {c["trial"]: c["params"] for c in r["changes"]}


def test_a_copied_trial_starts_from_the_donors_checkpoint_and_trains_with_the_new_values(tmp_path: Path):
    records, _ = _swept(tmp_path, _spec())
    ledger = opened(tmp_path, _spec(), create=False)
    seen = 0
    for trial in ledger.trials.values():
        for mutation in trial.mutations:
            seen += 1
            after = next(r for r in records if r["event"] == "result" and r["trial"] == trial.name
                         and r["epoch"] == mutation.epoch + 1)  # fmt: skip
            assert after["metrics"]["val/mae"] == loss(mutation.params, mutation.epoch + 1)
            assert trial.params_at(mutation.epoch) == mutation.was
            assert trial.params_at(mutation.epoch + 1) == mutation.params
    assert seen == 8
    best = ledger.ranked()[0]
    line = ledger.ancestry.line(best.name)
    assert line[-1].params == best.params
    assert [stretch.after_epoch for stretch in line] == sorted({stretch.after_epoch for stretch in line})


def test_only_trials_of_the_same_shape_copy_each_other(tmp_path: Path):
    records, _ = _swept(tmp_path, _spec(space=TWO_CELLS, trials=12))
    sizes = {r["trial"]: r["params"]["model.hidden_size"] for r in records if r["event"] == "new"}
    assert set(sizes.values()) == {8, 16}
    for _, changes in _exchanges(records):
        assert {sizes[c["trial"]] for c in changes} == {8, 16}
        assert all(sizes[c["trial"]] == sizes[c["from"]] == c["params"]["model.hidden_size"] for c in changes)


def test_a_population_finds_a_schedule_that_no_constant_rate_has(tmp_path: Path):
    """Of a noisy quadratic, where a high rate is right at first and a low one later."""
    space = {"optimizer.lr": {"log_uniform": [1e-2, 1.0]}}
    ends = {}
    for name in ("none", "pbt", "pb2"):
        (tmp_path / name).mkdir()
        spec = _spec({"name": name}, space, trials=8)
        ends[name] = min(_descended(opened(tmp_path / name, spec)).values())
    assert ends["pbt"] < ends["none"]
    assert ends["pb2"] < ends["none"]


def _descended(ledger):
    """Every trial's last value; what a checkpoint holds is the loss of its training, which the next epoch goes on from.
    """
    losses = {"": 1.0}
    while not isinstance(given := ledger.next("k"), str):
        trial, loss, answer = given.trial, losses[given.trial.checkpoint or ""], "continue"
        epoch = trial.epoch
        while answer == "continue":
            epoch, rate = epoch + 1, trial.params["optimizer.lr"]
            loss = loss * (1 - rate) ** 2 + 0.1 * rate**2
            checkpoint = f"{given.folder}/e{epoch}"
            losses[checkpoint] = loss
            answer = ledger.result("k", {"attempt": trial.attempt, "epoch": epoch, "metrics": {"val/mae": loss},
                                         "checkpoint": checkpoint, "final": epoch == EPOCHS})  # fmt: skip
        ledger.released("k")
    return {name: trial.metrics[EPOCHS]["val/mae"] for name, trial in ledger.trials.items()}


def test_a_failed_trial_takes_no_part_and_the_others_do_not_wait_for_it(tmp_path: Path):
    spec = _spec(concurrent=8)
    ledger = opened(tmp_path, spec)
    given = {str(n): ledger.next(str(n)).trial.name for n in range(8)}
    ledger.failed("5", Death("nan", "the loss is nan"))
    ledger.released("5")
    for epoch in (1, 2):
        for key in (key for key in given if key != "5"):
            assert ledger.result(key, _report(epoch, float(key))) == ("continue" if epoch == 1 else "stop")
    for key in given:
        ledger.released(key)
    assert ledger.next("x").trial.name == "t0000"
    exchange = next(r for r in ledger.log.records if r["event"] == "mutate")
    assert {c["trial"] for c in exchange["changes"]} == {"t0006", "t0007"}  # a quarter of seven, rounded up
    assert not any(r["event"] == "fail" and r["trial"] != "t0005" for r in ledger.log.records)
    assert [r["trial"] for r in ledger.log.records if r["event"] == "start"][-1] == "t0000"


def test_a_trial_that_waits_is_not_started_and_its_late_death_is_none(tmp_path: Path):
    ledger = opened(tmp_path, _spec(trials=4, concurrent=4))
    for n in range(4):
        ledger.next(str(n))
    for epoch in (1, 2):
        ledger.result("0", _report(epoch, 1.0))
    ledger.failed("0", Death("crash", "its process died while it waited"))
    ledger.released("0")
    assert ledger.next("again") == "wait"
    assert not any(r["event"] == "fail" for r in ledger.log.records)


def test_a_failed_trial_that_is_tried_again_passes_the_exchanges_that_are_over(tmp_path: Path):
    ledger = opened(tmp_path, _spec(trials=4, concurrent=4))
    for n in range(4):
        ledger.next(str(n))
    ledger.failed("3", Death("nan", "the loss is nan"))
    ledger.released("3")
    for epoch in (1, 2):
        for n in range(3):
            ledger.result(str(n), _report(epoch, float(n)))
    for n in range(3):
        ledger.released(str(n))
    ledger.next("a")
    assert ledger.retry() == ["t0003"]
    assert [ledger.next(key).trial.name for key in "bcd"] == ["t0001", "t0002", "t0003"]
    assert ledger.result("d", _report(1, 5.0, attempt=2)) == "continue"
    assert ledger.result("d", _report(2, 5.0, attempt=2)) == "continue"
    assert ledger.result("d", _report(3, 5.0, attempt=2)) == "continue"
    assert ledger.result("d", _report(4, 5.0, attempt=2)) == "stop"
    ledger.log.close()
    opened(tmp_path, _spec(trials=4, concurrent=4), create=False).log.close()


def test_a_lent_checkpoint_is_kept_until_whoever_copied_it_has_one_of_its_own(tmp_path: Path):
    ledger = opened(tmp_path, _spec(trials=4, concurrent=4))
    for n in range(4):
        ledger.next(str(n))
    for epoch in (1, 2):
        for n in range(4):
            ledger.result(str(n), _report(epoch, float(n) + epoch, folder=f"t{n}"))
    for n in range(4):
        ledger.released(str(n))
    ledger.next("a")
    donor, clone = ledger.trials["t0000"], ledger.trials["t0003"]
    assert (clone.checkpoint, clone.trained_as) == ("t0/e2", (donor.params, 0))
    assert ledger.lent(donor) == (["t0/e2"], [])
    ledger.result("a", _report(3, 0.5, attempt=2, folder="t0"))
    assert ledger.lent(donor) == (["t0/e2"], [])
    while ledger.running.get(key := f"b{len(ledger.running)}") is None and ledger.next(key) != "wait":
        pass
    of_clone = next(key for key, name in ledger.running.items() if name == "t0003")
    ledger.result(of_clone, _report(3, 0.5, attempt=2, folder="t3"))
    assert (clone.checkpoint, clone.trained_as) == ("t3/e3", None)
    assert ledger.lent(donor) == ([], ["t0/e2"])


def test_an_exchange_that_this_version_would_make_otherwise_is_refused(tmp_path: Path):
    records, _ = _swept(tmp_path / "a", _spec())
    place_of = next(i for i, r in enumerate(records) if r["event"] == "mutate")
    changes = [{**c, "params": {**c["params"], "optimizer.lr": 0.05}} for c in records[place_of]["changes"]]
    records[place_of] = {**records[place_of], "changes": changes}
    folder = tmp_path / "b"
    folder.mkdir()
    (folder / "log.jsonl").write_bytes(b"".join(encode(r) for r in records))
    with pytest.raises(LogError, match=f"line {place_of + 1} "):
        opened(folder, _spec(), create=False)
    assert replay(place(folder))[1][0].what == "exchange"


def test_every_prefix_of_a_log_is_resumed_into_the_same_population(tmp_path: Path):
    from fakes import _until_done

    spec = _spec(trials=4)
    whole, _ = _swept(tmp_path / "whole", spec)
    around = [i for i, r in enumerate(whole) if r["event"] == "mutate"]
    for length in sorted({*(i + d for i in around for d in (-1, 0, 1)), *range(1, len(whole), 17)}):
        folder = tmp_path / f"p{length}"
        folder.mkdir()
        (folder / "log.jsonl").write_bytes(b"".join(encode(r) for r in whole[:length]))
        ledger = opened(folder, spec, create=False)
        _until_done(ledger, random.Random(1), 0.0, 0.0, loss)
        ledger.log.close()
        assert _story(ledger.log.records) == _story(whole)


def test_a_grid_is_a_population_of_its_points(tmp_path: Path):
    space = {"optimizer.lr": {"choice": [1e-4, 1e-3, 1e-2]}, "model.dropout": {"choice": [0.0, 0.5]},
             "trainer.batch_size": {"choice": [32]}}  # fmt: skip
    records, _ = _swept(tmp_path, _spec(space=space, search={"name": "grid", "seed": 1}))
    assert sum(r["event"] == "new" for r in records) == 6
    assert [len(changes) for _, changes in _exchanges(records)] == [2] * 4


@pytest.mark.parametrize(
    ("dimension", "value", "side", "becomes"),
    [
        ({"log_uniform": [1e-4, 1e-1]}, 0.01, 0, 0.008),
        ({"log_uniform": [1e-4, 1e-1]}, 0.09, 1, 0.1),
        ({"int_uniform": [1, 9]}, 4, 1, 5),
        ({"choice": [16, 32, 64]}, 32, 0, 16),
        ({"choice": [16, 32, 64]}, 64, 1, 64),
        ({"choice": [[0.9, 0.99], [0.9, 0.999]]}, (0.9, 0.99), 1, [0.9, 0.999]),
    ],
)
def test_a_value_is_changed_a_little(dimension, value, side, becomes):
    assert moved(Dimension(**dimension), value, side, (0.8, 1.25)) == becomes


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"search": {"name": "tpe"}}, "tpe learns from trials that are over"),
        ({"schedule": {"name": "pbt", "interval_epochs": EPOCHS}}, "9 leaves no exchange"),
        ({"trials": 1}, "one trial has none to copy"),
        ({"space": {"model.hidden_size": {"choice": [8, 16]}}}, "no dimension can change while a model trains"),
        ({"space": {**SPACE, "model.hidden_size": {"int_uniform": [8, 16]}}}, "cannot change while a model trains"),
        ({"schedule": {"name": "pbt", "mutate": ["optimizer.lrr"]}}, "'optimizer.lrr' is no dimension"),
        ({"schedule": {"name": "pb2", "factors": [0.5, 2.0]}}, "scheduler.factors: .* does nothing"),
        ({"schedule": {"name": "pbt", "reduction": 2}}, "scheduler.reduction: 2 does nothing"),
        ({"schedule": {"name": "asha", "quantile": 0.5}}, "scheduler.quantile: 0.5 does nothing"),
        ({"budget": {"trials": 8, "no_improvement": 3}}, "all end together"),
        ({"objective": [{"metric": "val/mae"}, {"metric": "val/loss"}]}, "pbt takes one objective"),
    ],
)
def test_a_population_that_cannot_exchange_is_refused(changes, said):
    with pytest.raises(ConfigError, match=said):
        startable(_spec(**changes), "sweep.yaml")


def test_a_population_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from gatesweep.sweep.reopen import _extended

    records, spec = [{"event": "new"}] * 8, _spec()
    assert _extended(records, spec, ["budget.wall_time=2h"]).wall_time == "2h"
    with pytest.raises(ConfigError, match="a population of pbt stays as large as it was, 8"):
        _extended(records, spec, ["budget.trials=12"])


def test_trials_of_a_sweep_keep_the_values_that_they_begin_with():
    experiment = {"task": "toy_task:ToyTask", "data": {}, "trainer": {"max_epochs": 9},
                  "changes": [{"after_epoch": 2, "values": {"optimizer.lr": 0.1}}]}  # fmt: skip
    with pytest.raises(ConfigError, match="trials of a sweep, and a run on a cluster, keep"):
        _spec(experiment=experiment)


@pytest.mark.parametrize("name", ["pbt", "pb2"])
def test_the_example_is_a_population(root: Path, name: str):
    words = ["scheduler.name=pb2", "scheduler.factors=[0.8, 1.25]"] if name == "pb2" else []
    spec = load_spec(root / "configs" / "sweeps" / "traffic_pbt.yaml", words)
    assert mutable(spec) == list(spec.space) == ["optimizer.lr", "optimizer.weight_decay", "model.dropout"]
    assert spec.scheduler.name == name


def test_what_counts_steps_or_decides_on_others_stays_with_its_trial():
    def changing(space, **schedule):
        experiment = {"task": "toy_task:ToyTask", "data": {}, "trainer": {"max_epochs": EPOCHS}, "schedule": schedule}
        return mutable(_spec(space={**SPACE, **space}, experiment=experiment))

    assert changing({}) == list(SPACE)
    assert changing({}, name="cosine") == changing({}, name="constant", warmup_steps=3) == list(SPACE)[:2]
    assert changing({}, name="plateau") == list(SPACE)
    momentum = {"optimizer.name": {"choice": ["sgd", "adamw"]},
                "optimizer.momentum": {"uniform": [0.0, 0.9], "when": {"trainer.batch_size": [16, 32]}}}  # fmt: skip
    assert changing(momentum) == [*list(SPACE)[:2], "optimizer.momentum"]


def test_the_status_of_a_population_tells_its_newest_values_and_who_rests(tmp_path: Path):
    records, _ = _swept(tmp_path, _spec(concurrent=3))
    first = next(i for i, r in enumerate(records) if r["event"] == "mutate")
    before, after = fold("toy", records[:first]), fold("toy", records[: first + 1])
    assert before.counts(live=True)["waiting"] == 8
    for change in records[first]["changes"]:
        assert before.trials[change["trial"]].params == change["was"]
        assert after.trials[change["trial"]].params == change["params"]
    best = fold("toy", records).best()
    assert best["value"] == loss(best["params"], best["epoch"])


def _report(epoch: int, value: float, attempt: int = 1, folder: str = "t"):
    return {"attempt": attempt, "epoch": epoch, "metrics": {"val/mae": value}, "checkpoint": f"{folder}/e{epoch}",
            "final": epoch == EPOCHS}  # fmt: skip
