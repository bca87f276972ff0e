"""How a neural Turing machine finds, reads and writes its memory (Graves, Wayne & Danihelka 2014, "Neural Turing
machines", sections 3.1-3.3; equations by their numbers there).

    (5, 6)   content    w_c = softmax(β K(key, M))          K(u, v) = u·v / √((|u|² + ε)(|v|² + ε))
    (7)      gate       w_g = g w_c + (1 - g) w_before
    (8)      shift      w_s(n) = Σ_j w_g(n - j) s(j)         j = -1, 0, 1, around the ends
    (9)      sharpen    w = w_s^γ / Σ w_s^γ                  as softmax(γ log w_s), which neither over- nor underflows
    (2)      read       r = Σ_n w(n) M(n)
    (3, 4)   write      M(n) <- M(n) ⊙ (1 - w(n) e) + w(n) a

    β = softplus ≥ 0      g = σ      s = softmax      γ = 1 + softplus      key, a = tanh      e = σ

ε keeps the cosine's slope bounded, so that an empty slot is like nothing and pulls at nothing; tanh bounds what is
written (as Collier & Beel 2018, "Implementing neural Turing machines", section 3).

Shape suffixes: B batch, N slots of memory, W numbers in each, A heads, P parameters of a head.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

SHIFTS = (-1, 0, 1)
EPSILON = 1e-4
SMALLEST = 1e-12


class Address(NamedTuple):
    """What each head asks for."""

    key_BAW: Tensor
    strength_BA: Tensor
    gate_BA: Tensor
    shift_BA3: Tensor
    sharpness_BA: Tensor


def address_size(width: int) -> int:
    """P: numbers that a controller gives for one head's `Address`."""
    return width + 3 + len(SHIFTS)


def address(raw_BAP: Tensor, width: int) -> Address:
    """What the controller gave, each in its range."""
    key, strength, gate, shift, sharpness = raw_BAP.split([width, 1, 1, len(SHIFTS), 1], -1)
    return Address(key.tanh(), functional.softplus(strength).squeeze(-1), gate.sigmoid().squeeze(-1),
                   shift.softmax(-1), 1 + functional.softplus(sharpness).squeeze(-1))


def weights(asked: Address, memory_BNW: Tensor, before_BAN: Tensor) -> Tensor:
    """Where each head looks, [B, A, N]: at least 0, 1 in sum (equations 5 to 9).

    Args:
        before_BAN: where it looked a step before.
    """
    like_BAN = similarity(asked.key_BAW, memory_BNW)
    content_BAN = (asked.strength_BA.unsqueeze(-1) * like_BAN).softmax(-1)
    gated_BAN = torch.lerp(before_BAN, content_BAN, asked.gate_BA.unsqueeze(-1))
    rolled_BAN3 = torch.stack([gated_BAN.roll(j, -1) for j in SHIFTS], -1)
    shifted_BAN = (rolled_BAN3 @ asked.shift_BA3.unsqueeze(-1)).squeeze(-1)
    return (asked.sharpness_BA.unsqueeze(-1) * shifted_BAN.clamp_min(SMALLEST).log()).softmax(-1)


def similarity(key_BAW: Tensor, memory_BNW: Tensor) -> Tensor:
    """K of every key and every slot, [B, A, N]."""
    lengths_BAN = (_squares(key_BAW).unsqueeze(-1) * _squares(memory_BNW).unsqueeze(-2)).sqrt()
    return key_BAW @ memory_BNW.mT / lengths_BAN


def read(w_BAN: Tensor, memory_BNW: Tensor) -> Tensor:
    """What each head finds, [B, A, W] (equation 2)."""
    return w_BAN @ memory_BNW


def write(w_BAN: Tensor, erase_BAW: Tensor, add_BAW: Tensor, memory_BNW: Tensor) -> Tensor:
    """The memory after every head has erased and then every head has added (equations 3 and 4, and what follows them on
    several heads: their order does not matter)."""
    kept_BNW = (1 - w_BAN.unsqueeze(-1) * erase_BAW.unsqueeze(-2)).prod(1)
    return memory_BNW * kept_BNW + w_BAN.mT @ add_BAW


def _squares(x_W: Tensor) -> Tensor:
    return x_W.square().sum(-1) + EPSILON
