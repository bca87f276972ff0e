"""The Lightning module: what it is taught by, what it writes, how that is scored.

    loss   label, frames  cross-entropy of an utterance, of a frame     attention  of a symbol, the text's end included
           ctc            -log P(text) of an utterance, over its symbols: nats of a symbol

Shape suffixes: B batch, T frames, S steps, D features, K answers, U symbols.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.models.acoustic import Frames, LabelNetwork, StepNetwork
from gatesweep.models.ctc import ctc_loss
from gatesweep.models.encoder_decoder import EncoderDecoder
from gatesweep.tasks.base import TaskModule
from gatesweep.tasks.speech.config import SpeechData, SpeechModel
from gatesweep.tasks.speech.decoding import Writer
from gatesweep.tasks.speech.features import Scaling
from gatesweep.tasks.speech.fusion import Language
from gatesweep.tasks.speech.loaders import SpeechBatch
from gatesweep.tasks.speech.metrics import scores
from gatesweep.tasks.speech.symbols import BEGIN, END, PAD
from gatesweep.tasks.speech.targets import Targets


def build_network(model: SpeechModel, *, features: int, answers: int, seed: int) -> nn.Module:
    """The network with weights that are a function of `seed`, whatever was drawn before."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        common = {"features": features, "labels": answers, "stack": model.stack, "input_dropout": model.input_dropout}
        if model.output == "label":
            return LabelNetwork(model, pooling=model.pooling, **common)  # type: ignore[arg-type]
        if model.output == "attention":
            return EncoderDecoder(model, Frames(features, model.stack, model.input_dropout), answers)
        return StepNetwork(model, causal=model.streaming, **common)  # type: ignore[arg-type]


@dataclass
class Noted:
    """What an epoch over val or test has collected."""

    loss: float = 0.0
    count: int = 0
    written: dict[str, dict[int, str]] = field(default_factory=lambda: {"greedy": {}, "beam": {}})
    """By way of searching, then by the utterance's number."""


class SpeechModule(TaskModule):
    """A network, and the mean and deviation of the features that it was trained on, which are buffers."""

    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, network: nn.Module, data: SpeechData, model: SpeechModel, targets: Targets, scaling: Scaling,
                 language: Language | None = None) -> None:
        super().__init__()
        self.network, self.data, self.model, self.targets = network, data, model, targets
        self.writer = Writer(network, model, targets, language)
        self.register_buffer("mean_D", torch.from_numpy(scaling.mean_D.copy()))
        self.register_buffer("deviation_D", torch.from_numpy(scaling.deviation_D.copy()))
        self._noted = Noted()

    def training_step(self, batch: SpeechBatch, batch_idx: int) -> Tensor:
        total, count = self.nats(batch, smoothing=self.model.label_smoothing)
        loss = total / count
        self.log_loss(loss, count)
        return loss

    def nats(self, batch: SpeechBatch, *, smoothing: float = 0.0) -> tuple[Tensor, int]:
        """The loss summed over a batch, and over how many answers."""
        output, network = self.model.output, self.network
        if output == "label":
            logits_BK = network(batch.x_BTD, batch.lengths_B).float()
            return _cross_entropy(logits_BK, batch.wanted_BU[:, 0], smoothing), len(logits_BK)
        if output == "attention":
            return self._nats_of_decoder(batch, smoothing)
        log_probs_BSK, steps_B, _ = network(batch.x_BTD, batch.lengths_B)
        if output == "ctc":
            loss_B = ctc_loss(log_probs_BSK, steps_B, batch.wanted_BU, batch.sizes_B)
            return loss_B.sum(), int(batch.sizes_B.sum())
        said_BS = batch.said_BT[:, :: self.model.stack]
        nats = _cross_entropy(log_probs_BSK.flatten(0, 1), said_BS.flatten(), smoothing)
        return nats, int((said_BS >= 0).sum())

    def _nats_of_decoder(self, batch: SpeechBatch, smoothing: float) -> tuple[Tensor, int]:
        network = self.network
        assert isinstance(network, EncoderDecoder)
        given_BU = functional.pad(batch.wanted_BU, (1, 0), value=BEGIN)
        wanted_BU = functional.pad(batch.wanted_BU, (0, 1), value=PAD)
        wanted_BU[torch.arange(len(wanted_BU)), batch.sizes_B] = END
        readout_BUE, _ = network(batch.x_BTD, self.writer.steps(batch.lengths_B), given_BU)
        count = int((wanted_BU != PAD).sum())
        return network.loss(readout_BUE, wanted_BU, padding=PAD, smoothing=smoothing) * count, count

    def validation_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        self._note(batch)

    def test_step(self, batch: SpeechBatch, batch_idx: int) -> None:
        self._note(batch)

    def on_validation_epoch_start(self) -> None:
        self._noted = Noted()

    def on_test_epoch_start(self) -> None:
        self._noted = Noted()

    def on_validation_epoch_end(self) -> None:
        self._report("val")

    def on_test_epoch_end(self) -> None:
        self._report("test")

    def _note(self, batch: SpeechBatch) -> None:
        total, count = self.nats(batch)
        self._noted.loss, self._noted.count = self._noted.loss + float(total), self._noted.count + count
        in_training = self.trainer.state.fn == "fit"
        for how in ("greedy", "beam") if self.writer.has_beam and not in_training else ("greedy",):
            written = self.writer.write(batch, beam=how == "beam")
            self._noted.written[how] |= dict(zip(batch.index_B.tolist(), written, strict=True))

    def _report(self, split: str) -> None:
        noted, self._noted = self._noted, Noted()
        found = {"loss": noted.loss / max(1, noted.count)}
        loaders = self.trainer.val_dataloaders if split == "val" else self.trainer.test_dataloaders
        assert loaders is not None, "an epoch over val or test has its loader"
        references = loaders.dataset.references
        for how, prefix in (("greedy", ""), ("beam", "beam_")):
            if written := noted.written[how]:
                order = sorted(written)
                named = self.scores([written[i] for i in order], [references[i] for i in order])
                found |= {prefix + name: value for name, value in named.items()}
        for name, value in found.items():
            self.log(f"{split}/{name}", torch.tensor(value, dtype=torch.float64), on_step=False, on_epoch=True)

    def scores(self, written: list[str], references: list[str]) -> dict[str, float]:
        """As this target is scored: a label is right or wrong, a text has errors."""
        if not self.targets.is_text:
            right = sum(one == other for one, other in zip(written, references, strict=True))
            return {"accuracy": right / len(references)}
        return scores(written, references, phones=self.data.units == "phone")


def _cross_entropy(logits_BK: Tensor, wanted_B: Tensor, smoothing: float) -> Tensor:
    return functional.cross_entropy(logits_BK, wanted_B, ignore_index=-1, label_smoothing=smoothing, reduction="sum")
