"""The Lightning module: cross-entropy in training, metrics over all texts of a split at its end.

    logits = network(text) + weight · log p_bag(text)       up to a constant: both vote, where there is a bag of words
                                                            (Mesnil et al. 2015); the network is trained alone

Shape suffixes: B batch, N texts of a split, K labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.models.bag_of_pairs import BagOfPairs
from gatesweep.models.classifier import Classifier
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.classification.loaders import TextBatch
from gatesweep.tasks.classification.metrics import metrics_of


class ClassificationModule(TaskModule):
    """A network and how well it does.

    Args:
        weight_K: of each label in the training loss.
        words: of the vocabulary, in order; kept in the checkpoint, so that another training can start from it.
        bag: votes with `bag_weight` beside the network in validation, test and prediction.
    """

    weight_K: Tensor

    def __init__(
        self, network: Classifier, weight_K: Tensor, words: Sequence[str], *, label_smoothing: float = 0.0,
        bag: BagOfPairs | None = None, bag_weight: float = 1.0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.network, self.words, self.label_smoothing = network, list(words), label_smoothing
        self.bag, self.bag_weight = bag, bag_weight
        self.register_buffer("weight_K", weight_K)
        self._said: list[tuple[Tensor, Tensor]] = []

    def forward(self, batch: TextBatch) -> Tensor:
        """`logits_BK` of the vote."""
        logits_BK = self.own(batch)
        if self.bag is None:
            return logits_BK
        return logits_BK.float().log_softmax(dim=1) + self.bag_weight * self.bag(batch.ids_BT, batch.lengths_B)

    def own(self, batch: TextBatch) -> Tensor:
        """`logits_BK` of the network alone."""
        logits_BK: Tensor = self.network(batch.ids_BT, batch.lengths_B, batch.context_BTD)
        return logits_BK

    def training_step(self, batch: TextBatch, batch_idx: int) -> Tensor:
        loss = functional.cross_entropy(self.own(batch).float(), batch.label_B, self.weight_K.float(),
                                        label_smoothing=self.label_smoothing)  # fmt: skip
        self.log_loss(loss, len(batch.label_B), over=self.weight_K[batch.label_B].sum())
        return loss

    def validation_step(self, batch: TextBatch, batch_idx: int) -> None:
        self._said.append((self(batch).float(), batch.label_B))

    def test_step(self, batch: TextBatch, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def on_validation_epoch_start(self) -> None:
        self._said = []

    def on_test_epoch_start(self) -> None:
        self._said = []

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _report(self, split: str) -> None:
        logits_NK, label_N = (torch.cat(column) for column in zip(*self._said, strict=True))
        self._said = []
        p_NK = logits_NK.double().softmax(dim=1).cpu().numpy()
        for name, value in metrics_of(p_NK, label_N.cpu().numpy()).items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["vocabulary"] = self.words
