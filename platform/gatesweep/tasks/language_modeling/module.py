"""The Lightning module: truncated backpropagation with the state carried, perplexity of every word counted once.

    loss = mean nll [times T] + ar mean(m ⊙ h)² + tar mean(h_t - h_(t-1))²      (Merity et al. 2017, section 4.6)
    ppl  = exp(Σ nll / tokens)        bpc = Σ nll / (ln 2 · characters)

In training the state goes on from window to window and begins anew with every epoch, so that nothing of it need be
saved at an epoch's border. Shape suffixes: S streams, T steps, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from gatesweep.models.encoder import detached
from gatesweep.models.language_model import LanguageNetwork, Read
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.language_modeling.config import LanguageData, LanguageModel
from gatesweep.tasks.language_modeling.streams import IGNORED, Window

SUMS = ("nll", "tokens", "characters")


def build_network(model: LanguageModel, vocabulary: int, seed: int) -> LanguageNetwork:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LanguageNetwork(
            model, vocabulary, embedding_size=model.embedding_size, tied=model.tied, last_size=model.last_size,
            embedding_dropout=model.embedding_dropout, input_dropout=model.input_dropout,
            hidden_dropout=model.hidden_dropout, output_dropout=model.output_dropout, locked=model.locked,
            init_range=model.init_range,
        )  # fmt: skip


def from_sums(nll: float, tokens: float, characters: float) -> dict[str, float]:
    """The metrics; a perplexity beyond float64 is infinite."""
    loss = nll / tokens
    ppl = math.exp(loss) if loss < 700 else math.inf
    return {"loss": loss, "ppl": ppl, "bpc": nll / (math.log(2) * characters)}


class LanguageModule(TaskModule):
    """A network and how well it does.

    Args:
        characters_V: characters that each token stands for.
        model: kept in the checkpoint with `words`, so that a recogniser can be helped by it.
        words: of the vocabulary, in order; kept in the checkpoint, so that another training can start from it.
    """

    characters_V: Tensor

    def __init__(self, network: LanguageNetwork, data: LanguageData, model: LanguageModel, characters_V: Tensor,
                 words: Sequence[str]) -> None:  # fmt: skip
        super().__init__()
        self.model = model
        self.network, self.data, self.ar, self.tar, self.words = network, data, model.ar, model.tar, list(words)
        self.register_buffer("characters_V", characters_V, persistent=False)
        self._state: Any = None
        self._eval_state: Any = None
        self._sums: Tensor | None = None
        self._lr_factor = 1.0

    def forward(self, ids_ST: Tensor, state: Any = None) -> Read:
        """See `LanguageNetwork.forward`."""
        read: Read = self.network(ids_ST, state)
        return read

    def training_step(self, batch: Window, batch_idx: int) -> Tensor:
        read = self(batch.ids_ST, self._state if batch.start else None)
        self._state = detached(read.state)
        loss = self.network.loss(read.outputs_BTO, batch.targets_ST)
        self.log_loss(loss, batch.targets_ST.numel())
        if self.data.loss == "sequence":
            loss = loss * batch.targets_ST.shape[1]
        return loss + self._penalty(read)

    def _penalty(self, read: Read) -> Tensor | float:
        penalty: Tensor | float = 0.0
        if self.ar:
            penalty = penalty + self.ar * read.outputs_BTO.pow(2).mean()
        if self.tar and read.raw_BTO.shape[1] > 1:
            penalty = penalty + self.tar * read.raw_BTO.diff(dim=1).pow(2).mean()
        return penalty

    def on_train_batch_start(self, batch: Window, batch_idx: int) -> None:
        self._lr_factor = batch.ids_ST.shape[1] / self.data.bptt if self.data.variable_bptt else 1.0

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """A short window moves the weights in proportion to its length (Merity et al. 2017, section 4.1)."""
        with _scaled(optimizer, self._lr_factor):
            super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)

    def on_train_epoch_start(self) -> None:
        self._state = None

    def on_train_epoch_end(self) -> None:
        self._state = None

    def validation_step(self, batch: Window, batch_idx: int) -> None:
        read = self(batch.ids_ST, self._eval_state if batch.start else None)
        self._eval_state = read.state
        nll = self.network.loss(read.outputs_BTO, batch.targets_ST, "sum").double()
        counted = batch.targets_ST[batch.targets_ST != IGNORED]
        sums = torch.stack([nll, nll.new_tensor(len(counted)), self.characters_V[counted].sum().double()])
        self._sums = sums if self._sums is None else self._sums + sums

    def on_validation_epoch_start(self) -> None:
        self._sums = self._eval_state = None

    def on_validation_epoch_end(self) -> None:
        sums = self._sums if self._sums is not None else torch.zeros(len(SUMS), dtype=torch.float64)
        self._sums = self._eval_state = None
        for name, value in from_sums(*sums.tolist()).items():
            self.log(f"val/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["vocabulary"] = self.words
        checkpoint["language_model"] = self.model.model_dump(mode="json")


@contextmanager
def _scaled(optimizer: Optimizer, factor: float) -> Iterator[None]:
    """Learning rates times `factor`, and back exactly."""
    before = [group["lr"] for group in optimizer.param_groups]
    for group, lr in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = lr * factor
    try:
        yield
    finally:
        for group, lr in zip(optimizer.param_groups, before, strict=True):
            group["lr"] = lr
