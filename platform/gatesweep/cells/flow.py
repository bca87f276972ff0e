"""How a gradient fades or grows on its way back through time, in cells that have learned nothing yet.

    L = v · h_T,  v a random direction        norm[t] = ‖∂L/∂h_t‖, over sequences of random inputs

∂L/∂h_t is the whole of what a change of h_t would do to the last output, through every later gate and state. It is
taken by the reference loop in float64; the norm is the root of its mean square over the sequences, relative to that of
h_T itself. Sources: Hochreiter 1991; Bengio, Simard & Frasconi 1994, for the decay; Jozefowicz, Zaremba & Sutskever
2015, for the forget gate's bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

import torch
from torch import Tensor

from gatesweep.cells import reference
from gatesweep.cells.description import Cell
from gatesweep.cells.variants import find
from gatesweep.cells.weights import assemble, initialise, shapes


@dataclass(frozen=True)
class Curve:
    """`norm[t]` is ‖∂L/∂h_t‖ / ‖∂L/∂h_T‖ for t = 1 … T: the last is 1."""

    cell: str
    forget_bias: float | None
    """None: the cell has no forget gate whose bias it would be."""

    norm: tuple[float, ...]

    @property
    def label(self) -> str:
        return self.cell if self.forget_bias is None else f"{self.cell}, forget bias {self.forget_bias:g}"

    @property
    def halves_in(self) -> float | None:
        """Steps in which the norm halves, between a quarter and three quarters of the way back; None: it does not."""
        early, late = self.norm[len(self.norm) // 4], self.norm[3 * len(self.norm) // 4]
        if not 0 < early < late:
            return 0.0 if early == 0 else None
        return (3 * len(self.norm) // 4 - len(self.norm) // 4) / log2(late / early)


def gradient_flow(
    cell: str, *, length: int, hidden_size: int = 64, input_size: int = 64, batch: int = 8, forget_bias: float = 1.0,
    seed: int = 1,
) -> Curve:  # fmt: skip
    """The curve of one cell at initialisation.

    Raises:
        ValueError: unknown cell.
    """
    found = find(cell)
    generator = torch.Generator().manual_seed(seed)
    x_TBD = torch.randn(length, batch, input_size, generator=generator, dtype=torch.float64)
    v_BH = torch.randn(batch, hidden_size, generator=generator, dtype=torch.float64)
    gradients = _gradients(found, x_TBD, v_BH, forget_bias, seed)
    norms = [float(d_BH.square().sum(1).mean().sqrt()) for d_BH in gradients]
    return Curve(cell, forget_bias if found.forget else None, tuple(norm / norms[-1] for norm in norms))


def _gradients(cell: Cell, x_TBD: Tensor, v_BH: Tensor, forget_bias: float, seed: int) -> list[Tensor]:
    """∂(v · h_T)/∂h_t for every t."""
    (_, B, D), H = x_TBD.shape, v_BH.shape[1]
    sizes = shapes(cell, D, H)
    weights = assemble(cell, {name: torch.empty(size, dtype=torch.float64) for name, size in sizes.items()})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        initialise(cell, weights, forget_bias)
    state = tuple(x_TBD.new_full((B, H), cell.initial.get(name, 0.0), requires_grad=True) for name in cell.states)
    outputs = []
    for x_BD in x_TBD.unbind(0):
        _, state = reference.unroll(cell, x_BD.unsqueeze(0), state, weights)
        outputs.append(state[0])
    return list(torch.autograd.grad((outputs[-1] * v_BH).sum(), outputs))
