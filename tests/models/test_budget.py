"""What models cost, against what torch counts, and models of equal price."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from gatesweep.errors import ConfigError
from gatesweep.models.budget import flops_per_step, match, parameters
from gatesweep.models.config import ModelConfig
from gatesweep.models.encoders import build_encoder
from gatesweep.models.families import FAMILIES

T, B, D = 6, 2, 3
BASE: dict[str, dict[str, Any]] = {
    "recurrent": {"layers": 2, "backend": "reference"},
    "attention": {"layers": 2, "backend": "reference"},
    "transformer": {"layers": 2},
    "tcn": {"layers": 2},
    "xlstm": {"layers": 2, "backend": "reference"},
    "memory": {"backend": "reference", "memory_heads": 2, "memory_slots": 7, "memory_width": 5},
}


def of(family: str, **options: Any) -> ModelConfig:
    return ModelConfig(family=family, **({"hidden_size": 16} | BASE[family] | options))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_parameters_are_those_of_the_encoder_that_is_built(family: str, bidirectional: bool) -> None:
    config = of(family, bidirectional=bidirectional and family not in ("transformer", "tcn"))
    assert parameters(config, D) == sum(p.numel() for p in build_encoder(config, D).parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_operations_are_those_that_torch_counts_and_the_ones_on_memories(family: str) -> None:
    """torch counts products of matrices; what is added to, faded and erased in a memory comes on top."""
    config = of(family)
    encoder = build_encoder(config, D).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        encoder(torch.randn(B, T, D))
    units = 2 * config.hidden_size
    extra = {"xlstm": 3 * units**2 / config.heads, "memory": 3 * 2 * 7 * 5}.get(family, 0)
    assert flops_per_step(config, D, T) * T * B == counter.get_total_flops() + extra * T * B


@pytest.mark.parametrize("by", ["parameters", "flops"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_matched_size_is_the_nearest_there_is(family: str, by: str) -> None:
    config = ModelConfig(hidden_size=64, cell="gru", weight_drop=0.2, dropout=0.1)
    found = match(config, family, by=by, input_size=D, length=T)  # type: ignore[arg-type]

    def distance(size: int) -> float:
        each = found.model_copy(update={"hidden_size": size})
        price = (lambda c: parameters(c, D)) if by == "parameters" else (lambda c: flops_per_step(c, D, T))
        return abs(price(each) - price(config))

    unit = {"transformer": 8, "attention": 4, "xlstm": 2}.get(family, 1)
    assert found.family == family
    assert found.dropout == 0.1
    assert distance(found.hidden_size) == min(distance(found.hidden_size + k * unit) for k in range(-3, 4))


def test_fields_that_the_other_family_has_are_kept_and_others_are_its_defaults() -> None:
    config = ModelConfig(cell="gru", layers=3, weight_drop=0.2, zoneout_h=0.1, heads=2)
    assert match(config, "tcn", "parameters", input_size=D).layers == 3
    memory = match(config, "memory", "parameters", input_size=D)
    assert (memory.cell, memory.weight_drop, memory.zoneout_h, memory.heads) == ("gru", 0.0, 0.1, 2)


def test_a_tasks_own_fields_are_kept() -> None:
    class Section(ModelConfig):
        pooling: str = "last"

    found = match(Section(pooling="mean"), "transformer", "parameters", input_size=D)
    assert isinstance(found, Section)
    assert found.pooling == "mean"


def test_a_recurrent_model_matched_with_itself_is_itself() -> None:
    config = ModelConfig(hidden_size=77, projection_size=20, layers=2)
    assert match(config, "recurrent", "flops", input_size=D) == config


def test_a_price_that_no_size_comes_near_is_refused() -> None:
    with pytest.raises(ConfigError, match="no hidden_size of family 'transformer' costs"):
        match(ModelConfig(hidden_size=2), "transformer", "parameters", input_size=D)
    with pytest.raises(ConfigError, match="unknown family 'lstm'"):
        match(ModelConfig(), "lstm", "parameters", input_size=D)


def test_attention_costs_more_the_longer_the_sequence_and_convolution_does_not() -> None:
    assert flops_per_step(of("transformer"), D, 200) > flops_per_step(of("transformer"), D, 20)
    assert flops_per_step(of("transformer"), D, 200, causal=True) < flops_per_step(of("transformer"), D, 200)
    assert flops_per_step(of("tcn"), D, 200) == flops_per_step(of("tcn"), D, 20)


def test_a_model_larger_than_memory_is_counted_without_being_built() -> None:
    assert parameters(ModelConfig(hidden_size=65536, layers=8), D) > 2.5e11


def test_fields_given_for_the_other_family_stand_and_its_size_makes_up_for_them() -> None:
    config = ModelConfig(hidden_size=64, layers=1)
    shallow = match(config, "tcn", "parameters", input_size=D)
    deep = match(config, "tcn", "parameters", input_size=D, shape={"layers": 5, "kernel_size": 5})
    assert (deep.layers, deep.kernel_size, config.layers) == (5, 5, 1)
    assert deep.hidden_size < shallow.hidden_size
    assert abs(parameters(deep, D) / parameters(config, D) - 1) < 0.1
