"""Text while the sound comes in: chunk by chunk, the same as of the whole file.

    stream = Stream(gatesweep.load(RUN))
    for chunk in microphone: print(stream.feed(chunk))
    print(stream.finish())

Frames are computed of whole windows alone and wait until `stack` of them make a step; the encoder's state, the search
and the windows that are not over yet are all that is kept.

Letters: N samples, T frames, D features, S steps, K symbols.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatesweep.data.audio.wave import Samples
from gatesweep.errors import ConfigError
from gatesweep.models.acoustic import StepNetwork
from gatesweep.models.ctc import Greedy, PrefixBeam
from gatesweep.tasks.speech.features import Features, Frontend
from gatesweep.tasks.speech.module import SpeechModule


class Stream:
    """One utterance, as it is spoken.

    Args:
        beam: prefix beam search in the place of greedy search.

    Raises:
        ConfigError: a model that sees what comes later, or one without ctc.
    """

    def __init__(self, module: SpeechModule, *, beam: bool = False) -> None:
        if not module.model.streaming or module.model.output != "ctc":
            raise ConfigError("this model does not answer while the sound comes in", place="model.streaming",
                              hint="train one with streaming: true, bidirectional: false and output: ctc")
        assert isinstance(module.network, StepNetwork)
        self.module, self.network = module.eval(), module.network
        self.frontend = Frontend(module.data.features, module.data.rate)
        self.extractor, self.read = self.frontend.online(), 0
        self.waiting_TD: Features = np.empty((0, self.frontend.size), np.float32)
        self.state: Any = None
        self.search: Greedy | PrefixBeam = module.writer.search(beam=beam)()

    @property
    def text(self) -> str:
        """What is written so far."""
        return self.module.targets.symbols.decode(self.search.best())

    def feed(self, samples_N: Samples) -> str:
        """Take in more sound, at the rate of the training, between -1 and 1; and the text so far."""
        if len(samples_N):
            self.extractor.accept_waveform(self.frontend.rate, samples_N)
        return self._read_on(whole=False)

    def finish(self) -> str:
        """The sound is over: the last step may have fewer frames than the others."""
        self.extractor.input_finished()
        return self._read_on(whole=True)

    def _read_on(self, *, whole: bool) -> str:
        ready = self.extractor.num_frames_ready
        new = [np.array(self.extractor.get_frame(t)) for t in range(self.read, ready)]
        self.read = ready
        if new:
            self.waiting_TD = np.concatenate([self.waiting_TD, self.frontend.of_energies(np.stack(new))])
        stack = self.network.stack
        count = len(self.waiting_TD) if whole else len(self.waiting_TD) // stack * stack
        if count:
            self.search.advance(self._log_probs(self.waiting_TD[:count]))
            self.waiting_TD = self.waiting_TD[count:]
        return self.text

    @torch.no_grad()
    def _log_probs(self, x_TD: Features) -> np.ndarray:
        """`log_probs_SK` of the next steps."""
        scaled_TD = (torch.from_numpy(x_TD).to(self.module.device) - self.module.mean_D) / self.module.deviation_D
        lengths_B = torch.tensor([len(x_TD)])
        log_probs_1SK: Tensor
        log_probs_1SK, _, self.state = self.network(scaled_TD.unsqueeze(0), lengths_B, self.state)
        return log_probs_1SK[0].cpu().numpy()
