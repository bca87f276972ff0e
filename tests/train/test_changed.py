"""A training that goes on with other values: weights and place of the checkpoint, the new values from then on."""

import contextlib
from pathlib import Path

import pytest
import torch

from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit

STEPS = 3
"""Of an epoch: 40 examples by 16."""


def _config(optimizer, schedule=None, **changes):
    trainer = {"max_epochs": 6, "batch_size": 16, "monitor": "val/mae", **changes.pop("trainer", {})}
    return experiment_from(
        {"task": "toy_task:ToyTask", "data": {"examples": 40}, "model": {"hidden_size": 8, **changes.pop("model", {})},
         "trainer": trainer, "seed": 5, "optimizer": optimizer, "schedule": schedule or {}, **changes},
        place="test")  # fmt: skip


class Enough(Exception):
    pass


class Watch:
    """What the module and its optimizer are at every batch; ends the training after an epoch if told so."""

    def __init__(self, until=None):
        self.until, self.reports, self.groups, self.weights, self.moments, self.batches = until, [], [], None, None, []

    def train(self, config, folder: Path, start=None, was=None):
        task, recipe = prepare(config)
        self.task = task
        task.module.on_train_batch_start = self._batch
        torch.manual_seed(99)  # another process would have other generators
        with contextlib.suppress(Enough):
            fit(task, recipe, folder=folder, on_epoch=self._epoch, seen=tuple(start.reports) if start else (),
                resume=start.reports[-1].checkpoint if start else None, was=was.optimizer if was else None)  # fmt: skip
        return self

    def _batch(self, batch, index):
        optimizer = self.task.module.optimizers()
        if self.weights is None:
            self.weights = {name: value.clone() for name, value in self.task.module.state_dict().items()}
            self.moments = {key: value.clone() for key, value in
                            next(iter(optimizer.state.values()), {}).items() if isinstance(value, torch.Tensor)}
        self.batches.append(len(batch[0]))
        self.groups.append({key: value for key, value in optimizer.param_groups[0].items() if key != "params"})

    def _epoch(self, report):
        self.reports.append(report)
        if report.epoch == self.until:
            raise Enough

    @property
    def rates(self):
        return [group["lr"] for group in self.groups]

    @property
    def numbers(self):
        kept = [{k: v for k, v in r.metrics.items() if not k.startswith("time/")} for r in self.reports]
        return kept, [report.weights for report in self.reports]


