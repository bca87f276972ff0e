"""mLSTM without a loop over single steps: quadratic within a chunk of time, recurrent from chunk to chunk.

Letters as in `matrix.py`. Shape suffixes: T time steps, B batch, N heads, E units of a head, V units of a value, A rows
of the memory with the normaliser below it (V + 1), L steps of a chunk (t reading, j writing).

Within a chunk F_t = log f_1 + … + log f_t, and what step j wrote is worth e^(F_t - F_j + log i_j) at step t. With

    G_j = log i_j - F_j      μ_t = max(m, G_1, …, G_t)      and so  m_t = F_t + μ_t

all of it, divided by e^(m_t), is one masked product of queries and keys, and what the memory held before the chunk:

    C_t q_t = Σ_(j <= t) e^(G_j - μ_t) (k_jᵀ q_t) v_j  +  e^(m - μ_t) C q_t
    C_L     = Σ_j        e^(G_j - μ_L) v_j k_jᵀ        +  e^(m - μ_L) C

No exponent is above 0. n obeys the same equations with 1 in place of v_j, so it is one row more of C. Work and memory
grow with T L: linear in T. The output does not depend on μ_t (`matrix.py`), so no derivative passes through it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gatesweep.cells.matrix import Memory, Projected, normalised

CHUNK = 32
"""Steps in a chunk: the fastest on a CPU at 32 units a head; from 16 to 64 the time differs by a quarter."""


def chunkwise(
    inputs: Projected, memory: Memory, lengths_B: Tensor | None = None, chunk: int = CHUNK
) -> tuple[Tensor, Memory]:
    """As `matrix.sequential`, up to rounding, `chunk` steps at a time."""
    alive_TB11 = None
    if lengths_B is not None:
        alive_TB11 = (torch.arange(len(inputs.q_TBNE), device=lengths_B.device)[:, None] < lengths_B)[..., None, None]
        inputs = inputs._replace(  # a padded step writes nothing and forgets nothing
            log_i_TBN=inputs.log_i_TBN.masked_fill(~alive_TB11[..., 0], -torch.inf),
            log_f_TBN=inputs.log_f_TBN.masked_fill(~alive_TB11[..., 0], 0.0),
        )
    value_TBNA = torch.nn.functional.pad(inputs.v_TBNV, (0, 1), value=1.0)
    C_BNAE, m_BN = torch.cat([memory.C_BNVE, memory.n_BNE.unsqueeze(-2)], dim=-2), memory.m_BN
    output = []
    for parts in zip(*(torch.split(part, chunk) for part in inputs._replace(v_TBNV=value_TBNA)), strict=True):
        read_BNLV, C_BNAE, m_BN = _chunk(C_BNAE, m_BN, *(part.movedim(0, 2) for part in parts))
        output.append(read_BNLV.movedim(2, 0))
    read_TBNV = torch.cat(output)
    if alive_TB11 is not None:
        read_TBNV = torch.where(alive_TB11, read_TBNV, 0.0)
    return read_TBNV, Memory(C_BNAE[..., :-1, :], C_BNAE[..., -1, :], m_BN)


def _chunk(
    C_BNAE: Tensor, m_BN: Tensor, q_BNLE: Tensor, k_BNLE: Tensor, v_BNLA: Tensor, log_i_BNL: Tensor, log_f_BNL: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """One chunk: what its queries read, and C and m after it."""
    F_BNL, m_BN1 = log_f_BNL.cumsum(-1), m_BN.unsqueeze(-1)
    G_BNL = log_i_BNL - F_BNL
    μ_BNL = torch.maximum(m_BN1, G_BNL.cummax(-1).values).detach()
    weight_BNtj = (G_BNL.unsqueeze(-2) - μ_BNL.unsqueeze(-1) + _future(G_BNL)).exp()
    before_BNL = (m_BN1 - μ_BNL).exp()
    read_BNLA = (weight_BNtj * (q_BNLE @ k_BNLE.mT)) @ v_BNLA + before_BNL.unsqueeze(-1) * (q_BNLE @ C_BNAE.mT)
    read_BNLV = normalised(read_BNLA[..., :-1], read_BNLA[..., -1], F_BNL + μ_BNL)

    last_BN1 = torch.maximum(m_BN1, G_BNL.amax(-1, keepdim=True))
    written_BNLA = (G_BNL - last_BN1).exp().unsqueeze(-1) * v_BNLA
    C_BNAE = written_BNLA.mT @ k_BNLE + (m_BN1 - last_BN1).exp().unsqueeze(-1) * C_BNAE
    return read_BNLV, C_BNAE, F_BNL[..., -1] + last_BN1.squeeze(-1)


def _future(G_BNL: Tensor) -> Tensor:
    """-inf where step j comes after step t, else 0: [L, L]."""
    L = G_BNL.shape[-1]
    return torch.full((L, L), -torch.inf, dtype=G_BNL.dtype, device=G_BNL.device).triu(1)
