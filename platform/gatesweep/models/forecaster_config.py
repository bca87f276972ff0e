"""The `model:` keys of what reads a past and writes the steps that follow. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.models.config import ModelConfig

Level = Annotated[float, Field(gt=0, lt=1)]


class ForecastModel(ModelConfig):
    """An encoder of the configured family and cell, how it is asked for the steps ahead, and what it says of each.
    Every field here can be a search dimension."""

    decoder: Literal["direct", "segments", "attention", "recursive"] = "direct"
    """How the steps ahead are made of the past. direct: one head for all of them, from the encoder's summary (Wen et
    al. 2017). segments: the recurrence runs over pieces of `segment` steps, and pieces ahead are asked for in parallel
    by their position (Lin et al. 2023, SegRNN). attention: a recurrent decoder over the steps ahead that looks back at
    the encoder's outputs (Bahdanau et al. 2015), all steps in one call. recursive: the same decoder reads each forecast
    before the next one."""

    segment: Annotated[int, Field(ge=2)] = 24
    """Of segments: steps of a piece; must divide `data.lookback`. The last piece ahead is cut at the horizon."""

    attention: Literal["bahdanau", "luong_general", "luong_dot", "none"] = "luong_general"
    """Of attention and recursive: how the decoder looks at the past; none gives it the summary at every step."""

    teacher_forcing: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Of recursive: probability, in training, that a step reads the true value before it, not the model's own (Bengio
    et al. 2015). At 1 all steps train in one call; below, training is a loop over the horizon."""

    normalise: Literal["none", "last", "mean", "revin"] = "none"
    """What of every window is taken out before the network and given back to its forecast. last: the last value. mean:
    the mean of the past. revin: mean and deviation, then a learnt scale and shift (Kim et al. 2022, reversible instance
    normalisation). So a level that wanders out of the range seen in training does no harm."""

    output: Literal["point", "quantiles", "gaussian", "student_t"] = "point"
    """What is said of every step. point: a value, trained by `data.loss`. quantiles: those of `levels`, trained by the
    pinball loss. gaussian, student_t: a distribution, trained by its likelihood (Salinas et al. 2020, DeepAR)."""

    levels: Annotated[tuple[Level, ...], Field(min_length=2)] = (0.1, 0.25, 0.5, 0.75, 0.9)
    """The quantiles that are forecast and scored, in rising order; the outermost two make the interval whose coverage
    is reported. Of distributions those that `predictions` and the scores ask for."""

    series_embedding: Annotated[int, Field(ge=0)] = 0
    """Numbers that are learnt of each of several series and read beside its values; 0 tells them apart by nothing."""

    input_dropout: Probability = 0.0
    """Of segments: probability, in training, of zeroing each value that the recurrence reads."""

    decoder_layers: PositiveInt = 1
    """Of attention and recursive: recurrent layers of the decoder."""

    @model_validator(mode="after")
    def _levels_rise(self) -> ForecastModel:
        if any(low >= high for low, high in zip(self.levels, self.levels[1:], strict=False)):
            raise ValueError(f"levels {list(self.levels)} do not rise\n\nhint: for example [0.1, 0.5, 0.9]")
        if self.output == "quantiles" and 0.5 not in self.levels:
            raise ValueError("levels lack 0.5, the median, which is the forecast where one value is asked for"
                             "\n\nhint: for example [0.1, 0.5, 0.9]")
        return self

    @property
    def parameters_a_step(self) -> int:
        """Numbers that the network says of each value ahead."""
        return {"point": 1, "quantiles": len(self.levels), "gaussian": 2, "student_t": 3}[self.output]
