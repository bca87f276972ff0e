"""The options of a recurrent layer, with the cells that each has no meaning for: what tests go through, one by one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from gatesweep.cells import Recurrent
from gatesweep.cells.names import NAMES

T, B, D, H = 7, 3, 4, 6

LSTMS = {"vanilla", "peephole", "coupled", "nig", "nfg", "nog", "niaf", "noaf", "cifg", "fgr"}
NO_CELL_STATE = {"minlstm", "mingru", "gru", "gru_before", "rnn"}
INPUT_ALONE = {"minlstm", "mingru"}
H_IN_THE_STEP = {"minlstm", "mingru", "gru", "gru_before"}

OPTIONS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "dropout": ({"dropout": 0.5}, set()),
    "variational_dropout": ({"variational_dropout": 0.5}, set()),
    "weight_drop": ({"weight_drop": 0.5}, INPUT_ALONE),
    "semeniuta": ({"recurrent_dropout": 0.5}, {"rnn"}),
    "gal": ({"recurrent_dropout": 0.5, "recurrent_dropout_kind": "gal"}, INPUT_ALONE | {"gru_before"}),
    "zoneout_h": ({"zoneout_h": 0.5}, set()),
    "zoneout_c": ({"zoneout_c": 0.5}, NO_CELL_STATE | {"slstm"}),
    "residual": ({"residual": True}, set()),
    "learned_state": ({"learned_state": True}, set()),
    "projection_size": ({"projection_size": 4}, H_IN_THE_STEP),
    "heads": ({"heads": 2}, INPUT_ALONE | {"fgr"}),
    "layer_norm": ({"layer_norm": True}, INPUT_ALONE | {"gru_before"}),
    "cell_clip": ({"cell_clip": 0.3}, NO_CELL_STATE | {"slstm"}),
    "chrono": ({"chrono": 20}, {"nfg", "rnn"}),
}
"""By name: the option as arguments, and the cells that refuse it."""

REGULARISERS = ("dropout", "variational_dropout", "weight_drop", "semeniuta", "gal", "zoneout_h", "zoneout_c")


def every(names: tuple[str, ...] = tuple(OPTIONS), cells: tuple[str, ...] = NAMES) -> list[Any]:
    """(cell, option) for each cell that has the option."""
    return [pytest.param(cell, OPTIONS[name][0], id=f"{cell}-{name}")
            for name in names for cell in cells if cell not in OPTIONS[name][1]]  # fmt: skip


def refused() -> list[Any]:
    """(cell, option) for each cell that has not."""
    return [pytest.param(cell, option, id=f"{cell}-{name}")
            for name, (option, without) in OPTIONS.items() for cell in sorted(without)]  # fmt: skip


def made(cell: str, **options: Any) -> Recurrent:
    """A float64 layer, the same one whatever was drawn before."""
    torch.manual_seed(2)
    return Recurrent(cell, input_size=D, hidden_size=H, **options).double()


def draw(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def states(state: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (state,) if isinstance(state, Tensor) else state


def packed(state: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
    """As the layer takes a state."""
    return state if len(state) > 1 else state[0]


def of_layer(layer: Recurrent, n: int) -> dict[str, Tensor]:
    """Layer n's parameters, named as those of a layer alone."""
    return {name.replace(f"_l{n}", "_l0"): p for name, p in layer.state_dict().items() if f"_l{n}" in name}
