"""A cell with drawn weights, input, state and masks, to be run by any loop: what the tests of the cells share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatesweep.cells.description import Cell
from gatesweep.cells.weights import Weights, assemble, initialise, shapes


@dataclass
class Problem:
    """`tensors` are x, the parameters in the order of `names`, and the states, all wanting gradients."""

    cell: Cell
    names: list[str]
    tensors: list[Tensor]
    masks: Tensor | None

    def weights(self, tensors: Sequence[Tensor] | None = None) -> Weights:
        own = self.tensors if tensors is None else tensors
        return assemble(self.cell, dict(zip(self.names, own[1:], strict=False)))

    def run(
        self, unroll: Callable[..., Any], tensors: Sequence[Tensor] | None = None, lengths_B: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """The output of every step, then the final states."""
        own = list(self.tensors if tensors is None else tensors)
        masks = None if self.masks is None else self.masks.to(own[0].dtype)
        state = tuple(own[1 + len(self.names) :])
        h_TBH, last = unroll(self.cell, own[0], state, self.weights(own), lengths_B, masks)
        return h_TBH, *last

    def arrays(self) -> dict[str, Any]:
        """Parameters, and states as `<name>_0`, x and masks, in numpy."""
        names = ["x", *self.names, *(f"{name}_0" for name in self.cell.states)]
        named = dict(zip(names, (tensor.detach().numpy() for tensor in self.tensors), strict=True))
        return named | {f"mask.{name}": self.masks[:, m].numpy() for m, name in enumerate(self.cell.masks)}


def problem(
    cell: Cell, T: int, B: int, D: int, H: int, dtype: torch.dtype = torch.float64, **options: Any
) -> Problem:
    """Everything drawn, from a seed that the sizes give; gains and vectors too; options as `weights.shapes`."""
    torch.manual_seed(T + 10 * B + 100 * D + 1000 * H)
    sizes = shapes(cell, D, H, **options)
    parameters = {name: torch.empty(size, dtype=dtype) for name, size in sizes.items()}
    initialise(cell, assemble(cell, parameters), forget_bias=1.0)
    for name in ("gain_ih", "gain_hh", "peephole"):
        if name in parameters:
            parameters[name] += torch.randn_like(parameters[name]) / 4
    width = options.get("projection") or H
    state = [torch.randn(B, width if k == 0 else H, dtype=dtype) for k in range(len(cell.states))]
    tensors = [torch.randn(T, B, D, dtype=dtype), *parameters.values(), *state]
    masks = torch.rand(T, len(cell.masks), B, H, dtype=dtype) if cell.masks else None
    return Problem(cell, list(sizes), [tensor.requires_grad_() for tensor in tensors], masks)


def gradients(outputs: Sequence[Tensor], tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Of a sum that weighs every output differently, so that no two mistakes cancel."""
    loss = sum((y * torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)).sum() for y in outputs)
    return torch.autograd.grad(loss, tensors, materialize_grads=True)
