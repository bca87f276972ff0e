"""The mLSTM block of xLSTM: up-projected, convolved, remembered in a matrix, gated and projected down (Beck et al.
2024, "xLSTM: Extended long short-term memory", NeurIPS, section 2.4 and figure 11).

    u, z = W_up LN x                    two branches of I = 2 H units
    c = silu(convolution(u))            causal, each unit by itself, k steps
    q, k = W_q c, W_k c / √E            v = W_v u            block-diagonal, blocks of 4 units
    i, f = one row a head of [q, k, v]
    h = GN(mLSTM(q, k, v, i, f)) + s ⊙ c                     the cell of `cells/matrix.py`, each head normalised
    x <- x + W_down (h ⊙ silu(z))       silu(z) stands for the cell's own output gate

As in the paper's figure; gates start with the forget bias of the configuration, and weights as torch has them.

Shape suffixes: T time steps, B batch, H hidden units, I inner units, N heads, E units of a head, P past steps.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.cells.chunkwise import chunkwise
from gatesweep.cells.matrix import Memory, Projected, sequential
from gatesweep.models.block_diagonal import BlockDiagonal
from gatesweep.models.config import ModelConfig
from gatesweep.models.convolution import Convolution
from gatesweep.models.costs import memory_flops

EXPANSION = 2
KERNEL_SIZE = 4


class MatrixBlock(nn.Module):
    """One block; its state is `(C_BNEE, n_BNE, m_BN, past_BIP)`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        H, I = config.hidden_size, EXPANSION * config.hidden_size  # noqa: E741 (I is the letter of the equations)
        self.heads, self.inner = config.heads, I
        self.form = sequential if config.backend == "reference" else chunkwise
        self.norm, self.up, self.down = nn.LayerNorm(H), nn.Linear(H, 2 * I), nn.Linear(I, H)
        self.convolution = Convolution(I, I, config.kernel_size or KERNEL_SIZE, groups=I)
        self.query, self.key, self.value = BlockDiagonal(I), BlockDiagonal(I), BlockDiagonal(I)
        self.gates = nn.Linear(3 * I, 2 * self.heads)
        with torch.no_grad():
            self.gates.bias[: self.heads].zero_()
            self.gates.bias[self.heads :].fill_(config.forget_bias)
        self.head_norm, self.skip = nn.GroupNorm(self.heads, I), nn.Parameter(torch.ones(I))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BTH: Tensor, lengths_B: Tensor | None, state: Any) -> tuple[Tensor, Any]:
        """The block's output and its state afterwards."""
        u_BTI, z_BTI = self.up(self.norm(x_BTH)).chunk(2, -1)
        past_BIP = None if state is None else state[3]
        c_BIT, past_BIP = self.convolution(u_BTI.transpose(1, 2), lengths_B, past_BIP)
        c_BTI = functional.silu(c_BIT).transpose(1, 2)
        with torch.autocast(x_BTH.device.type, enabled=False):  # the memory keeps the weights' precision
            dtype = self.skip.dtype
            read_BTI, memory = self._remember(c_BTI.to(dtype), u_BTI.to(dtype), lengths_B, state)
        h_BTI = self.head_norm(read_BTI.flatten(0, 1)).view_as(read_BTI) + self.skip * c_BTI
        return x_BTH + self.dropout(self.down(h_BTI * functional.silu(z_BTI))), (*memory, past_BIP)

    def state_sizes(self, B: int) -> Any:
        E = self.inner // self.heads
        return (B, self.heads, E, E), (B, self.heads, E), (B, self.heads), self.convolution.state_size(B)

    def state_flops(self) -> float:
        """f C + (i v) kᵀ and C q."""
        return memory_flops(self.inner, self.heads)

    def _remember(self, c_BTI: Tensor, u_BTI: Tensor, lengths_B: Tensor | None, state: Any) -> tuple[Tensor, Memory]:
        q_BTI, k_BTI, v_BTI = self.query(c_BTI), self.key(c_BTI), self.value(u_BTI)
        i_BTN, f_BTN = self.gates(torch.cat([q_BTI, k_BTI, v_BTI], -1)).chunk(2, -1)
        q, k, v = (part.transpose(0, 1).unflatten(-1, (self.heads, -1)) for part in (q_BTI, k_BTI, v_BTI))
        log_i, log_f = i_BTN.transpose(0, 1), functional.logsigmoid(f_BTN).transpose(0, 1)
        inputs = Projected(q, k / math.sqrt(k.shape[-1]), v, log_i, log_f)
        memory = Memory(*(state[:3] if state is not None else self._empty(u_BTI)))
        read_TBNE, memory = self.form(inputs, memory, lengths_B)
        return read_TBNE.flatten(2).transpose(0, 1), memory

    def _empty(self, like_BTI: Tensor) -> tuple[Tensor, ...]:
        return tuple(like_BTI.new_zeros(size) for size in self.state_sizes(len(like_BTI))[:3])
