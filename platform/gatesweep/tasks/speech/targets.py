"""What is asked of an utterance: a label, a text, or which symbol each frame is of.

Letters: U symbols, T frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.speech.config import SpeechData, SpeechModel
from gatesweep.tasks.speech.strings import Utterance
from gatesweep.tasks.speech.symbols import BLANK, UNKNOWN, Symbols, cut


class Targets:
    """The answers and their numbers, learnt from the training recordings.

    Args:
        said: what those recordings say, or who speaks.
    """

    def __init__(self, data: SpeechData, model: SpeechModel, said: Sequence[str]) -> None:
        self.target, self.output = data.target, model.output
        self.is_text = data.target == "text"
        check(data, model)
        if self.is_text:
            self.symbols = Symbols.learn([*said, " "] if data.strings and data.units == "char" else said, data.units,
                                         model.output)
        else:
            self.symbols = Symbols(sorted(set(said)), "word", "label")
            if len(self.symbols) < 2:
                raise DataError(f"the training recordings have one {data.target} alone: '{self.symbols.names[0]}'",
                                hint="there is nothing to tell apart")

    def answer(self, utterance: Utterance) -> str:
        """The right one."""
        return utterance.speaker if self.target == "speaker" else utterance.text

    def encode(self, utterance: Utterance) -> NDArray[np.int64]:
        """Its numbers.

        Raises:
            DataError: a label that training never had.
        """
        answer = self.answer(utterance)
        if self.is_text:
            return self.symbols.encode(answer)
        if answer not in self.symbols:
            raise DataError(f"the {self.target} '{answer}' is none of the training's",
                            hint=f"there are: {', '.join(self.symbols.names[:12])}")
        return np.array([self.symbols.number(answer)], np.int64)

    def of_frames(self, utterance: Utterance, part_T: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which symbol each frame is of, silence in pauses; -1 where the model does not answer frame by frame."""
        if self.output != "frames":
            return np.full(len(part_T), -1, np.int64)
        ids_U = self.encode(utterance)
        if not self.is_text:
            return np.full(len(part_T), ids_U[0])
        return np.where(part_T < 0, BLANK, ids_U[part_T.clip(min=0)])

    def unknown(self, utterances: Sequence[Utterance]) -> int:
        """Symbols of texts that training never had."""
        if not self.is_text:
            return 0
        number = self.symbols.number(UNKNOWN)
        return sum(int((self.symbols.encode(each.text) == number).sum()) for each in utterances)

    def too_long(self, utterances: Sequence[Utterance], steps: Sequence[int]) -> int:
        """Texts that have more symbols, and blanks between equal ones, than their utterance has steps: no alignment."""
        if self.output != "ctc":
            return 0
        needed = [_least_steps(cut(each.text, self.symbols.units)) for each in utterances]
        return sum(need > there for need, there in zip(needed, steps, strict=True))


def check(data: SpeechData, model: SpeechModel) -> None:
    """Refuse a question that this output cannot answer.

    Raises:
        ConfigError: says which key, and what to do.
    """
    if data.target == "text" and model.output == "label":
        raise ConfigError("output 'label' gives one answer, and `target: text` asks for many", place="model.output",
                          hint="output: ctc, attention or frames")
    if data.target != "text" and model.output not in ("label", "frames"):
        raise ConfigError(f"output '{model.output}' writes text, and `target: {data.target}` asks for one answer",
                          place="model.output", hint="output: label or frames, or target: text")
    if model.output == "frames" and data.target == "text" and not (data.strings and data.units == "word"):
        raise ConfigError("output 'frames' needs to know what each frame says, which strings of isolated words tell",
                          place="model.output", hint="data.strings and units: word; or output: ctc")
    if data.target == "speaker" and data.features.cmvn == "speaker":
        raise ConfigError("cmvn 'speaker' must know the speaker, who is what is asked", place="data.features.cmvn",
                          hint="cmvn: global")
    if model.streaming and (data.features.cmvn in ("utterance", "speaker") or data.features.deltas):
        raise ConfigError("streaming: the mean of an utterance or a speaker, and deltas, are known when it is over",
                          place="data.features", hint="cmvn: global and deltas: false")


def _least_steps(symbols: Sequence[str]) -> int:
    return len(symbols) + sum(one == other for one, other in pairwise(symbols))
