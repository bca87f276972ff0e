"""Synthetic long memory as a task: the problem, the module, what can be said without memory, the pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch
from torch.utils.data import DataLoader

from gatesweep.config.loader import build
from gatesweep.config.yaml_file import read_mapping
from gatesweep.errors import DataError
from gatesweep.tasks.base import Baseline
from gatesweep.tasks.synthetic import figures
from gatesweep.tasks.synthetic.config import SyntheticData, SyntheticModel
from gatesweep.tasks.synthetic.loaders import EVAL_BATCH, SPLITS, Drawn, SyntheticBatch, SyntheticModule, loader
from gatesweep.tasks.synthetic.module import MemoryModule, build_network, from_sums, sums
from gatesweep.tasks.synthetic.problems import IGNORED, Example, problem_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gatesweep.data.fetch import Dataset

WITHOUT = "without memory"
CURVE = (0.25, 0.5, 1.0, 2.0)
"""Shares of the training's length that a trained model is also asked at."""
CURVE_EXAMPLES = 200


class Synthetic:
    """See `gatesweep.tasks.base.Task`. Nothing is read: examples are drawn."""

    data_section = SyntheticData
    model_section = SyntheticModel
    metrics = ("loss", "accuracy")

    def __init__(self, data: SyntheticData, model: SyntheticModel, *, batch_size: int, seed: int,
                 say: Callable[[str], None]) -> None:  # fmt: skip
        self.data, self.problem = data, problem_of(data)
        self.datasets: list[Dataset] = []
        self.data_module = SyntheticModule(data, batch_size=batch_size, seed=seed)
        self.seed = seed
        self.module = self.module_of(model)

    def module_of(self, model: SyntheticModel) -> MemoryModule:
        """Another model for the same problem."""
        return MemoryModule(build_network(model, self.problem, self.seed), self.data,
                            regression=self.problem.regression)  # fmt: skip

    def baseline(self, split: str, path: Path | None = None) -> Baseline:
        """What is to be expected of whoever knows the problem and remembers nothing, on the same examples."""
        found = torch.zeros(4, dtype=torch.float64)
        for drawn in self._drawn(split, path):
            found += _without(drawn)
        scores = from_sums(found)
        return Baseline(WITHOUT, scores, {WITHOUT: scores})

    def loader(self, split: str, path: Path | None = None) -> DataLoader[SyntheticBatch]:
        """The examples of `train` (those of the first epoch), `val`, `test` or `all`.

        Args:
            path: a YAML file of the keys of `data:` that are to be others, e.g. `length: 400`.

        Raises:
            DataError: a file of keys that are none, or that ask another problem.
        """
        parts = self._drawn(split, path)
        batch = max(self.data_module.batch_size, EVAL_BATCH)
        return loader(parts[0] if len(parts) == 1 else _All(parts), batch)

    @torch.no_grad()
    def predictions(self, split: str, path: Path | None = None) -> pd.DataFrame:
        """One row for each question that is scored.

        Returns:
            Columns example, step (from 1), truth, said.
        """
        module, parts, first = self.module, [], 0
        was_training = module.training
        module.eval()
        for batch in self.loader(split, path):
            moved = SyntheticBatch(*(each.to(module.device) for each in batch))
            answers = module.answer(moved)
            scored_Q = answers.scored_Q.cpu()
            if self.problem.regression:
                place_Q2 = torch.stack([torch.arange(len(batch.value_B)), batch.lengths_B - 1], dim=1)
                truth_Q = batch.value_B
            else:
                place_Q2 = (batch.labels_BN != IGNORED).nonzero()
                truth_Q = batch.labels_BN[batch.labels_BN != IGNORED]
            parts.append(pd.DataFrame({"example": (place_Q2[scored_Q, 0] + first).numpy(),
                                       "step": (place_Q2[scored_Q, 1] + 1).numpy(),
                                       "truth": truth_Q[scored_Q].numpy(),
                                       "said": answers.said_Q.cpu()[scored_Q].numpy()}))  # fmt: skip
            first += len(batch.lengths_B)
        module.train(was_training)
        return pd.concat(parts, ignore_index=True)

    def figures(self, split: str, path: Path | None = None) -> dict[str, Figure]:
        """`answers`: what was said, by step, or of adding over the truth; `lengths`: right answers at other lengths."""
        table, title = self.predictions(split, path), f"{self.data.problem}, length {self.data.length}, {split}"
        without = self.baseline(split, path).metrics["accuracy"]
        answers = (figures.numbers(table, title=title) if self.problem.regression
                   else figures.by_step(table, without, title=title))  # fmt: skip
        return {"answers": answers,
                "lengths": figures.by_length(self.curve(), self.data.length, title=f"trained on {title}")}  # fmt: skip

    @torch.no_grad()
    def curve(self) -> dict[int, tuple[float, float]]:
        """By length: right answers of the module as it stands, and without memory, on examples of val's kind."""
        module, found = self.module, {}
        was_training = module.training
        module.eval()
        for share in CURVE:
            raw = {**self.data.model_dump(), "length": max(2, round(share * self.data.length)), "val": CURVE_EXAMPLES}
            drawn = self.data_module.drawn("val", SyntheticData.model_validate(raw))
            total = torch.zeros(4, dtype=torch.float64)
            for batch in loader(drawn, EVAL_BATCH):
                total += sums(module.answer(SyntheticBatch(*(each.to(module.device) for each in batch)))).cpu()
            found[raw["length"]] = from_sums(total)["accuracy"], from_sums(_without(drawn))["accuracy"]
        module.train(was_training)
        return found

    def describe(self) -> list[str]:
        """The problem in numbers."""
        data, example = self.data, self.data_module.drawn("val").example(0, 0)
        longest = f"{len(example.labels_N):,} steps" + (" or so" if data.problem == "reber" else "")
        drawn = "new ones in every epoch" if data.fresh else "the same in every epoch"
        return [f"{data.problem}, length {data.length:,}: {longest} of {self.problem.inputs} inputs",
                f"train: {data.train:,} examples, {drawn}; val: {data.val:,}; test: {data.test:,}"]

    def _drawn(self, split: str, path: Path | None) -> list[Drawn]:
        data = self.data if path is None else _other(self.data, path)
        return [self.data_module.drawn(each, data) for each in (SPLITS if split == "all" else (split,))]


