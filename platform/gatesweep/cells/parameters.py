"""The parameters of stacked layers of one cell: their names, sizes, first values, and the initial state.

Shape suffixes: B batch, D inputs, H hidden units (of h, where it is projected, its projection), N layers times
directions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gatesweep.cells import chrono
from gatesweep.cells.checks import check_state
from gatesweep.cells.config import RecurrentConfig
from gatesweep.cells.gates import Parts, by_gate
from gatesweep.cells.loop import looped
from gatesweep.cells.reference import State
from gatesweep.cells.sequences import Layout
from gatesweep.cells.stacked import Stacked
from gatesweep.cells.variants import find
from gatesweep.cells.weights import ROLES, Weights, assemble, initialise, shapes


class Parameters(Stacked):
    """What `Recurrent` owns: parameters by the roles of `weights.ROLES`.

    Attributes:
        cell: as it is named; what the loop runs has the options in it.
    """

    def __init__(self, config: RecurrentConfig, input_size: int, batch_first: bool = False) -> None:
        super().__init__(config, input_size, batch_first)
        self.proj_size = config.projection_size or 0
        self._describe()
        self._register()
        self.reset_parameters()

    @property
    def output_size(self) -> int:
        """Width of the output: the hidden units, or their projection, of every direction."""
        return (self.proj_size or self.hidden_size) * self.directions

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw all parameters anew, from torch's generator; a learned initial state starts at zeros."""
        for layer in range(self.num_layers):
            for suffix in self._suffixes(layer):
                weights = self._weights(suffix)
                initialise(self._looped[False], weights, self.config.forget_bias)
                if self.config.chrono is not None:
                    chrono.initialise(self.cell, weights, self.config.chrono)
        for name, p in self.named_parameters():
            if name.startswith("initial_"):
                p.zero_()

    def gate_parameters(self, layer: int = 0, *, reverse: bool = False) -> Parts:
        """One layer's parameters by gate.

        Returns:
            `input` (each [H, D]), `recurrent` (each [H, H]) and `peephole` (each [H]): views, by gate; and `bias` (each
            [H]): the sum of torch's two. A gate whose halves stay apart (the GRU's n) has a `_recurrent` bias besides;
            `gates.by_gate` says what options add.

        Raises:
            ShapeError: no such layer or direction.
        """
        return by_gate(self._looped[False], self._weights(self._suffix(layer, reverse)))

    def _describe(self) -> None:
        self.cell = find(self.config.cell, self.config.peepholes)
        self._looped = {training: looped(self.config, training=training) for training in (True, False)}

    def __getstate__(self) -> dict[str, Any]:
        """Cells hold functions that pickle does not know; their names say all."""
        return {name: value for name, value in self.__dict__.items() if name not in ("cell", "_looped")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._describe()

    def _register(self) -> None:
        for layer in range(self.num_layers):
            size = self.input_size if layer == 0 else self.output_size
            for suffix in self._suffixes(layer):
                for role, shape in self._shapes(size).items():
                    self.register_parameter(role + suffix, nn.Parameter(torch.empty(shape)))
        for name, (N, _, H) in self._sizes(0).items():
            if name in self._learned():
                self.register_parameter(f"initial_{name}", nn.Parameter(torch.empty(N, H)))

    def _learned(self) -> tuple[str, ...]:
        """States whose first value is learned. What a stabiliser erases at the first step (sLSTM's c) is not."""
        if not self.config.learned_state:
            return ()
        return tuple(name for name in self.cell.states if name == "h" or (name == "c" and not self.cell.initial))

    def _shapes(self, size: int) -> dict[str, tuple[int, ...]]:
        config = self.config
        return shapes(self._looped[False], size, self.hidden_size, projection=config.projection_size,
                      norm=config.layer_norm, heads=config.heads)

    def state_sizes(self, B: int = 1) -> dict[str, tuple[int, int, int]]:
        """[N, B, H] of each state that is carried from step to step, by name."""
        return self._sizes(B)

    def _sizes(self, B: int) -> dict[str, tuple[int, int, int]]:
        """[N, B, H] of each state that is carried."""
        h, N = self.cell.states[0], self.num_layers * self.directions
        return {name: (N, B, self.proj_size if name == h and self.proj_size else self.hidden_size)
                for name in self.cell.states}  # fmt: skip

    def _weights(self, suffix: str) -> Weights:
        there = {role: getattr(self, role + suffix, None) for role in ROLES}
        return assemble(self.cell, {role: parameter for role, parameter in there.items() if parameter is not None})

    def _initial(self, given: Tensor | State | None, B: int, layout: Layout) -> State:
        """States before the first step. With learned ones, the others start at 0, or the learned would not count."""
        sizes, state = self._sizes(B), layout.given(given)
        like, learned = self.get_parameter("weight_ih_l0"), self._learned()
        if state is not None:
            check_state(state, sizes, like.dtype)
            return tuple(s.to(like.dtype) for s in state)  # autocast may have made it narrower
        return tuple(
            self.get_parameter(f"initial_{name}").unsqueeze(1).expand(size)
            if name in learned else like.new_full(size, self.cell.initial.get(name, 0.0))
            for name, size in sizes.items()
        )  # fmt: skip