SCHEDULES = [
    {"name": "constant"},
    {"name": "warmup", "warmup_steps": 11},
    {"name": "cosine", "final_factor": 0.1},
    {"name": "cosine", "warmup_steps": 4},
    {"name": "step", "step_epochs": 2},
    {"name": "step", "step_epochs": 1, "hold_epochs": 2},
    {"name": "linear", "hold": 0.3, "final_factor": 0.1, "warmup_steps": 2},
    {"name": "one_cycle"},
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_new_rate_follows_the_schedule_from_where_it_was(tmp_path: Path, schedule):
    old, new = (_config({"name": "sgd", "lr": lr, "momentum": 0.5}, schedule) for lr in (0.02, 0.05))
    always = Watch().train(new, tmp_path / "always")
    first = Watch(until=3).train(old, tmp_path / "first")
    after = Watch().train(new, tmp_path / "after", first, old)
    assert after.rates == pytest.approx(always.rates[3 * STEPS :], rel=1e-9)
    assert after.rates[0] != pytest.approx(first.rates[-1], rel=1e-3)
    if schedule["name"] == "constant":
        assert set(after.rates) == {0.05}


def test_a_plateau_keeps_what_it_has_dropped_by(tmp_path: Path):
    schedule = {"name": "plateau", "patience": 0, "factor": 0.5}
    old, new = (_config({"name": "sgd", "lr": lr}, schedule) for lr in (0.9, 0.45))
    first = Watch(until=4).train(old, tmp_path / "first")
    going_on = Watch().train(old, tmp_path / "on", first)
    after = Watch(until=5).train(new, tmp_path / "after", first, old)
    assert going_on.rates[0] < 0.9  # it has dropped
    assert after.rates[:STEPS] == [rate / 2 for rate in going_on.rates[:STEPS]]


def test_weights_and_moments_are_the_checkpoints_bit_for_bit(tmp_path: Path):
    old, new = _config({"lr": 0.01}), _config({"lr": 0.03, "weight_decay": 0.1}, model={"dropout": 0.4}, seed=77)
    first = Watch(until=2).train(old, tmp_path / "first")
    saved = torch.load(state_file(first.reports[-1].checkpoint), weights_only=True)
    after = Watch().train(new, tmp_path / "after", first, old)
    assert all(torch.equal(after.weights[name], saved["state_dict"][name]) for name in saved["state_dict"])
    assert after.moments.keys() == {"step", "exp_avg", "exp_avg_sq"}
    moments = saved["optimizer_states"][0]["state"][0]
    assert all(torch.equal(after.moments[name], moments[name]) for name in after.moments)
    assert [report.epoch for report in after.reports] == [3, 4, 5, 6]


def test_every_value_of_the_optimizer_takes_effect(tmp_path: Path):
    adam = ({"name": "adam"}, {"name": "adam", "weight_decay": 0.1, "betas": [0.8, 0.99], "lr": 0.5})
    rmsprop = ({"name": "rmsprop"}, {"name": "rmsprop", "momentum": 0.9, "alpha": 0.5})
    without = ({"name": "rmsprop", "momentum": 0.9}, {"name": "rmsprop", "momentum": 0.0})
    for number, (was, now) in enumerate((adam, rmsprop, without)):
        old, new = _config(was), _config(now)
        first = Watch(until=2).train(old, tmp_path / f"{number}-first")
        after = Watch(until=3).train(new, tmp_path / f"{number}-after", first, old)
        for key in now.keys() - {"name"}:
            wanted = getattr(new.optimizer, key)
            assert first.groups[-1][key] != wanted
            assert [tuple(group[key]) if key == "betas" else group[key] for group in after.groups] == [wanted] * STEPS


def test_dropout_clipping_and_batch_size_take_effect(tmp_path: Path):
    old = _config({"clip_norm": None})
    new = _config({"clip_norm": 1e-4, "name": "sgd"}, model={"dropout": 0.4}, trainer={"batch_size": 8})
    old = old.model_copy(update={"optimizer": new.optimizer.model_copy(update={"clip_norm": None})})
    first = Watch(until=2).train(old, tmp_path / "first")
    after = Watch().train(new, tmp_path / "after", first, old)
    assert after.batches == [8] * 5 * 4
    assert after.task.module.net[2].p == 0.4
    moved = max(float((after.task.module.state_dict()[name] - value).abs().max())
                for name, value in after.weights.items())  # fmt: skip
    assert 0 < moved < 20 * 3e-3 * 1e-4  # 20 steps of gradients of norm 1e-4
    assert [report.epoch for report in after.reports] == [3, 4, 5, 6]


@pytest.mark.parametrize("schedule", [SCHEDULES[0], SCHEDULES[3], SCHEDULES[7]], ids=str)
def test_a_death_after_the_change_leaves_the_same_bits(tmp_path: Path, schedule):
    old = _config({"lr": 0.01}, schedule)
    new = _config({"lr": 0.03, "weight_decay": 0.1}, schedule, model={"dropout": 0.4})
    first = Watch(until=2).train(old, tmp_path / "first")
    whole = Watch().train(new, tmp_path / "whole", first, old)
    part = Watch(until=4).train(new, tmp_path / "part", first, old)
    rest = Watch().train(new, tmp_path / "rest", part)
    (numbers, weights), (one, two) = whole.numbers, (part.numbers, rest.numbers)
    assert numbers == one[0] + two[0]
    assert weights == one[1] + two[1]


def test_what_may_change_leaves_the_weights_names_and_shapes():
    from gatesweep.cells import Recurrent
    from gatesweep.models.config import ModelConfig
    from gatesweep.sweep.mutable import CHANGEABLE

    keys = [name for name in ModelConfig.model_fields if CHANGEABLE.fullmatch(f"model.{name}")]
    assert {"dropout", "variational_dropout", "weight_drop", "recurrent_dropout", "zoneout_h", "zoneout_c"} == set(keys)

    def shapes(**values):
        layers = Recurrent("peephole", input_size=3, hidden_size=4, num_layers=2, **values)
        return {name: tuple(value.shape) for name, value in layers.state_dict().items()}

    for key in keys:
        assert shapes(**{key: 0.3}) == shapes(), key
