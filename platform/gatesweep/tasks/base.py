"""What a task is: its data, its Lightning module, its baseline and its pictures, behind one protocol.

A task of your own is a class with these members, named in a configuration as `task: my_package.my_module:MyTask`.
Its module derives from `TaskModule`, logs `train/loss` in `training_step` and `val/…`, `test/…` once an epoch, and
leaves the optimizer to the training loop:

    class MyTask:
        data_section = MyData                       # a gatesweep.config.section.Section: the keys of `data:`
        metrics = ("loss", "accuracy")              # what it logs for val and test, without the split

        def __init__(self, data, model, *, batch_size, seed, say): ...
        # datasets, data_module, module, baseline(), figures(), predictions(), loader(), describe(): see `Task`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import pytorch_lightning as pl
from torch import nn
from torch.utils.data import DataLoader

from gatesweep.config.section import Section

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from gatesweep.data.fetch import Dataset
    from gatesweep.models.config import ModelConfig


@dataclass(frozen=True)
class Baseline:
    """What a model without parameters scores on the same examples: the number to beat."""

    name: str
    metrics: Mapping[str, float]
    """Of the chosen baseline, named without a split: `{"mae": 355.2, …}`."""

    candidates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Every one that was scored, the chosen one included."""


class Task(Protocol):
    """One training's data and module. Building it loads the data, checks it and draws the initial weights."""

    data_section: ClassVar[type[Section]]
    """Configuration of the `data:` key. A task in the registry names it there instead."""

    metrics: ClassVar[tuple[str, ...]]
    """Reported for val and test, without the split. A task in the registry names them there instead."""

    # splits: tuple[str, ...]: may be there; those that the data has, where it is not all of train, val and test.
    # account(path) -> list[str]: may be there; what was read of another file and done to it, said before scoring.
    # statements(split, path=None) -> list[str]: may be there; what a score means in plain words, said after scoring.
    # data_section.unreported(model) -> frozenset[str]: may be there; metrics that such a configuration never reports.
    # module_of(model) -> TaskModule: may be there; the module of another `model:` over the same data. Sizes are counted
    #     with it, without memory for weights; without it a whole task is built for each count.
    # model_section: ClassVar[type[ModelConfig]]: may be there; keys that `model:` has beyond those of `ModelConfig`.

    datasets: list[Dataset]
    """What was read, for the run's lineage."""

    data_module: pl.LightningDataModule
    """Loaders of train, val and test. Their order is a function of the seed and the epoch alone."""

    module: TaskModule

    def __init__(self, data: Any, model: ModelConfig, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:
        """Load and check the data, build the module.

        Args:
            data: an instance of `data_section`.
            batch_size: examples of one optimizer step on one device.
            seed: of the initial weights and of the order of the examples.
            say: takes one line for the user, e.g. that a set is being fetched.

        Raises:
            DataError: data that cannot be trained on; nothing was trained yet.
        """

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """The baseline on the very examples of `split` that the model is scored on."""

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """Pictures of the module's output on `split`, by file stem."""

    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """What the module says of every example of `split`, beside the truth."""

    def loader(self, split: str, path: Path | None = None) -> DataLoader[Any]:
        """Examples of `train`, `val`, `test` or `all`, in order.

        Args:
            path: another file of the same layout; it is scaled as the module's own training data was.
        """

    def describe(self) -> list[str]:
        """Lines for the log: what was cleaned, how many examples each split has, how they are scaled."""


class TaskModule(pl.LightningModule):
    """A Lightning module whose optimizer comes from outside.

    The training loop sets `optimizer_factory` before `fit`; it takes the module and the number of optimizer steps of
    the whole training, and returns what Lightning's `configure_optimizers` may return.
    """

    optimizer_factory: Callable[[nn.Module, int], Any] | None = None

    def configure_optimizers(self) -> Any:
        """The factory's optimizer and schedule."""
        assert self.optimizer_factory is not None, "the training loop sets optimizer_factory before fit"
        return self.optimizer_factory(self, int(self.trainer.estimated_stepping_batches))
