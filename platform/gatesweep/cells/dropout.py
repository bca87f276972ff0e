"""Dropout's masks, from torch's generator; out of training nothing is drawn.

Shape suffixes: T time steps, B batch, D features, H hidden units, M masks, G gates times H, S, F what they read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gatesweep.cells.options import VARIATIONAL
from gatesweep.cells.places import CANDIDATE
from gatesweep.cells.weights import Weights

if TYPE_CHECKING:
    from gatesweep.cells.config import RecurrentConfig
    from gatesweep.cells.description import Cell


def locked(x_TBD: Tensor, p: float) -> Tensor:
    """Zero features of whole sequences with probability p and scale the others by 1 / (1 - p).

    One mask [B, D] for all time steps: Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent
    neural networks", NeurIPS 2016, section 4.
    """
    return x_TBD * _kept(x_TBD.new_empty(x_TBD.shape[1:]), p)


def dropped(weights: Weights, p: float) -> Weights:
    """The recurrent weights, those between gates too, zeroed with probability p, the others scaled by 1 / (1 - p).

    DropConnect as in Merity, Keskar & Socher, "Regularizing and optimizing LSTM language models", 2017, section 3.
    """
    kept_GS = functional.dropout(weights.recurrent_GS, p)
    if weights.feedback_FF is None:
        return weights._replace(recurrent_GS=kept_GS)
    return weights._replace(recurrent_GS=kept_GS, feedback_FF=functional.dropout(weights.feedback_FF, p))


def masks(cell: Cell, config: RecurrentConfig, T: int, like_BH: Tensor, *, training: bool) -> Tensor | None:
    """The factors [T, M, B, H] that the loop of `cell` asks for; None where it asks for none.

    Zoneout's mask is 1 where the old value stays; out of training it is the probability, so that a step gives the mean.
    """
    if not cell.masks:
        return None
    zoneout = {"h": config.zoneout_h, "c": config.zoneout_c}
    size = (T, *like_BH.shape)
    if not training:
        p_M = like_BH.new_tensor([zoneout[name] for name in cell.masks])
        return p_M.view(1, -1, 1, 1).expand(T, -1, *like_BH.shape)
    p, drawn = config.recurrent_dropout, []
    for name in cell.masks:
        if name == VARIATIONAL:
            drawn.append(_kept(like_BH.new_empty(like_BH.shape), p).expand(size))
        elif name == CANDIDATE:
            drawn.append(_kept(like_BH.new_empty(size), p))
        else:
            drawn.append(like_BH.new_empty(size).bernoulli_(zoneout[name]))
    return torch.stack(drawn, 1)


def _kept(empty: Tensor, p: float) -> Tensor:
    return empty.bernoulli_(1 - p).div_(1 - p)
