"""Parameters by depth: rates, schedules over groups."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from gatesweep.cells import Recurrent
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig
from gatesweep.train.groups import depth_groups, with_rates
from gatesweep.train.optim import factory, optimizer


class Layered(nn.Module):
    """Embedding, two recurrent layers, a head, as tasks name them."""

    def __init__(self) -> None:
        super().__init__()
        layers = Recurrent(input_size=3, hidden_size=2, num_layers=2, bidirectional=True)
        parts = {"embedding": nn.Embedding(5, 3), "encoder": layers, "head": nn.Linear(4, 2)}
        self.network = nn.ModuleDict(parts)


def test_groups_are_the_parts_and_layers_from_input_to_output() -> None:
    module = Layered()
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    found = [{names[id(parameter)] for parameter in group} for group in depth_groups(module)]
    assert len(found) == 4
    assert found[0] == {"network.embedding.weight"}
    assert found[3] == {"network.head.weight", "network.head.bias"}
    assert all("_l0" in name for name in found[1])
    assert all("_l1" in name for name in found[2])
    assert sum(map(len, found)) == len(names)


def test_every_layer_has_its_rate_and_frozen_ones_none() -> None:
    module = Layered()
    assert [group["lr"] for group in with_rates(module, 0.1, 0.5)] == pytest.approx([0.0125, 0.025, 0.05, 0.1])
    module.network["embedding"].weight.requires_grad_(False)
    assert [group["lr"] for group in with_rates(module, 0.1, 0.5)] == pytest.approx([0.025, 0.05, 0.1])


def test_without_layer_decay_there_is_one_group_as_ever() -> None:
    assert len(optimizer(OptimizerConfig(), Layered()).param_groups) == 1
    assert len(optimizer(OptimizerConfig(layer_decay=0.5), Layered()).param_groups) == 4


@pytest.mark.parametrize("name", ["constant", "cosine", "step", "one_cycle", "warmup"])
def test_schedules_keep_the_ratio_of_the_groups_rates(name: str) -> None:
    schedule = ScheduleConfig(name=name, final_factor=0.1, step_epochs=1, warmup_steps=3 if name == "warmup" else 0)
    made = factory(OptimizerConfig(lr=0.1, layer_decay=0.5), schedule, TrainerConfig(max_epochs=4))(Layered(), 20)
    rule = made["optimizer"]
    for _ in range(18):
        rates = [group["lr"] for group in rule.param_groups]
        assert [rate / rates[-1] for rate in rates] == pytest.approx([0.125, 0.25, 0.5, 1.0])
        rule.step()
        if "lr_scheduler" in made:
            made["lr_scheduler"]["scheduler"].step()


def test_the_cosine_of_groups_is_that_of_one_group() -> None:
    def rates(decay: float) -> list[float]:
        torch.manual_seed(0)
        made = factory(OptimizerConfig(lr=0.1, layer_decay=decay), ScheduleConfig(name="cosine", final_factor=0.2),
                       TrainerConfig())(Layered(), 10)  # fmt: skip
        found = []
        for _ in range(11):
            found.append(made["optimizer"].param_groups[-1]["lr"])
            made["optimizer"].step()
            made["lr_scheduler"]["scheduler"].step()
        return found

    assert rates(0.5) == pytest.approx(rates(1.0))
    assert rates(1.0)[10] == pytest.approx(0.02)
    assert math.isclose(rates(0.5)[5], 0.06)
