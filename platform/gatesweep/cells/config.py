"""What a recurrent layer is, field by field: the arguments of `Recurrent`, and the `model:` section's foundation.

Every option stands here once, with its range and what it does; `Recurrent` and the configuration files read the same.
No torch: a file is checked in an instant.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from gatesweep.cells import loop
from gatesweep.cells.names import MATRIX_CELLS, canonical, check_backend, hinted
from gatesweep.config.section import Section

Probability = Annotated[float, Field(ge=0, lt=1)]
_OF_MATRIX_CELLS = {"cell", "hidden_size", "layers", "dropout", "variational_dropout", "bidirectional", "residual",
                    "heads", "forget_bias", "backend"}  # fmt: skip


class RecurrentConfig(Section):
    """Layers of one cell. Every field can be a search dimension."""

    cell: str = "vanilla"
    """What runs at every time step: vanilla (or np), peephole, coupled, nig, nfg, nog, niaf, noaf, cifg, fgr,
    slstm, mlstm, minlstm, mingru, gru, gru_before, rnn. See docs/cells.md."""

    hidden_size: Annotated[int, Field(gt=0, le=65536)] = 64
    """Hidden units of each layer, in each direction."""

    layers: PositiveInt = 1
    """Recurrent layers, each reading the one below."""

    dropout: Probability = 0.0
    """Probability, in training, of zeroing each value between recurrent layers."""

    variational_dropout: Probability = 0.0
    """Probability, in training, of zeroing a feature for a whole sequence, of each layer's input and of the last one's
    output: one mask a sequence, the same at every step (Gal & Ghahramani 2016; "locked dropout")."""

    weight_drop: Probability = 0.0
    """Probability, in training, of zeroing each recurrent weight: one mask a forward pass, over all steps and sequences
    (DropConnect; Merity et al. 2017, AWD-LSTM)."""

    recurrent_dropout: Probability = 0.0
    """Probability, in training, of zeroing inside the recurrence, as `recurrent_dropout_kind` says."""

    recurrent_dropout_kind: Literal["semeniuta", "gal"] = "semeniuta"
    """semeniuta: values of the candidate, anew at every step, so that no memory is lost (Semeniuta et al. 2016). gal:
    features of h where the recurrent weights read it, one mask a sequence (Gal & Ghahramani 2016)."""

    zoneout_h: Probability = 0.0
    """Probability, in training, that a unit's h stays what it was for a step; in evaluation h is the mean of both
    (Krueger et al. 2017)."""

    zoneout_c: Probability = 0.0
    """The same of the cell state."""

    bidirectional: bool = False
    """Whether a second set of weights reads the sequence backwards; doubles the parameters."""

    residual: bool = False
    """Whether each layer above the first adds its input to its output."""

    learned_state: bool = False
    """Whether h and c before the first step are learned, from zeros (of slstm h alone); else they are zeros."""

    peepholes: bool | None = None
    """Whether the gates of an LSTM see its cell state; none leaves the cell as its name says."""

    projection_size: PositiveInt | None = None
    """Outputs of each step where they are fewer than the hidden units, by a matrix that is learned (LSTMP; Sak et al.
    2014; torch's `proj_size`); none: the hidden units are the output."""

    heads: PositiveInt = 1
    """Groups of hidden units that the recurrent weights keep apart: a block-diagonal recurrence (Beck et al. 2024,
    sLSTM); of mlstm, memories: each a matrix of (hidden_size / heads)² numbers. Must divide `hidden_size`."""

    layer_norm: bool = False
    """Whether the pre-activations are normalised over the units, and an LSTM's cell state where the output gate sees it
    (Ba et al. 2016)."""

    cell_clip: PositiveFloat | None = None
    """Bound on the size of an LSTM's cell state; none leaves it free."""

    forget_bias: float = 1.0
    """What the bias of an LSTM's forget gate starts at; above 0 a new network remembers. gru and rnn ignore it."""

    chrono: Annotated[int, Field(ge=3)] | None = None
    """The longest dependency expected, in steps (T_max): instead of at `forget_bias`, gates start so that the units'
    memories reach from 1 to T_max - 1 steps (Tallec & Ollivier 2018)."""

    backend: Literal["auto", "native", "torch", "parallel", "fused", "triton", "reference"] = "auto"
    """How the cell is run: loops in C, compiled once a machine; torch's own kernels (vanilla, gru, rnn); all time steps
    at once (mlstm, minlstm, mingru); our fused loop of torch operations; a Triton kernel a step, on a GPU; or the
    reference loop that defines the cell. auto takes the fastest that fits, triton excepted. They agree up to
    rounding."""

    @field_validator("cell")
    @classmethod
    def _known(cls, cell: str) -> str:
        canonical(cell)
        return cell

    @model_validator(mode="after")
    def _fits(self) -> RecurrentConfig:
        if canonical(self.cell) in MATRIX_CELLS:
            self._fits_matrix()
        else:
            loop.check(self)
        return self

    def _fits_matrix(self) -> None:
        """Refuse what mlstm has no equation for, and heads of unequal size."""
        strange = [name for name, field in RecurrentConfig.model_fields.items()
                   if name not in _OF_MATRIX_CELLS and getattr(self, name) != field.default]  # fmt: skip
        if strange:
            raise ValueError(hinted(
                f"cell '{self.cell}' has no {', '.join(strange)}: nothing in it is recurrent but a matrix",
                f"leave {' and '.join(strange)} out",
            ))
        check_backend(self.cell, self.backend, None)
        loop.check_division(self.hidden_size, self.heads)

    def arguments(self) -> dict[str, Any]:
        """These fields as arguments of `Recurrent`, whose name for `layers` is torch's `num_layers`."""
        values = {name: getattr(self, name) for name in RecurrentConfig.model_fields}
        return {"num_layers": values.pop("layers")} | values
