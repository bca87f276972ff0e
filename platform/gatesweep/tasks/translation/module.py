"""The Lightning module: taught by cross-entropy, judged by what it writes.

    loss   mean nats of a symbol of the reference, its end included, given the true ones before it; without smoothing,
           but in train/loss
    ppl    exp(loss)

Shape suffixes: B batch, T steps of the source, U of the target, E width of the readout.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gatesweep.models.beam import Found, Search, beam_search, greedy
from gatesweep.models.encoder_decoder import EncoderDecoder
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.translation.config import TranslationData, TranslationModel
from gatesweep.tasks.translation.figures import Look
from gatesweep.tasks.translation.loaders import PairBatch
from gatesweep.tasks.translation.metrics import scores
from gatesweep.tasks.translation.prepare import Ids
from gatesweep.tasks.translation.subwords import BEGIN, END, PAD, Subwords

PROTOS = ("source_proto", "target_proto")


def build_network(model: TranslationModel, of_source: Subwords, of_target: Subwords, seed: int) -> EncoderDecoder:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return EncoderDecoder(model, len(of_source), len(of_target))


@dataclass
class Heard:
    """What an epoch over val or test has collected."""

    loss: float = 0.0
    symbols: int = 0
    written: dict[str, dict[int, list[int]]] = field(default_factory=lambda: {"greedy": {}, "beam": {}})
    """By way of searching, then by the pair's number."""


class TranslationModule(TaskModule):
    """A network and the symbols it was trained with, which are buffers: a checkpoint alone can score another file."""

    source_proto: Tensor
    target_proto: Tensor

    def __init__(self, network: EncoderDecoder, data: TranslationData, model: TranslationModel,
                 of_source: Subwords, of_target: Subwords) -> None:
        super().__init__()
        self.network, self.data, self.model = network, data, model
        for name, subwords in zip(PROTOS, (of_source, of_target), strict=True):
            self.register_buffer(name, subwords.tensor)
        self._read: tuple[Tensor, Tensor, Subwords, Subwords] | None = None
        self._heard = Heard()

    @property
    def subwords(self) -> tuple[Subwords, Subwords]:
        """Of both sides, as trained or as loaded from a checkpoint."""
        now = self.source_proto, self.target_proto
        if self._read is None or self._read[0] is not now[0] or self._read[1] is not now[1]:
            self._read = *now, *(Subwords.from_tensor(proto) for proto in now)  # type: ignore[assignment]
        assert self._read is not None
        return self._read[2], self._read[3]

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take in symbols of any size, as a checkpoint has them."""
        for name in PROTOS:
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)  # type: ignore[no-untyped-call]

    def training_step(self, batch: PairBatch, batch_idx: int) -> Tensor:
        network, model = self.network, self.model
        source_BT, lengths_B, given_BU = batch.source_BT, batch.lengths_B, batch.given_BU
        if model.teacher_forcing < 1:
            readout_BUE = network.sampled(source_BT, lengths_B, given_BU, model.teacher_forcing)
        else:
            readout_BUE, _ = network(source_BT, lengths_B, given_BU)
        loss = network.loss(readout_BUE, batch.wanted_BU, padding=PAD, smoothing=model.label_smoothing)
        symbols = int((batch.wanted_BU != PAD).sum())
        self.log_loss(loss, symbols)
        return loss

    def translate(self, batch: PairBatch, *, beam: bool) -> list[Found]:
        """What the module writes for every source of the batch."""
        most = self.model.max_output + 1
        search = Search(BEGIN, END, most, self.model.beam_size if beam else 1, self.model.length_penalty)
        state, count = self.network.encode(batch.source_BT, batch.lengths_B), len(batch.source_BT)
        return (beam_search if beam else greedy)(self.network, state, count, search, self.device)

    @torch.no_grad()
    def look(self, source: Ids, output: list[int]) -> Look:
        """Where the decoder looked while it wrote `output`, its end included."""
        was_training = self.training
        self.eval()
        source_1T = torch.from_numpy(source).unsqueeze(0).to(self.device)
        given_1U = torch.tensor([[BEGIN, *output]], device=self.device)
        _, a_1UT = self.network(source_1T, torch.tensor([len(source)]), given_1U)
        self.train(was_training)
        of_source, of_target = self.subwords
        return Look(of_source.pieces(source), of_target.pieces([*output, END]), a_1UT[0].float().cpu().numpy())

    def validation_step(self, batch: PairBatch, batch_idx: int) -> None:
        self._hear(batch)

    def test_step(self, batch: PairBatch, batch_idx: int) -> None:
        self._hear(batch)

    def on_validation_epoch_start(self) -> None:
        self._heard = Heard()

    def on_test_epoch_start(self) -> None:
        self._heard = Heard()

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    @property
    def _training(self) -> bool:
        """Whether this is a look between two epochs of a training: greedy, and over `val_share`."""
        return bool(self.trainer.state.fn == "fit")

    def _hear(self, batch: PairBatch) -> None:
        readout_BUE, _ = self.network(batch.source_BT, batch.lengths_B, batch.given_BU)
        symbols = int((batch.wanted_BU != PAD).sum())
        self._heard.loss += float(self.network.loss(readout_BUE, batch.wanted_BU, padding=PAD)) * symbols
        self._heard.symbols += symbols
        asked = self._asked(batch)
        if not len(asked.index_B):
            return
        for how in ("greedy",) if self._training or self.model.beam_size == 1 else ("greedy", "beam"):
            found = self.translate(asked, beam=how == "beam")
            self._heard.written[how] |= {int(i): each.ids for i, each in zip(asked.index_B, found, strict=True)}

    def _asked(self, batch: PairBatch) -> PairBatch:
        """The pairs of a batch that are to be translated now."""
        share = self.data.val_share
        if not self._training or share == 1.0:
            return batch
        index_B = batch.index_B
        chosen_B = ((index_B + 1) * share).floor() > (index_B * share).floor()
        return PairBatch(*(tensor[chosen_B] for tensor in batch))

    def _report(self, split: str) -> None:
        heard, self._heard = self._heard, Heard()
        loss = heard.loss / max(1, heard.symbols)
        found = {"loss": loss, "ppl": math.exp(min(loss, 700.0))}
        loaders = self.trainer.val_dataloaders if split == "val" else self.trainer.test_dataloaders
        assert loaders is not None, "an epoch over val or test has its loader"
        references = loaders.dataset.encoded.references
        for how, prefix in (("greedy", ""), ("beam", "beam_")):
            written = heard.written[how]
            if written:
                order = sorted(written)
                hypotheses = self.subwords[1].decode([written[i] for i in order])
                named = scores(hypotheses, [references[i] for i in order], self.data.languages[1])
                found |= {prefix + name: value for name, value in named.items()}
        for name, value in found.items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)
