"""The module under Lightning: what it logs, the residual, the checkpoint that carries its scaler."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.tasks.forecasting import baselines
from gatesweep.tasks.forecasting.loaders import WindowsModule, in_order
from gatesweep.tasks.forecasting.module import build_module
from gatesweep.tasks.forecasting.windows import WindowBatch
from gatesweep.train.callbacks import Generators

Make = Any
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pytorch_lightning")  # advice on workers and loggers


class SeenOrder(pl.Callback):
    """Which windows each epoch saw, in order."""

    def __init__(self) -> None:
        self.epochs: dict[int, list[int]] = {}

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: WindowBatch,
                             batch_idx: int) -> None:
        self.epochs.setdefault(trainer.current_epoch, []).extend(batch.origin_B.tolist())


def trainer_of(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    return pl.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu", devices=1,
                      num_sanity_val_steps=0, callbacks=list(callbacks), **{"enable_checkpointing": False, **options})


def by_sgd(module: nn.Module, steps: int) -> torch.optim.Optimizer:
    return torch.optim.SGD(module.parameters(), lr=0.01)


def test_logged_metrics_equal_those_of_all_windows_at_once(prepared: Make, module_of: Make) -> None:
    made = prepared(transform="log_return", covariates=("temp",))
    module = module_of(made)
    logged = trainer_of().validate(module, dataloaders=in_order(made.windows("val"), 7), verbose=False)[0]
    windows = made.windows("val")
    batch = windows.__getitems__(list(range(len(windows))))
    with torch.no_grad():
        z_BF = module(batch.past_BTD, batch.future_BFE)
    price_BF = made.values_N[batch.origin_B - 1][:, None] * np.exp(np.cumsum(
        z_BF.double().numpy() * float(made.scaler.scale_C[0]) + float(made.scaler.center_C[0]), axis=1))
    truth_BF = made.values_N[batch.origin_B[:, None] + torch.arange(4)]
    assert logged["val/mae"] == pytest.approx(np.abs(price_BF - truth_BF).mean(), rel=1e-5)
    assert logged["val/rmse"] == pytest.approx(np.sqrt(((price_BF - truth_BF) ** 2).mean()), rel=1e-5)
    assert logged["val/mase"] == pytest.approx(logged["val/mae"] / made.naive_error, rel=1e-6)
    assert logged["val/loss"] == pytest.approx(float(((z_BF - batch.target_BF) ** 2).mean()), rel=1e-5)
    assert set(logged) == {f"val/{name}" for name in ("loss", "mae", "rmse", "mape", "mase", "direction")}


def test_a_silent_network_with_a_residual_is_the_seasonal_naive_forecast(prepared: Make, module_of: Make) -> None:
    for lag in (3, 12):
        made = prepared(residual=lag, seasonal=(lag, 24))
        module = module_of(made)
        for parameter in module.parameters():
            nn.init.zeros_(parameter)
        logged = trainer_of().validate(module, dataloaders=in_order(made.windows("val"), 256), verbose=False)[0]
        naive = baselines.score(made.values_N, made.truth_N, made.origins("val"), 4, lag, made.naive_error)
        assert logged["val/mae"] == pytest.approx(naive["mae"], rel=1e-5)
        assert logged["val/mase"] == pytest.approx(naive["mase"], rel=1e-5)


@pytest.mark.parametrize("transform", ["none", "log", "difference", "log_return"])
def test_the_true_scaled_values_come_back_as_the_series(prepared: Make, module_of: Make, transform: str) -> None:
    made = prepared(transform=transform)
    windows = made.windows("test")
    batch = windows.__getitems__(list(range(len(windows))))
    restored_BF = module_of(made).in_units(batch.target_BF, batch.last_B)
    torch.testing.assert_close(restored_BF, batch.truth_BF, rtol=1e-4, atol=1e-3)


def test_train_loss_is_the_mean_over_windows_of_uneven_batches(prepared: Make, module_of: Make) -> None:
    made = prepared()
    module = module_of(made)
    module.optimizer_factory = lambda module, steps: torch.optim.SGD(module.parameters(), lr=0.0)
    trainer = trainer_of(max_epochs=1)
    trainer.fit(module, datamodule=WindowsModule(made, batch_size=100, seed=1))
    windows = made.windows("train")
    batch = windows.__getitems__(list(range(len(windows))))
    with torch.no_grad():
        whole = module.loss(module(batch.past_BTD, batch.future_BFE), batch.target_BF)
    assert len(windows) % 100, "the last batch is smaller"
    assert float(trainer.callback_metrics["train/loss"]) == pytest.approx(float(whole), rel=1e-5)


def test_the_factory_is_told_how_many_steps_there_will_be(prepared: Make, module_of: Make) -> None:
    made, told = prepared(), []
    module = module_of(made)
    module.optimizer_factory = lambda module, steps: told.append(steps) or by_sgd(module, steps)
    trainer_of(max_epochs=3).fit(module, datamodule=WindowsModule(made, batch_size=100, seed=1))
    assert told == [3 * -(-len(made.origins("train")) // 100)]


def test_a_resumed_training_sees_the_windows_in_the_order_of_an_uninterrupted_one(prepared: Make, module_of: Make,
                                                                                 tmp_path: Path) -> None:
    made = prepared()

    def fit(epochs: int, resume: str | None = None) -> tuple[SeenOrder, pl.Trainer, Any]:
        seen, module = SeenOrder(), module_of(made)
        module.optimizer_factory = by_sgd
        trainer = trainer_of(seen, max_epochs=epochs)
        data_module = WindowsModule(made, batch_size=32, seed=3)
        trainer.fit(module, datamodule=data_module, ckpt_path=resume, weights_only=True)
        return seen, trainer, module

    whole, _, uninterrupted = fit(4)
    _, stopped, _ = fit(2)
    stopped.save_checkpoint(tmp_path / "half.ckpt")
    rest, _, resumed = fit(4, str(tmp_path / "half.ckpt"))
    assert {epoch: whole.epochs[epoch] for epoch in (2, 3)} == rest.epochs
    assert len({tuple(order) for order in whole.epochs.values()}) == 4
    for one, other in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_checkpoint_alone_brings_the_scaler(prepared: Make, hourly: Make, module_of: Make) -> None:
    trained = module_of(prepared(hourly(seed=0)))
    other = module_of(prepared(hourly(seed=9)), seed=1)
    assert not torch.equal(trained.scaler.center_C, other.scaler.center_C)
    other.load_state_dict(trained.state_dict())
    assert torch.equal(trained.scaler.center_C, other.scaler.center_C)
    assert torch.equal(trained.scaler.scale_C, other.scaler.scale_C)
    assert trained.naive_error == other.naive_error


@pytest.mark.parametrize("model", [
    {"decoder": "recursive", "teacher_forcing": 0.5, "output": "student_t", "normalise": "revin"},
    {"decoder": "segments", "dropout": 0.3, "input_dropout": 0.2, "output": "quantiles", "segment": 4},
    {"decoder": "attention", "dropout": 0.3},
], ids=lambda each: each["decoder"])
def test_a_resumed_training_of_every_decoder_gives_the_bits_of_an_uninterrupted_one(prepared: Make, tmp_path: Path,
                                                                                    model: dict[str, Any]) -> None:
    made = prepared(jitter=0.1, known=("flag",))

    def fit(epochs: int, resume: str | None = None) -> tuple[pl.Trainer, Any]:
        module = build_module(ForecastModel(hidden_size=8, **model), made.data, made, seed=1)
        module.optimizer_factory = by_sgd
        torch.manual_seed(5)
        trainer = trainer_of(Generators(), max_epochs=epochs)
        trainer.fit(module, datamodule=WindowsModule(made, batch_size=64, seed=3), ckpt_path=resume, weights_only=True)
        return trainer, module

    _, uninterrupted = fit(3)
    stopped, _ = fit(1)
    stopped.save_checkpoint(tmp_path / "part.ckpt")
    _, resumed = fit(3, str(tmp_path / "part.ckpt"))
    for one, other in zip(uninterrupted.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
