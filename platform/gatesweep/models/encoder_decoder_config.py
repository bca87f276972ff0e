"""The `model:` keys of what reads one sequence and writes another. No torch here."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from gatesweep.cells.config import Probability
from gatesweep.models.config import ModelConfig


class EncoderDecoderConfig(ModelConfig):
    """An encoder of the configured family and cell, and a recurrent decoder of the same cell. Every field here can be
    a search dimension."""

    bidirectional: bool = True
    """Whether the encoder reads the source backwards too; the decoder never does."""

    embedding_size: Annotated[int, Field(gt=0, le=65536)] = 256
    """Numbers that a symbol is read as, on both sides; also the width of what the output layer reads."""

    embedding_dropout: Probability = 0.0
    """Probability, in training, of zeroing each value of an embedding."""

    word_dropout: Probability = 0.0
    """Probability, in training, that a symbol is read as zeros, on both sides: the model must do without it."""

    attention: Literal["bahdanau", "luong_general", "luong_dot", "none"] = "luong_general"
    """How the decoder looks at the source; none gives it the encoder's summary at every step."""

    input_feeding: bool = False
    """Whether each step reads what the step before gave to the output layer (Luong et al. 2015, section 3.3). It makes
    training a loop over the target's steps, in Python, where else all of them are one call."""

    decoder_layers: PositiveInt = 1
    """Recurrent layers of the decoder. The first asks the source; those above read its answer, too (Wu et al. 2016)."""

    decoder_size: Annotated[int, Field(gt=0, le=65536)] | None = None
    """Hidden units of each of them; none takes the width of the encoder's outputs."""

    tie: Literal["none", "target", "all"] = "target"
    """Whether the output layer's weights are the target's embeddings (Press & Wolf 2017); all: the source's are the
    same, too, which needs one vocabulary for both."""

    @model_validator(mode="after")
    def _dot_fits(self) -> EncoderDecoderConfig:
        if self.decoder_size is not None and self.projection_size is not None:
            raise ValueError("decoder_size and projection_size do not go together: the decoder's layers have the"
                             " encoder's projection\n\nhint: leave one of them out")
        return self
