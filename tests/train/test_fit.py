"""Training from a checkpoint gives the same bits as training without a break."""

import json
import math
from pathlib import Path

import pytest
import torch

from gatesweep.errors import NotFound, TrialFailed
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.train.checkpoint import COMMIT, STATE, committed, state_file, weights_digest
from gatesweep.train.fit import fit, prove
from gatesweep.train.score import load_weights, score


def _config(**changes) -> ExperimentConfig:
    raw = {
        "task": "toy_task:ToyTask",
        "data": {"examples": 40},
        "model": {"hidden_size": 8, "dropout": 0.3},
        "trainer": {"max_epochs": 6, "batch_size": 16, "monitor": "val/mae"},
        "seed": 5,
    }
    return experiment_from({**raw, **changes}, place="test")


def _train(config, folder: Path, *, epochs: int | None = None, resume: Path | None = None, seen=()):
    """Reports of a training that ends, by force, after `epochs`."""
    reports = list(seen)

    class Enough(Exception):
        pass

    def on_epoch(report):
        reports.append(report)
        if report.epoch == epochs:
            raise Enough

    task, recipe = prepare(config)
    try:
        result = fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume, seen=tuple(seen))
    except Enough:
        result = None
    return reports, result, task


def _numbers(reports):
    return [{k: v for k, v in r.metrics.items() if not k.startswith("time/")} for r in reports]


def _weights(path: Path):
    return torch.load(state_file(path), weights_only=True)["state_dict"]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"name": "adamw", "lr": 0.01}},
        {
            "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9, "nesterov": True},
            "schedule": {"name": "cosine", "warmup_steps": 4},
        },
        {"optimizer": {"name": "rmsprop", "momentum": 0.5}, "schedule": {"name": "one_cycle"}},
        {"optimizer": {"name": "adagrad", "lr": 0.1}, "schedule": {"name": "step", "step_epochs": 2}},
        {"optimizer": {"name": "adam", "lr": 0.5}, "schedule": {"name": "plateau", "patience": 0}},
        {"optimizer": {"name": "sgd", "lr": 0.1}, "schedule": {"name": "step", "step_epochs": 1, "hold_epochs": 2}},
        {"schedule": {"name": "linear", "hold": 0.3, "final_factor": 0.1, "warmup_steps": 2}},
        {"optimizer": {"name": "sgd", "lr": 0.1, "average": "always"}},
        {"optimizer": {"name": "sgd", "lr": 0.2, "average": "triggered", "average_patience": 0}},
        {
            "schedule": {"name": "warmup", "warmup_steps": 7},
            "trainer": {"max_epochs": 6, "batch_size": 16, "accumulate": 2, "monitor": "val/mae"},
        },
        {
            "optimizer": {"lr": 0.5},
            "trainer": {"max_epochs": 6, "batch_size": 16, "monitor": "val/mae", "early_stopping": {"patience": 2}},
        },
    ],
)
@pytest.mark.parametrize("cut", [1, 3])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, changes, cut: int):
    config = _config(**changes)
    whole, result, _ = _train(config, tmp_path / "whole")
    first, _, _ = _train(config, tmp_path / "cut", epochs=cut)
    torch.manual_seed(99)  # another process would have other generators
    rest, again, _ = _train(config, tmp_path / "cut", resume=first[-1].checkpoint, seen=first)
    assert _numbers(rest) == _numbers(whole)
    assert (again.best_epoch, again.epochs) == (result.best_epoch, result.epochs)
    was, now = _weights(result.last_checkpoint), _weights(again.last_checkpoint)
    assert all(torch.equal(was[key], now[key]) for key in was)
    assert [report.weights for report in rest] == [report.weights for report in whole]


def test_a_digest_of_weights_knows_every_bit_name_type_and_shape():
    state = {"b": torch.tensor([[1.0, 2.0]]), "a": torch.tensor(3), "note": "no tensor"}
    digest = weights_digest(state)
    assert digest == weights_digest(dict(reversed(state.items()))) == weights_digest({**state, "note": "another"})
    others = [{**state, "b": torch.tensor([[1.0, torch.nextafter(torch.tensor(2.0), torch.tensor(3.0))]])},
              {**state, "b": torch.tensor([1.0, 2.0])}, {**state, "b": state["b"].double()},
              {"c": state["b"], "a": state["a"]}]  # fmt: skip
    assert len({digest, *map(weights_digest, others)}) == 5


def test_early_stopping_ends_before_the_last_epoch_and_the_last_report_says_so(tmp_path: Path):
    trainer = {"max_epochs": 40, "batch_size": 16, "monitor": "val/mae", "early_stopping": {"patience": 2}}
    reports, result, _ = _train(_config(optimizer={"lr": 0.5}, trainer=trainer), tmp_path)
    assert result.epochs < 40
    assert [report.final for report in reports] == [False] * (result.epochs - 1) + [True]
    assert result.best_epoch == result.epochs - 2


