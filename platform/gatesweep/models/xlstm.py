"""xLSTM: residual blocks of mLSTM and sLSTM, one on the other (Beck et al. 2024, "xLSTM: Extended long short-term
memory", NeurIPS, section 2.4): `mlstm_block.py`, `slstm_block.py`.

    h = W_x x + b_x        h <- block(h) for each layer        outputs = LN h        summary = outputs of the last step

`xlstm_blocks` says which block stands where, from the bottom, over and over: `ms` is the paper's xLSTM[1:1].

Shape suffixes: T time steps, B batch, D inputs, H hidden units.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from torch import Tensor, nn

from gatesweep.models import padding
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family
from gatesweep.models.mlstm_block import MatrixBlock
from gatesweep.models.slstm_block import ScalarBlock

BLOCKS = {"m": MatrixBlock, "s": ScalarBlock}


class XLSTM(Family):
    """`layers` blocks of `hidden_size` units in one direction; its state is that of each block."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(input_size, config.hidden_size, config.dropout)
        kinds = (config.xlstm_blocks[layer % len(config.xlstm_blocks)] for layer in range(config.layers))
        self.project = nn.Linear(input_size, config.hidden_size)
        self.blocks = nn.ModuleList(BLOCKS[kind](config) for kind in kinds)
        self.norm = nn.LayerNorm(config.hidden_size)

    def state_flops(self, length: int) -> float:
        """What every mLSTM does with its matrices, as its equations have it."""
        return sum(block.state_flops() for block in self._blocks)

    def _state_sizes(self, B: int) -> Any:
        return tuple(block.state_sizes(B) for block in self._blocks)

    @property
    def _blocks(self) -> Iterable[MatrixBlock | ScalarBlock]:
        return cast("Iterable[MatrixBlock | ScalarBlock]", self.blocks)

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        h_BTH, after = self.project(x_BTD), []
        for block, before in zip(self.blocks, state or [None] * len(self.blocks), strict=True):
            h_BTH, now = block(h_BTH, lengths_B, before)
            after.append(now)
        h_BTH = self.norm(h_BTH)
        return Encoded(h_BTH, padding.last(h_BTH, lengths_B), tuple(after))
