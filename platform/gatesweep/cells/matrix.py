"""mLSTM: the cell state is a matrix per head, written with keys and read with queries (Beck et al., 2024, "xLSTM:
Extended long short-term memory", NeurIPS, equations 19-27).

Letters: q query, k key, v value, i f o input, forget and output gate; C the memory, n the normaliser, m the stabiliser.
Shape suffixes: T time steps, B batch, D inputs, H hidden units, N heads, E units of a head (H / N), V E units of a
value, R rows of the weights.

    q = W_q x + b_q      k = (W_k x + b_k) / √E      v = W_v x + b_v      o = σ(W_o x + b_o)       one row a unit
    i = exp(a_i)         f = σ(a_f)                  a = w x + b                                   one row a head

    C' = f C + i v kᵀ      n' = f n + i k      h' = o ⊙ C' q / max(|n'ᵀ q|, 1)

i has no upper bound, so C and n are kept divided by e^m (the paper's equation 15 and the formulas after it):

    m' = max(log f + m, a_i)      C' = e^(log f + m - m') C + e^(a_i - m') v kᵀ      n' likewise
    h' = o ⊙ C' q / max(|n'ᵀ q|, e^(-m'))

e^(-m') in place of 1 is what makes h' independent of m: it is the h' above. The authors' code adds 1e-6 to the
denominator besides, which would make the output depend on how the state happens to be scaled; here it is left out, and
the floor is the smallest normal number where e^(-m') has underflowed. As in their code, √E divides the key's bias too.
The normalisation of each head's output that their blocks add is not part of the cell.

No gate reads h: nothing is recurrent but C, n and m, and those are linear, so that there is a parallel form, in
`chunkwise.py`. This file holds the definition: the loop over time, on any device, differentiable as often as you like.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

GATES = ("q", "k", "v", "i", "f", "o")
"""In the order of the rows of the weights: H rows each, `i` and `f` one row a head."""

STATES = ("C", "n", "m")


class Memory(NamedTuple):
    """What is carried from step to step, divided by e^m."""

    C_BNVE: Tensor
    n_BNE: Tensor
    m_BN: Tensor


class Projected(NamedTuple):
    """What the memory reads of the input, for all time steps; the key is scaled, the gates are logarithms."""

    q_TBNE: Tensor
    k_TBNE: Tensor
    v_TBNV: Tensor
    log_i_TBN: Tensor
    log_f_TBN: Tensor


def rows(hidden_size: int, heads: int) -> list[int]:
    """How many rows of the weights each of `GATES` has."""
    return [heads if gate in "if" else hidden_size for gate in GATES]


def project(x_TBD: Tensor, weight_RD: Tensor, bias_R: Tensor, heads: int) -> tuple[Projected, Tensor]:
    """Queries, keys, values and gates of every step, and the output gate `o_TBH`."""
    H = (len(weight_RD) - 2 * heads) // 4
    a_TBR = functional.linear(x_TBD, weight_RD, bias_R)
    q, k, v, i_TBN, f_TBN, o_TBH = torch.split(a_TBR, rows(H, heads), dim=-1)
    q_TBNE, k_TBNE, v_TBNV = (part.reshape(*part.shape[:-1], heads, H // heads) for part in (q, k, v))
    scaled_TBNE = k_TBNE / math.sqrt(H // heads)
    return Projected(q_TBNE, scaled_TBNE, v_TBNV, i_TBN, functional.logsigmoid(f_TBN)), o_TBH.sigmoid()


def sequential(inputs: Projected, memory: Memory, lengths_B: Tensor | None = None) -> tuple[Tensor, Memory]:
    """Read and write the memory step by step.

    Args:
        inputs: at least one step.
        memory: before the first step; all zeros where there is nothing to remember.
        lengths_B: steps of each sequence, the rest being padding: the memory stands still there and the output is 0.

    Returns:
        What the queries read, before the output gate, [T, B, N, V], and the memory after each sequence's last step.
    """
    output = []
    for t, now in enumerate(zip(*(part.unbind(0) for part in inputs), strict=True)):
        read_BNV, new = step(memory, *now)
        if lengths_B is not None:
            alive_B = lengths_B > t
            read_BNV = _choose(alive_B, read_BNV, torch.zeros_like(read_BNV))
            new = Memory(*(_choose(alive_B, after, before) for after, before in zip(new, memory, strict=True)))
        memory = new
        output.append(read_BNV)
    return torch.stack(output), memory


def step(
    memory: Memory, q_BNE: Tensor, k_BNE: Tensor, v_BNV: Tensor, log_i_BN: Tensor, log_f_BN: Tensor
) -> tuple[Tensor, Memory]:
    """One step: what the query reads, [B, N, V], and the memory afterwards."""
    m_BN = torch.maximum(log_f_BN + memory.m_BN, log_i_BN)
    f_BN1 = (log_f_BN + memory.m_BN - m_BN).exp().unsqueeze(-1)
    i_BN1 = (log_i_BN - m_BN).exp().unsqueeze(-1)
    C_BNVE = f_BN1.unsqueeze(-1) * memory.C_BNVE + (i_BN1 * v_BNV).unsqueeze(-1) * k_BNE.unsqueeze(-2)
    n_BNE = f_BN1 * memory.n_BNE + i_BN1 * k_BNE
    read_BNV = (C_BNVE @ q_BNE.unsqueeze(-1)).squeeze(-1)
    return normalised(read_BNV, (n_BNE * q_BNE).sum(-1), m_BN), Memory(C_BNVE, n_BNE, m_BN)


def normalised(read_V: Tensor, nq: Tensor, m: Tensor) -> Tensor:
    """C q / max(|nᵀ q|, e^(-m)); `read_V` has one dimension more, its last."""
    floor = (-m).exp().clamp_min(torch.finfo(m.dtype).tiny)
    return read_V / torch.maximum(nq.abs(), floor).unsqueeze(-1)


def _choose(alive_B: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    return torch.where(alive_B.view(-1, *[1] * (yes.dim() - 1)), yes, no)