def test_the_same_seed_gives_the_same_numbers_and_another_gives_others(tmp_path: Path):
    one, two = (_numbers(_train(_config(), tmp_path / name, epochs=2)[0]) for name in "ab")
    other = _numbers(_train(_config(seed=6), tmp_path / "c", epochs=2)[0])
    assert one == two != other


def test_the_learning_rate_follows_its_schedule(tmp_path: Path):
    seen = []

    def rates(schedule):
        task, recipe = prepare(_config(optimizer={"lr": 1.0, "name": "sgd"}, schedule=schedule))
        seen.clear()
        task.module.on_train_batch_start = lambda *_: seen.append(task.module.optimizers().param_groups[0]["lr"])
        fit(task, recipe, folder=tmp_path / json.dumps(schedule), on_epoch=lambda report: None)
        return list(seen)

    steps = 6 * 3
    assert rates({"name": "constant"}) == [1.0] * steps
    assert rates({"name": "step", "step_epochs": 2, "factor": 0.5}) == pytest.approx(
        [0.5 ** (n // 6) for n in range(steps)]
    )
    zaremba = rates({"name": "step", "step_epochs": 1, "hold_epochs": 4, "factor": 0.5})
    assert zaremba == pytest.approx([0.5 ** max(0, n // 3 - 3) for n in range(steps)])
    linear = [1 - 0.9 * max(0.0, n / steps - 0.25) / 0.75 for n in range(steps)]
    assert rates({"name": "linear", "hold": 0.25, "final_factor": 0.1}) == pytest.approx(linear)
    cosine = [0.1 + 0.9 * (1 + math.cos(math.pi * n / steps)) / 2 for n in range(steps)]
    assert rates({"name": "cosine", "final_factor": 0.1}) == pytest.approx(cosine, rel=1e-6)
    assert rates({"name": "warmup", "warmup_steps": 4}) == pytest.approx([min(1, (n + 1) / 5) for n in range(steps)])
    cycle = rates({"name": "one_cycle"})
    assert max(cycle) == pytest.approx(1.0, rel=0.01)  # the peak may lie between two steps
    assert cycle[0] < 0.1
    assert cycle[-1] < 0.01


def test_a_loss_that_is_no_number_ends_the_training_and_says_where(tmp_path: Path):
    with pytest.raises(TrialFailed, match="the training loss is nan in epoch 1, batch 1"):
        _train(_config(data={"examples": 40, "trouble": "nan"}, optimizer={"lr": 0.9}), tmp_path)
    assert committed(tmp_path) == []


def test_a_metric_that_never_comes_is_named_at_the_first_epoch(tmp_path: Path):
    task, recipe = prepare(_config())
    from dataclasses import replace

    odd = replace(recipe, trainer=recipe.trainer.model_copy(update={"monitor": "val/bleu"}))
    with pytest.raises(TrialFailed, match="never reported 'val/bleu'"):
        fit(task, odd, folder=tmp_path, on_epoch=lambda report: None)


def test_a_first_batch_tells_the_metrics_names():
    task, recipe = prepare(_config())
    assert {"train/loss", "val/loss", "val/mae"} <= set(prove(task, recipe))


def test_a_checkpoint_without_its_commit_or_with_other_bytes_is_none(tmp_path: Path):
    reports, _, _ = _train(_config(), tmp_path, epochs=2)
    first, second = (report.checkpoint for report in reports)
    assert committed(tmp_path) == [first, second]
    (first / COMMIT).unlink()
    with pytest.raises(NotFound, match="not a committed checkpoint"):
        state_file(first)
    content = bytearray((second / STATE).read_bytes())
    content[100] ^= 1
    (second / STATE).write_bytes(content)
    with pytest.raises(NotFound, match="damaged"):
        state_file(second)
    assert committed(tmp_path) == [second]


def test_a_pickle_planted_in_a_checkpoint_is_refused(tmp_path: Path):
    import hashlib

    reports, _, task = _train(_config(), tmp_path, epochs=1)
    planted = reports[0].checkpoint

    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "owned",))

    torch.save({"state_dict": Evil()}, planted / STATE)
    size, sha = (planted / STATE).stat().st_size, hashlib.sha256((planted / STATE).read_bytes()).hexdigest()
    (planted / COMMIT).write_text(json.dumps({"epoch": 1, "size_bytes": size, "sha256": sha}))
    with pytest.raises(NotFound, match="other objects than tensors"):
        load_weights(task.module, planted)
    assert not (tmp_path / "owned").exists()


def test_the_best_checkpoint_scores_what_its_epoch_reported(tmp_path: Path):
    _, result, task = _train(_config(optimizer={"lr": 0.3}), tmp_path)
    load_weights(task.module, result.best_checkpoint)
    assert score(task, "val")["val/mae"] == result.best_metrics["val/mae"]
    assert set(score(task, "test")) == {"test/loss", "test/mae"}
