"""A recurrent network with a memory outside of it, which it reads and writes by addresses: a neural Turing machine
(Graves, Wayne & Danihelka 2014, "Neural Turing machines"; `addressing.py` has its equations).

    h' = controller([x, r], h)                          any recurrent layers
    raw = W_i h' + b_i                                  what a head asks for, writes and erases
    w' = addresses of the memory M, from w              of reading and writing heads alike
    M' = M erased and added to                          r' = read from M'
    outputs = W_o [h', r'] + b_o                        summary = outputs of the last step

The memory starts empty, each head at slot 0. A padded step changes nothing.

The loop over time is Python's, some eighty operations of torch a step: see docs/families.md for what that costs.

Shape suffixes: T time steps, B batch, D inputs, O outputs of the controller, H hidden units, A heads, N slots, W
numbers in a slot, F what the reading heads find.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gatesweep.cells.layer import Recurrent
from gatesweep.models import addressing, padding
from gatesweep.models.config import ModelConfig
from gatesweep.models.costs import cell_flops
from gatesweep.models.encoder import Encoded
from gatesweep.models.family import Family


class Turing(NamedTuple):
    """What is carried besides the controller's state."""

    memory_BNW: Tensor
    w_BAN: Tensor
    """Reading heads, then writing ones."""

    r_BF: Tensor
    """What the reading heads found, one after the other: F = A W."""


class MemoryEncoder(Family):
    """A controller and its memory, in one direction; the state is `(controller's states, (M_BNW, w_BAN, r_BF))`."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        self.slots, self.width, self.heads = config.memory_slots, config.memory_width, config.memory_heads
        found = self.heads * self.width
        controller = Recurrent(input_size=input_size + found, batch_first=True, **config.arguments())
        super().__init__(input_size, config.hidden_size, config.dropout)
        self.controller = controller
        self._sizes = [2 * self.heads * addressing.address_size(self.width), found, found]
        self.interface = nn.Linear(controller.output_size, sum(self._sizes))
        self.output = nn.Linear(controller.output_size + found, config.hidden_size)

    def state_flops(self, length: int) -> float:
        """Of each number of the memory and each pair of heads 11: two keys 2 each, reading and adding 2, erasing 3; and
        shifts; besides what the controller does."""
        shifts = 2.0 * len(addressing.SHIFTS) * 2 * self.heads * self.slots
        return cell_flops(self.controller) + 11.0 * self.heads * self.slots * self.width + shifts

    def _state_sizes(self, B: int) -> Any:
        return None, ((B, self.slots, self.width), (B, 2 * self.heads, self.slots), (B, self.heads * self.width))

    def _encode(self, x_BTD: Tensor, lengths_B: Tensor | None, state: Any) -> Encoded:
        turing = self._empty(len(x_BTD)) if state is None else Turing(*state[1])
        with torch.autocast(x_BTD.device.type, enabled=False):  # the memory keeps the weights' precision
            outputs_BTH, after = self._loop(x_BTD.to(turing.r_BF.dtype), lengths_B, state and state[0], turing)
        return Encoded(outputs_BTH, padding.last(outputs_BTH, lengths_B), after)

    def _loop(self, x_BTD: Tensor, lengths_B: Tensor | None, controller: Any, turing: Turing) -> tuple[Tensor, Any]:
        alive_BT = None if lengths_B is None else padding.alive(lengths_B, x_BTD.shape[1])
        outputs = []
        for t, x_BD in enumerate(x_BTD.unbind(1)):
            h_BO, after = self._control(torch.cat([x_BD, turing.r_BF], 1), controller)
            now = self._remember(h_BO, turing)
            if alive_BT is not None:
                alive_B = alive_BT[:, t]
                after = after if controller is None else _chosen(alive_B, after, controller, 1)
                now = Turing(*_chosen(alive_B, now, turing, 0))
            controller, turing = after, now
            outputs.append(torch.cat([h_BO, now.r_BF], 1))
        return self.output(torch.stack(outputs, 1)), (controller, tuple(turing))

    def _control(self, x_BD: Tensor, state: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        given = state[0] if state is not None and len(state) == 1 else state
        h_B1O, after = self.controller(x_BD.unsqueeze(1), given)
        return h_B1O.squeeze(1), (after,) if isinstance(after, Tensor) else tuple(after)

    def _remember(self, h_BO: Tensor, before: Turing) -> Turing:
        raw, erase, add = self.interface(h_BO).split(self._sizes, 1)
        asked = addressing.address(raw.unflatten(1, (2 * self.heads, -1)), self.width)
        w_BAN = addressing.weights(asked, before.memory_BNW, before.w_BAN)
        erase_BAW, add_BAW = (part.unflatten(1, (self.heads, self.width)) for part in (erase.sigmoid(), add.tanh()))
        memory_BNW = addressing.write(w_BAN[:, self.heads :], erase_BAW, add_BAW, before.memory_BNW)
        return Turing(memory_BNW, w_BAN, addressing.read(w_BAN[:, : self.heads], memory_BNW).flatten(1))

    def _empty(self, B: int) -> Turing:
        like, (_, sizes) = self.output.weight, self._state_sizes(B)
        memory_BNW, w_BAN, r_BF = (like.new_zeros(size) for size in sizes)
        w_BAN[..., 0] = 1.0
        return Turing(memory_BNW, w_BAN, r_BF)


def _chosen(alive_B: Tensor, new: tuple[Tensor, ...], old: tuple[Tensor, ...], dim: int) -> tuple[Tensor, ...]:
    """New values where a step is alive, old ones where it is padding; B is dimension `dim`."""
    return tuple(
        torch.where(alive_B.view([-1 if d == dim else 1 for d in range(after.dim())]), after, before)
        for after, before in zip(new, old, strict=True)
    )
