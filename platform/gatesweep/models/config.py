"""The `model:` section: which cell, how large, how regularised. No torch here: a file is checked in an instant."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, field_validator, model_validator

from gatesweep.cells.names import canonical, check_backend, check_peepholes
from gatesweep.config.section import Section


class ModelConfig(Section):
    """A recurrent network. Every field here can be a search dimension."""

    cell: str = "vanilla"
    """What runs at every time step: vanilla (or np), peephole, coupled, gru, rnn. See docs/cells.md."""

    hidden_size: Annotated[int, Field(gt=0, le=65536)] = 64
    """Hidden units of each layer, in each direction."""

    layers: PositiveInt = 1
    """Recurrent layers, each reading the one below."""

    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Probability, in training, of zeroing each value between recurrent layers and between the last of them and the
    head; so it acts on a single layer too."""

    bidirectional: bool = False
    """Whether a second set of weights reads the sequence backwards; doubles the parameters."""

    peepholes: bool | None = None
    """Whether the gates of an LSTM see its cell state; none leaves the cell as its name says."""

    forget_bias: float = 1.0
    """What the bias of an LSTM's forget gate starts at; above 0 a new network remembers. gru and rnn ignore it."""

    backend: Literal["auto", "torch", "fused", "reference"] = "auto"
    """How the cell is run: torch's own kernels (vanilla, gru, rnn), our fused loop, or the reference loop that defines
    the cell; auto takes the fastest that fits. They agree up to rounding."""

    @field_validator("cell")
    @classmethod
    def _known(cls, cell: str) -> str:
        canonical(cell)
        return cell

    @model_validator(mode="after")
    def _fits(self) -> ModelConfig:
        check_peepholes(self.cell, self.peepholes)
        check_backend(self.cell, self.backend, self.peepholes)
        return self
