"""Averaged weights: the mean that Merity et al. 2017, algorithm 1, writes down, in validation and in the checkpoint."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from
from gatesweep.train.averaging import triggered
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit

LR = 0.15


def _config(average: str, patience: int = 0, **trainer):
    return experiment_from({
        "task": "toy_task:ToyTask",
        "data": {"examples": 40},
        "model": {"hidden_size": 8},
        "optimizer": {"name": "sgd", "lr": LR, "clip_norm": None, "average": average, "average_patience": patience},
        "trainer": {"max_epochs": 8, "batch_size": 16, **trainer},
        "seed": 5,
    }, place="test")  # fmt: skip


def _prepared(config):
    """The task with its training batches in the order of the examples."""
    task, recipe = prepare(config)
    task.data_module.train_dataloader = lambda: DataLoader(task.parts["train"], batch_size=16)
    return task, recipe


def written_out(config) -> tuple[list[float], int | None, list[dict], list[dict]]:
    """Algorithm 1 as it stands in the paper: values logged, the trigger's epoch, averaged and raw weights by epoch."""
    task, _ = _prepared(config)
    net, n = task.module.net, config.optimizer.average_patience
    loader, validation = task.data_module.train_dataloader(), task.parts["val"].tensors
    logs, began, mean, raw, window = [], None, [], [], []
    if config.optimizer.average == "always":
        window, began = [[p.detach().clone() for p in net.parameters()]], 0

    def averaged():
        return [sum(each) / len(window) for each in zip(*window, strict=True)]

    def value(weights) -> float:
        with torch.no_grad():
            own = [p.clone() for p in net.parameters()]
            for p, w in zip(net.parameters(), weights, strict=True):
                p.copy_(w)
            losses = [(len(y), float(functional.mse_loss(net(x), y))) for x, y in zip(
                *(part.split(16) for part in validation), strict=True)]  # fmt: skip
            for p, w in zip(net.parameters(), own, strict=True):
                p.copy_(w)
        return sum(size * loss for size, loss in losses) / len(validation[0])

    for epoch in range(config.trainer.max_epochs):
        for x, y in loader:
            net.zero_grad()
            functional.mse_loss(net(x), y).backward()
            with torch.no_grad():
                for p in net.parameters():
                    p -= LR * p.grad
            if began is not None:
                window.append([p.detach().clone() for p in net.parameters()])
        now = [p.detach().clone() for p in net.parameters()]
        v = value(averaged() if began is not None else now)
        if began is None and len(logs) > n and v > min(logs[: len(logs) - n]):
            began, window = epoch, [now]
        logs.append(v)
        mean.append(averaged() if began is not None else now)
        raw.append(now)
    return logs, began, mean, raw


@pytest.mark.parametrize(("average", "patience"), [("always", 0), ("triggered", 0), ("triggered", 2)])
def test_validation_and_checkpoint_hold_the_mean_that_the_paper_s_loop_gives(tmp_path: Path, average: str,
                                                                            patience: int):  # fmt: skip
    config = _config(average, patience)
    logs, began, mean, raw = written_out(config)
    task, recipe = _prepared(config)
    reports, states = [], []

    def on_epoch(report):
        reports.append(report.metrics["val/loss"])
        states.append(torch.load(state_file(report.checkpoint), weights_only=True))

    fit(task, recipe, folder=tmp_path, on_epoch=on_epoch)
    assert began is not None
    assert began < 6  # so that several epochs are averaged
    assert reports == pytest.approx(logs, rel=1e-5)
    for epoch, state in enumerate(states):
        torch.testing.assert_close(list(state["state_dict"].values()), mean[epoch], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(list(task.module.net.parameters()), raw[-1], rtol=1e-5, atol=1e-6, check_stride=False)


def test_a_batch_whose_gradients_are_only_added_up_is_no_step(tmp_path: Path):
    config = _config("always", accumulate=2)
    task, recipe = prepare(config)
    counts = []
    fit(task, recipe, folder=tmp_path, on_epoch=lambda report: counts.append(
        torch.load(state_file(report.checkpoint), weights_only=True)["averaging"]["count"]))  # fmt: skip
    assert counts == [1 + 2 * epoch for epoch in range(1, 9)]  # 3 batches an epoch are 2 steps


@pytest.mark.parametrize(
    ("values", "patience", "mode", "expected"),
    [
        ([3.0], 0, "min", False),
        ([3.0, 2.0], 0, "min", False),
        ([3.0, 3.1], 0, "min", True),
        ([3.0, 2.0, 2.5], 1, "min", False),  # 2.5 is no worse than 3, and 2 is left out
        ([3.0, 2.0, 2.5, 2.1], 1, "min", True),
        ([3.0, 3.1], 5, "min", False),
        ([0.3, 0.2], 0, "max", True),
        ([0.3, 0.4], 0, "max", False),
    ],
)
def test_the_trigger_compares_with_all_but_the_last_epochs(values, patience: int, mode: str, expected: bool):
    assert triggered(values, patience, mode) is expected
