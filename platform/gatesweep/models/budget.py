"""Models of different families at one price: what a configuration costs, and the hidden size that costs the same.

    parameters(config, input_size)                      numbers that are trained
    flops_per_step(config, input_size, length)          operations of one step of one sequence, forwards
    match(config, "tcn", by="flops", input_size=8, length=96)

Of the encoder alone: heads and embeddings are the task's. Models are built without memory (torch's device "meta").
`costs.py` says what is counted. Operations are not seconds: docs/families.md has both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import lcm
from types import MappingProxyType
from typing import Any, Literal

import torch

from gatesweep.config.loader import build
from gatesweep.errors import ConfigError
from gatesweep.models import families
from gatesweep.models.config import ModelConfig
from gatesweep.models.costs import cell_flops, matrix_numbers
from gatesweep.models.encoder import Encoder
from gatesweep.models.encoders import build_encoder
from gatesweep.models.family import Family
from gatesweep.models.recurrent import RecurrentEncoder

LARGEST = 65536


def parameters(config: ModelConfig, input_size: int) -> int:
    """Trained numbers of the encoder."""
    return sum(p.numel() for p in _built(config, input_size, causal=False).parameters())


def flops_per_step(config: ModelConfig, input_size: int, length: int, *, causal: bool = False) -> float:
    """Operations of one step, the mean over a sequence of `length` steps.

    Args:
        causal: as for `build_encoder`: attention sees fewer steps then.
    """
    encoder = _built(config, input_size, causal=causal)
    return 2.0 * matrix_numbers(encoder) + _state_flops(encoder, length)


def match(
    config: ModelConfig, family: str, by: Literal["parameters", "flops"], *, input_size: int, length: int = 1,
    causal: bool = False, shape: Mapping[str, Any] = MappingProxyType({}),
) -> ModelConfig:  # fmt: skip
    """The configuration of `family` whose hidden size costs nearest to what `config` costs.

    Args:
        config: fields that the other family has too, and a task's own, are taken over; the others fall back to their
            defaults.
        length: steps of a sequence, where `by` is flops: attention costs more the longer it is.
        shape: fields of the other family that are to be otherwise, such as a tcn's layers, which are how far it sees.

    Raises:
        ConfigError: no such family, or none of its sizes comes within a factor of 2.
    """
    if family not in families.FAMILIES:
        raise ConfigError(f"unknown family '{family}'; one of {', '.join(families.FAMILIES)}")

    def cost(each: ModelConfig) -> float:
        return parameters(each, input_size) if by == "parameters" else flops_per_step(each, input_size, length,
                                                                                      causal=causal)  # fmt: skip
    wanted, given = cost(config), config.model_copy(update=dict(shape))
    unit = _unit(given, family)
    smallest = (given.projection_size or 0) // unit + 1 if "projection_size" in families.FIELDS[family] else 1
    size = unit * _nearest(lambda n: cost(_of_family(given, family, n * unit)), wanted, smallest, LARGEST // unit)
    found = _of_family(given, family, size)
    if not wanted / 2 <= cost(found) <= wanted * 2:
        raise ConfigError(f"no hidden_size of family '{family}' costs {wanted:,.0f} {by}: {size} is nearest, with "
                          f"{cost(found):,.0f}", hint="a larger model to match, or fewer layers or heads")  # fmt: skip
    return found


def _nearest(cost: Callable[[int], float], wanted: float, smallest: int, largest: int) -> int:
    """The n from `smallest` to `largest` whose cost, which grows with n, is nearest."""
    low = high = smallest
    while high < largest and cost(high) < wanted:
        low, high = high, min(2 * high, largest)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle) < wanted else (low, middle)
    return min((low, high), key=lambda n: abs(cost(n) - wanted))


def _of_family(config: ModelConfig, family: str, hidden_size: int) -> ModelConfig:
    kept = {name: value for name in config.model_fields_set
            if name in families.FIELDS[family] or name not in families.OPTIONS
            for value in [getattr(config, name)]}  # fmt: skip
    return build(type(config), kept | {"family": family, "hidden_size": hidden_size}, place=f"match: {family}")


def _unit(config: ModelConfig, family: str) -> int:
    """What divides every hidden size that the family can have."""
    known = families.FIELDS[family]
    heads = config.heads if "heads" in known else 1
    attention = config.attention_heads if "attention_heads" in known else 1
    if family == "xlstm":
        return 2 * heads
    return lcm(heads, 2 * attention if family == "transformer" else attention)


def _built(config: ModelConfig, input_size: int, *, causal: bool) -> Encoder:
    with torch.device("meta"):
        return build_encoder(config, input_size, causal=causal)


def _state_flops(encoder: Encoder, length: int) -> float:
    if isinstance(encoder, RecurrentEncoder):
        return cell_flops(encoder.recurrent)
    assert isinstance(encoder, Family)
    return encoder.state_flops(length)
