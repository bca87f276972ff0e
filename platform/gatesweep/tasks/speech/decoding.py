"""From what a network says to what is written: labels, texts by greedy search, texts by beam search.

Shape suffixes: B batch, T frames, S steps, K answers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gatesweep.models.beam import Search, beam_search, greedy
from gatesweep.models.ctc import Greedy, PrefixBeam, decoded
from gatesweep.models.encoder_decoder import EncoderDecoder
from gatesweep.models.segmentation import best_path, joined
from gatesweep.tasks.speech.config import SpeechModel
from gatesweep.tasks.speech.fusion import FusedDecoder, Language
from gatesweep.tasks.speech.loaders import SpeechBatch
from gatesweep.tasks.speech.symbols import BEGIN, END
from gatesweep.tasks.speech.targets import Targets


class Writer:
    """Writes what a network hears."""

    def __init__(self, network: nn.Module, model: SpeechModel, targets: Targets, language: Language | None) -> None:
        self.network, self.model, self.targets, self.language = network, model, targets, language

    @property
    def has_beam(self) -> bool:
        """Whether there is a second way of searching."""
        return self.model.output in ("ctc", "attention") and self.model.beam_size > 1

    def steps(self, lengths_B: Tensor) -> Tensor:
        """Steps of that many frames."""
        return torch.div(lengths_B + self.model.stack - 1, self.model.stack, rounding_mode="floor")

    @torch.no_grad()
    def write(self, batch: SpeechBatch, *, beam: bool) -> list[str]:
        """The answer to every utterance of the batch, in the batch's order."""
        output = self.model.output
        if output == "label":
            best_B = self.network(batch.x_BTD, batch.lengths_B).argmax(1)
            return [self.targets.symbols.names[k] for k in best_B.tolist()]
        if output == "attention":
            return self._decoder(batch, beam=beam)
        log_probs_BSK, steps_B, _ = self.network(batch.x_BTD, batch.lengths_B)
        if output == "ctc":
            return [self.targets.symbols.decode(ids) for ids in decoded(log_probs_BSK, steps_B, self.search(beam=beam))]
        return [self._of_frames(log_probs_SK[:steps].cpu().numpy())
                for log_probs_SK, steps in zip(log_probs_BSK.float(), steps_B.tolist(), strict=True)]  # fmt: skip

    def search(self, *, beam: bool) -> type[Greedy] | _MakeBeam:
        """What makes a new search of one utterance."""
        return _MakeBeam(self.model, self.language) if beam else Greedy

    def _of_frames(self, log_probs_SK: np.ndarray) -> str:
        if not self.targets.is_text:
            return self.targets.symbols.names[int(log_probs_SK.astype(np.float64).mean(axis=0).argmax())]
        return self.targets.symbols.decode(joined(best_path(log_probs_SK, self.model.change_cost)))

    def _decoder(self, batch: SpeechBatch, *, beam: bool) -> list[str]:
        network, model, count = self.network, self.model, len(batch.x_BTD)
        assert isinstance(network, EncoderDecoder)
        state = network.encode(batch.x_BTD, self.steps(batch.lengths_B))
        device = batch.x_BTD.device
        plan = Search(BEGIN, END, model.max_output + 1, model.beam_size if beam else 1, model.length_penalty)
        if beam and self.language is not None:
            fused = FusedDecoder(network, self.language, model.lm_weight, model.lm_bonus, END)
            found = beam_search(fused, fused.start(state, count), count, plan, device)
        else:
            found = (beam_search if beam else greedy)(network, state, count, plan, device)
        return [self.targets.symbols.decode(each.ids) for each in found]


class _MakeBeam:
    def __init__(self, model: SpeechModel, language: Language | None) -> None:
        self.model, self.language = model, language

    def __call__(self) -> PrefixBeam:
        return PrefixBeam(self.model.beam_size, self.language, self.model.lm_weight if self.language else 0.0,
                          self.model.lm_bonus)  # fmt: skip
