"""Any cell over all time steps as one autograd function, its backward derived from the cell's own step.

    forward     G = W x + b for all steps at once; then per step  g_t += R s_(t-1),  s_t = step(g_t, s_(t-1)), in place
    backward    a step works unit by unit, so its derivative J = ∂s'/∂(g, s, p) is one number per unit and pair. J is
                formed for a block of steps at once (`derived.py`); what is left for the loop is linear in the
                adjoints D:

                    [dg_t, ds_(t-1), dp_t] = Σ_k J_k,t ⊙ D_k,t            D_(t-1) = ds_(t-1) + dg_t R + dy_(t-1)

So a backward step is a handful of operations whatever the cell, and nothing here knows any cell's equations. The output
is that of `reference.unroll` up to rounding. What surrounds the loops stands in `unrolled.py`.

Shape suffixes: T time steps, B batch, D inputs, H hidden units, G pre-activations, K pre-activations times H, S sources
times H, P peepholes and vectors, M masks, U what J differentiates by (pre-activations, read states, p), n sequences
still running.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gatesweep.cells.derived import derive
from gatesweep.cells.description import Cell
from gatesweep.cells.reference import State, sources
from gatesweep.cells.unrolled import Loops, Running, States, rows, unroll_by
from gatesweep.cells.weights import Weights

BLOCK_VALUES = 1 << 14
"""Batch times units times steps whose derivatives are formed at once: few enough to stay in a core's cache."""


def unroll(
    cell: Cell, x_TBD: Tensor, state: State, weights: Weights, lengths_B: Tensor | None = None,
    masks: Tensor | None = None,
) -> tuple[Tensor, State]:  # fmt: skip
    """As `reference.unroll`, once differentiable, not by the masks; the time loop does no work on padding.

    Raises:
        ValueError: the cell or its weights ask for what this loop does not have (`backends.supports`).
        RuntimeError: differentiated twice.
    """
    return unroll_by(_LOOPS, cell, x_TBD, state, weights, lengths_B, masks)


