"""The `model:` section: which family, which cell, how large, how regularised. No torch here: a file is checked in an
instant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from gatesweep.cells.config import Probability, RecurrentConfig
from gatesweep.models import families


class ModelConfig(RecurrentConfig):
    """What reads the sequences. Every field here can be a search dimension; a family refuses those that it has not."""

    family: Literal["recurrent", "attention", "transformer", "tcn", "xlstm", "memory"] = "recurrent"
    """recurrent: layers of `cell`. attention: these, and every output looks at all others. transformer: self-attention
    alone. tcn: dilated convolutions. xlstm: residual blocks of mlstm and slstm. memory: a recurrent controller with a
    memory that it addresses (a neural Turing machine). docs/families.md has their equations and fields."""

    dropout: Probability = 0.0
    """Probability, in training, of zeroing each value between recurrent layers and between the last of them and the
    head; so it acts on a single layer too. In the other families also where docs/families.md says."""

    attention_heads: PositiveInt = 4
    """Of attention and transformer: groups of units that attend each for itself. Must divide the units; of transformer,
    into groups of even size."""

    context: PositiveInt = 512
    """Of attention and transformer, where nothing may see what comes later: how many steps a step sees, itself and
    those before it. So many are carried from one part of a sequence to the next."""

    feedforward: PositiveFloat | None = None
    """Of transformer and xlstm's s blocks: units within a block's map of each step, for each hidden unit; none: 4 of
    transformer, 4/3 of xlstm (whose map is gated)."""

    kernel_size: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Of tcn and xlstm's m blocks: taps of the convolutions; none: 3 of tcn, 4 of xlstm."""

    xlstm_blocks: Annotated[str, Field(pattern="^[ms]+$")] = "ms"
    """Of xlstm: the cells of the layers from the bottom, over and over: m for mlstm, s for slstm. ms is the paper's
    xLSTM[1:1]."""

    memory_slots: Annotated[int, Field(ge=1, le=65536)] = 32
    """Of memory: places that can be addressed."""

    memory_width: Annotated[int, Field(ge=1, le=65536)] = 16
    """Of memory: numbers at each place."""

    memory_heads: PositiveInt = 1
    """Of memory: heads that read, and as many that write."""

    @property
    def recurrent_outputs(self) -> int:
        """Numbers a step that the recurrent layers give: of both directions, after the projection."""
        return (self.projection_size or self.hidden_size) * (2 if self.bidirectional else 1)

    @model_validator(mode="after")
    def _fits_family(self) -> ModelConfig:
        families.check(self)
        return self
