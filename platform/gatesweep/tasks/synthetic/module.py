"""The Lightning module: cross-entropy of all that is asked, or the mean square error of a number.

    loss       nats a question, over all of them; of adding the mean square error
    accuracy   right answers among those that need the memory; of adding those within .04

Shape suffixes: B batch, N steps, D inputs, O outputs of the encoder, C classes, Q questions of a batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from gatesweep.models.config import ModelConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.synthetic.config import PER_STEP, SyntheticData
from gatesweep.tasks.synthetic.loaders import SyntheticBatch
from gatesweep.tasks.synthetic.problems import CLOSE, IGNORED, Problem


class Network(nn.Module):
    """An encoder and a linear map."""

    def __init__(self, config: ModelConfig, inputs: int, outputs: int, *, causal: bool) -> None:
        super().__init__()
        self.encoder = build_encoder(config, inputs, causal=causal)
        self.output = nn.Linear(self.encoder.output_size, outputs)


def build_network(model: ModelConfig, problem: Problem, seed: int) -> Network:
    """The network with weights that are a function of `seed`, whatever was drawn before.

    Raises:
        ConfigError: a bidirectional one for a problem that asks before the end.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network(model, problem.inputs, problem.outputs, causal=problem.data.problem in PER_STEP)


class Answers(NamedTuple):
    """What a batch is answered."""

    said_Q: Tensor
    """A class, or a number, for each question in the order of examples and steps."""
    loss_Q: Tensor
    right_Q: Tensor
    scored_Q: Tensor


class MemoryModule(TaskModule):
    """A network and how well it remembers."""

    def __init__(self, network: Network, data: SyntheticData, *, regression: bool) -> None:
        super().__init__()
        self.network, self.data, self.regression = network, data, regression
        self._sums = torch.zeros(4, dtype=torch.float64)

    def answer(self, batch: SyntheticBatch) -> Answers:
        """Every question of a batch."""
        lengths = None if bool((batch.lengths_B == batch.x_BND.shape[1]).all()) else batch.lengths_B
        encoded = self.network.encoder(batch.x_BND.to(self.dtype), lengths)
        if self.regression:
            said_Q = self.network.output(encoded.summary_BO)[:, 0]
            error_Q = said_Q - batch.value_B.to(said_Q.dtype)
            return Answers(said_Q, error_Q.square(), error_Q.abs() < CLOSE, torch.ones_like(said_Q, dtype=torch.bool))
        asked_BN = batch.labels_BN != IGNORED
        label_Q = batch.labels_BN[asked_BN]
        logits_QC = self.network.output(encoded.outputs_BTO[asked_BN])
        said_Q = logits_QC.argmax(dim=1)
        return Answers(said_Q, cross_entropy(logits_QC, label_Q, reduction="none"), said_Q == label_Q,
                       batch.scored_BN[asked_BN])  # fmt: skip

    def training_step(self, batch: SyntheticBatch, batch_idx: int) -> Tensor:
        loss_Q = self.answer(batch).loss_Q
        loss: Tensor = loss_Q.mean()
        self.log_loss(loss, len(loss_Q))
        return loss

    def validation_step(self, batch: SyntheticBatch, batch_idx: int) -> None:
        self._sums += sums(self.answer(batch)).cpu()

    def on_validation_epoch_start(self) -> None:
        self._sums = torch.zeros(4, dtype=torch.float64)

    def on_validation_epoch_end(self) -> None:
        for name, value in from_sums(self._sums).items():
            self.log(f"val/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)


def sums(answers: Answers) -> Tensor:
    """Loss, questions, right answers among the scored, scored ones; float64."""
    scored_Q = answers.scored_Q
    counted = [answers.loss_Q.double().sum(), scored_Q.new_tensor(len(scored_Q), dtype=torch.float64),
               (answers.right_Q & scored_Q).double().sum(), scored_Q.double().sum()]  # fmt: skip
    return torch.stack(counted)


def from_sums(found: Tensor) -> dict[str, float]:
    """`loss` and `accuracy`."""
    loss, asked, right, scored = found.tolist()
    return {"loss": loss / max(1.0, asked), "accuracy": right / max(1.0, scored)}
