"""The Lightning module: every frame told from those before it.

In training the loss is the mean NLL of all frames of the batch, the first of each piece included; val and test leave
that one out unless `data.first_frame` says otherwise. Shape suffixes: B batch, T frames, K the 88 notes, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gatesweep.data.music.rolls import NOTES
from gatesweep.models.note_model import NoteModel, frame_nll
from gatesweep.models.padding import alive
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.music.config import MusicData, MusicModel
from gatesweep.tasks.music.loaders import MusicBatch
from gatesweep.tasks.music.metrics import Sums


def build_network(model: MusicModel, p_K: Tensor, seed: int) -> NoteModel:
    """The network with weights that are a function of `seed`, whatever was drawn before.

    Args:
        p_K: how often each note sounds in training; what an untrained network begins with.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = NoteModel(model, NOTES, head=model.head, head_size=model.head_size,
                         embedding_size=model.embedding_size, input_dropout=model.input_dropout)  # fmt: skip
    network.start_from(p_K)
    return network


class NotesModule(TaskModule):
    """A network and how well it does."""

    def __init__(self, network: NoteModel, data: MusicData) -> None:
        super().__init__()
        self.network, self.data = network, data
        self._sums: dict[int, Sums] = {}

    @property
    def skip(self) -> int:
        """Frames at a piece's begin that are not scored."""
        return 0 if self.data.first_frame else 1

    def training_step(self, batch: MusicBatch, batch_idx: int) -> Tensor:
        roll_BTK = batch.roll_BTK.to(self.dtype)
        nll_BT = frame_nll(self.network(roll_BTK, batch.lengths_B), roll_BTK)
        alive_BT = alive(batch.lengths_B, nll_BT.shape[1])
        loss = torch.where(alive_BT, nll_BT, 0.0).sum() / alive_BT.sum()
        self.log_loss(loss, int(alive_BT.sum()))
        return loss

    @torch.no_grad()
    def judge(self, batch: MusicBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Of every frame: its NLL [B, T], the chance of each note [B, T, K] given the past and, of the autoregressive
        head, the lower notes that do sound; and the notes that the module says will sound [B, T, K], given the past
        alone."""
        network, roll_BTK = self.network, batch.roll_BTK.to(self.dtype)
        given_BTK = torch.cat([torch.zeros_like(roll_BTK[:, :1]), roll_BTK[:, :-1]], dim=1)
        h_BTO = network.read(given_BTK, batch.lengths_B).outputs_BTO
        logits_BTK = network.head(h_BTO, roll_BTK).float()
        said_NK = network.head.draw(h_BTO.flatten(0, 1), lambda logits: (logits >= 0).to(logits.dtype))
        return (frame_nll(logits_BTK, roll_BTK.float()), logits_BTK.sigmoid(),
                said_NK.view(logits_BTK.shape).bool())  # fmt: skip

    def validation_step(self, batch: MusicBatch, batch_idx: int) -> None:
        nll_BT, _, said_BTK = (each.cpu() for each in self.judge(batch))
        roll_BTK = batch.roll_BTK.cpu().bool()
        for row, (index, length) in enumerate(zip(batch.index_B.tolist(), batch.lengths_B.tolist(), strict=True)):
            scored = slice(self.skip, length)
            self._sums[index] = Sums.of(nll_BT[row, scored].double().numpy(), roll_BTK[row, scored].numpy(),
                                        said_BTK[row, scored].numpy())  # fmt: skip

    def on_validation_epoch_start(self) -> None:
        self._sums = {}

    def on_validation_epoch_end(self) -> None:
        total = Sums()
        for index in sorted(self._sums):
            total.add(self._sums[index])
        self._sums = {}
        for name, value in total.scores().items():
            self.log(f"val/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)