class _All(Drawn):
    """Several splits as one."""

    def __init__(self, parts: list[Drawn]) -> None:
        super().__init__(parts[0].problem, "train", sum(map(len, parts)), parts[0].seed)
        self.parts = parts

    def example(self, epoch: int, number: int) -> Example:
        for part in self.parts:
            if number < len(part):
                return part.example(epoch, number)
            number -= len(part)
        return self.parts[0].example(epoch, 0)  # a filling copy


def _without(drawn: Drawn) -> torch.Tensor:
    """The sums of `module.sums` that are to be expected without memory."""
    found = torch.zeros(4, dtype=torch.float64)
    for number in range(len(drawn)):
        example = drawn.example(0, number)
        expected = drawn.problem.without_memory(example)
        asked = 1 if drawn.problem.regression else int((example.labels_N != IGNORED).sum())
        scored = 1 if drawn.problem.regression else int(example.scored_N.sum())
        found += torch.tensor([expected.loss, asked, expected.right, scored], dtype=torch.float64)
    return found


def _other(data: SyntheticData, path: Path) -> SyntheticData:
    """The settings with some of them changed by a file."""
    given = read_mapping(path)
    changed = build(SyntheticData, {**data.model_dump(), **given}, place=str(path))
    fixed = [name for name in ("problem", "symbols") if getattr(changed, name) != getattr(data, name)]
    if fixed:
        raise DataError(f"{fixed[0]}: the model was trained with {getattr(data, fixed[0])!r}", place=str(path),
                        hint="length, span, and the numbers of examples can be others")
    return changed
