"""A task out of plain functions: `task: my_package.my_module`.

    def build_data(config):  -> {"train": Dataset, "val": Dataset, "test": Dataset}
    def build_model(config): -> nn.Module
    def loss(model, batch):  -> the loss, or {"loss": …, "accuracy": …}: means over the batch

    metrics = ("loss", "accuracy")       # may be left out where `loss` returns the loss alone
    data_section = MyData                # may be left out: then the keys of `data:` are free, and no search dimension
    model_section = MyModel              # may be left out
    def baseline(config, split): -> ("majority", {"accuracy": 0.5})        # may be left out
    def sources(config): -> ["traffic", "my.csv"]    # may be left out: sets and files to fetch, verify and record
    def collate(examples): -> batch                  # may be left out: torch's default

`config` holds `data`, `model`, `batch_size` and `seed`. The weights that `build_model` draws follow from the seed;
the order of the examples is a function of seed and epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from gatesweep.data import fetch
from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.base import Baseline, TaskModule
from gatesweep.tasks.order import EpochShuffle

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gatesweep.models.config import ModelConfig

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Config:
    """What every function is given."""

    data: Any
    model: ModelConfig
    batch_size: int
    seed: int


class FunctionModule(TaskModule):
    """The user's network, trained by the user's `loss`; metrics are means over examples."""

    def __init__(self, network: torch.nn.Module, loss: Callable[[torch.nn.Module, Any], Any], place: str) -> None:
        super().__init__()
        self.network, self._loss, self._place = network, loss, place

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = self._measured(batch)["loss"]
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=_size(batch))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._log("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._log("test", batch)

    def _log(self, split: str, batch: Any) -> None:
        for name, value in self._measured(batch).items():
            self.log(f"{split}/{name}", torch.as_tensor(value).detach().double(), on_step=False, on_epoch=True,
                     batch_size=_size(batch))  # fmt: skip

    def _measured(self, batch: Any) -> dict[str, Tensor]:
        found = self._loss(self.network, batch)
        measured = dict(found) if isinstance(found, Mapping) else {"loss": found}
        if not isinstance(measured.get("loss"), Tensor):
            raise ConfigError("`loss` must return a tensor, or a mapping with a tensor under 'loss'", place=self._place)
        if measured["loss"].numel() != 1:
            raise ConfigError(f"`loss` must return one number a batch, not a tensor of {list(measured['loss'].shape)}",
                              place=self._place, hint="its mean: loss.mean()")
        if torch.is_grad_enabled() and not measured["loss"].requires_grad:
            raise ConfigError("`loss` has no gradient: it was cut off from the model's weights", place=self._place,
                              hint="no detach(), item() or no_grad() on its way")
        return measured


class FunctionTask:
    """See `gatesweep.tasks.base.Task`; `of(module)` makes the class for one module."""

    functions: ClassVar[ModuleType]

    @staticmethod
    def of(module: ModuleType) -> type[FunctionTask]:
        """The task that a module's functions are."""
        return type("FunctionTask", (FunctionTask,), {"functions": module})

    def __init__(self, data: Any, model: ModelConfig, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        given, self.place = self.functions, self.functions.__name__
        self.config = Config(data, model, batch_size, seed)
        asked = given.sources(self.config) if hasattr(given, "sources") else ()
        self.datasets = [_source(each, say) for each in asked]
        self.parts = _checked(given.build_data(self.config), f"{self.place}.build_data")
        self.module = self.module_of(model)
        self.data_module: pl.LightningDataModule = _Parts(self)

    def module_of(self, model: ModelConfig) -> FunctionModule:
        """What `build_model` gives for another model."""
        config = replace(self.config, model=model)
        with torch.random.fork_rng():
            torch.manual_seed(config.seed)
            network = self.functions.build_model(config)
        if not isinstance(network, torch.nn.Module):
            raise ConfigError(f"`build_model` returned {type(network).__name__}, not a torch.nn.Module",
                              place=self.place)  # fmt: skip
        return FunctionModule(network, self.functions.loss, f"{self.place}.loss")

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """What `baseline(config, split)` says."""
        _no_other(path, self.place)
        if not hasattr(self.functions, "baseline"):
            return Baseline("none given", {})
        name, metrics = self.functions.baseline(self.config, split)
        return Baseline(str(name), dict(metrics), {str(name): dict(metrics)})

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """None."""
        return {}

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """Plain functions give none.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("a task of plain functions writes no predictions", place=self.place,
                          hint="a class (my_module:MyTask) may: see docs/own_tasks.md")  # fmt: skip

    def loader(self, split: str, path: Path | None = None) -> DataLoader[Any]:
        """Examples of a split in their order; `all` is every split, one after the other."""
        _no_other(path, self.place)
        whole: Dataset[Any] = torch.utils.data.ConcatDataset(list(self.parts.values()))
        return self._loader(whole if split == "all" else self.parts[split])

    def describe(self) -> list[str]:
        """How many examples there are."""
        return [f"{split}: {len(cast(Sized, part)):,} examples" for split, part in self.parts.items()]

    def _loader(self, part: Dataset[Any], sampler: EpochShuffle | None = None) -> DataLoader[Any]:
        return DataLoader(part, batch_size=self.config.batch_size, sampler=sampler,
                          collate_fn=getattr(self.functions, "collate", default_collate))  # fmt: skip


class _Parts(pl.LightningDataModule):
    def __init__(self, task: FunctionTask) -> None:
        super().__init__()
        self.task = task

    def train_dataloader(self) -> DataLoader[Any]:
        part, trainer = self.task.parts["train"], self.trainer
        share = {"rank": trainer.global_rank, "replicas": trainer.world_size} if trainer else {}
        return self.task._loader(part, EpochShuffle(len(cast(Sized, part)), self.task.config.seed, **share))

    def val_dataloader(self) -> DataLoader[Any]:
        return self.task.loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self.task.loader("test")


def _source(name: str, say: Callable[[str], None]) -> fetch.Dataset:
    """A path where it reads like one, else a set."""
    return fetch.user_file(name) if "/" in name or "." in name else fetch.ensure(name, say=say)


def _checked(parts: Any, place: str) -> dict[str, Dataset[Any]]:
    if not isinstance(parts, Mapping) or set(parts) != set(SPLITS):
        found = sorted(map(str, parts)) if isinstance(parts, Mapping) else type(parts).__name__
        lacking = [split for split in SPLITS if split not in parts] if isinstance(parts, Mapping) else []
        raise ConfigError(f"returned {found}, not a mapping of train, val and test to datasets", place=place,
                          hint=f"{', '.join(lacking)} is missing" if lacking else "{'train': …, 'val': …, 'test': …}")
    empty = [split for split in SPLITS if not len(parts[split])]
    if empty:
        raise DataError(f"no example in {', '.join(empty)}", place=place)
    return {split: parts[split] for split in SPLITS}


def _size(batch: Any) -> int:
    """Examples in a batch: the length of its first tensor."""
    if isinstance(batch, Tensor):
        return len(batch)
    inner = batch.values() if isinstance(batch, Mapping) else batch
    return _size(next(iter(inner)))


def _no_other(path: Path | None, place: str) -> None:
    if path is not None:
        raise ConfigError("a task of plain functions has no other data", place=place,
                          hint="a class (my_module:MyTask) may read --data: see docs/own_tasks.md")  # fmt: skip