def _run(
    cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, r_KS: Tensor, p_PH: Tensor,
    state: States,
) -> States:  # fmt: skip
    """The loop forwards: the states before every step and after the last, [T + 1, B, H]; activations over `g_TBK`."""
    (T, B, K), H = g_TBK.shape, p_PH.shape[1]
    derived = derive(cell)
    history = {name: s_BH.new_empty(T + 1, B, H) for name, s_BH in state.items()}
    for name, s_BH in state.items():
        history[name][0] = s_BH
    steps = {name: s_TBH.unbind(0) for name, s_TBH in history.items()}
    units, workspace = [p.expand(B, H) for p in p_PH], derived.forward.workspace(g_TBK[0, :, :H])
    r_SK = r_KS.t()
    for t, g_BK in enumerate(g_TBK.unbind(0)):
        n = B if running is None else running[t]
        before = [rows(steps[name][t], n) for name in cell.states]
        after = [rows(steps[name][t + 1], n) for name in cell.states]
        g_nK = rows(g_BK, n)
        g_nK.addmm_(sources(cell, dict(zip(cell.states, before, strict=True))), r_SK)
        gates = g_nK.view(n, K // H, H).unbind(1)
        rest = [*(rows(p, n) for p in units), *(rows(m, n) for m in m_TMBH[t])]
        work = workspace if n == B else [rows(w, n) for w in workspace]
        derived.forward.run([*gates, *before, *rest, *after, *(gates[k] for k in derived.kept), *work])
        if n < B:
            for s in steps.values():
                s[t + 1][n:] = s[t][n:]
    return history


def _adjoints(
    cell: Cell, running: Running, m_TMBH: Tensor, g_TBK: Tensor, history: States, r_KS: Tensor,
    p_PH: Tensor, dh_TBH: Tensor, carry: States,
) -> tuple[Tensor, Tensor, States]:  # fmt: skip
    """The loop backwards: dg of every step, dp, and the adjoints of the states before the first step."""
    (T, B, K), P = g_TBK.shape, len(p_PH)
    dg_TBK = torch.empty_like(g_TBK)
    dp_PH, jacobian = torch.zeros_like(p_PH), _Jacobian(cell, m_TMBH, g_TBK, history, p_PH)
    for start in range((T - 1) // jacobian.steps * jacobian.steps, -1, -jacobian.steps):
        stop = min(start + jacobian.steps, T)
        du_tBUH, j_ktBUH = jacobian.block(start, stop)
        for t in range(stop - 1, start - 1, -1):
            n = B if running is None else running[t]
            du_BUH = du_tBUH[t - start]
            carry[cell.states[0]] = carry[cell.states[0]] + dh_TBH[t]
            _weigh([rows(j_tBUH[t - start], n) for j_tBUH in j_ktBUH], list(carry.values()), rows(du_BUH, n))
            before = _before(cell, jacobian.reads, rows(du_BUH, n), r_KS)
            if n < B:
                du_BUH[n:] = 0.0
                before = {name: torch.cat([before[name], carry[name][n:]]) for name in cell.states}
            carry = before
        carry = {name: d_BH.clone() for name, d_BH in carry.items()}  # the next block fills the buffer it may lie in
        dg_TBK[start:stop].copy_(du_tBUH.flatten(2)[:, :, :K])
        dp_PH += du_tBUH[:, :, du_tBUH.shape[2] - P :].sum((0, 1))
    return dg_TBK, dp_PH, carry


def _weigh(j_nUH: list[Tensor], d_BH: list[Tensor], out_nUH: Tensor) -> None:
    """Σ_k J_k ⊙ D_k, of the first n rows."""
    d_n1H = [rows(d, len(out_nUH)).unsqueeze(1) for d in d_BH]
    torch.mul(j_nUH[0], d_n1H[0], out=out_nUH)
    for j, d in zip(j_nUH[1:], d_n1H[1:], strict=True):
        out_nUH.addcmul_(j, d)


def _before(cell: Cell, reads: tuple[str, ...], du_nUH: Tensor, r_KS: Tensor) -> States:
    """Adjoints of the states before a step: through the recurrent weights, through the step itself, or both."""
    H, K = du_nUH.shape[2], len(r_KS)
    through_nS = du_nUH.flatten(1)[:, :K] @ r_KS
    before = {name: through_nS[:, k * H : (k + 1) * H] for k, name in enumerate(cell.recurrent)}
    for k, name in enumerate(reads, start=K // H):
        before[name] = before[name] + du_nUH[:, k] if name in before else du_nUH[:, k]
    return {name: before[name] if name in before else torch.zeros_like(du_nUH[:, 0]) for name in cell.states}


class _Jacobian:
    """Derivatives of the step for a block of time steps, in buffers that every block uses again."""

    def __init__(self, cell: Cell, m_TMBH: Tensor, g_TBK: Tensor, history: States, p_PH: Tensor) -> None:
        (T, B, K), (P, H) = g_TBK.shape, p_PH.shape
        self.steps = min(T, max(1, BLOCK_VALUES // (B * H)))
        self.reads, self._program = derive(cell).reads, derive(cell).jacobian
        self._g_TBGH, self._history, self._p_PH = g_TBK.view(T, B, K // H, H), history, p_PH
        self._m_TMBH = m_TMBH
        shape = (self.steps, B, K // H + len(self.reads) + P, H)
        self._j_ktBUH = [g_TBK.new_zeros(shape) for _ in cell.states]
        self._du_tBUH = g_TBK.new_empty(shape)
        self._workspace = self._program.workspace(g_TBK.new_empty(self.steps, B, H))

    def block(self, start: int, stop: int) -> tuple[Tensor, list[Tensor]]:
        """A buffer for the block's adjoints, and for each new state its derivatives, [stop - start, B, U, H]."""
        n = stop - start
        j_ktBUH = [rows(j, n) for j in self._j_ktBUH]
        gates = self._g_TBGH[start:stop].unbind(2)
        before = [s_TBH[start:stop] for s_TBH in self._history.values()]
        after = [s_TBH[start + 1 : stop + 1] for s_TBH in self._history.values()]
        rest = [*(p.expand_as(before[0]) for p in self._p_PH), *self._m_TMBH[start:stop].unbind(1)]
        columns = [column for j_tBUH in j_ktBUH for column in j_tBUH.unbind(2)]
        self._program.run([*gates, *before, *rest, *after, *columns, *(rows(w, n) for w in self._workspace)])
        return rows(self._du_tBUH, n), j_ktBUH


_LOOPS = Loops("fused", _run, _adjoints)
