"""Decoders of forecasts and what is taken out of a window: shapes of every family, and what each may see."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gatesweep.errors import ConfigError
from gatesweep.models.forecaster_config import ForecastModel
from gatesweep.models.forecasters import build_forecaster
from gatesweep.models.instance_norm import InstanceNorm

DECODERS = ("direct", "segments", "attention", "recursive")
FAMILIES = [{"cell": "vanilla"}, {"cell": "gru", "bidirectional": True}, {"cell": "mlstm"}, {"cell": "slstm"},
            {"family": "attention"}, {"family": "transformer"}, {"family": "tcn"}, {"family": "xlstm"},
            {"family": "memory"}]  # fmt: skip


def config(**values: Any) -> ForecastModel:
    return ForecastModel(**{"hidden_size": 8, "segment": 3, **values})


def inputs(B: int = 2, T: int = 12, F: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return torch.randn(B, T, 4, generator=generator), torch.randn(B, F, 2, generator=generator)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("family", FAMILIES, ids=lambda each: "-".join(map(str, each.values())))
def test_every_family_forecasts_with_every_decoder(decoder: str, family: dict[str, Any]) -> None:
    network = build_forecaster(config(decoder=decoder, **family), 4, 2, 5, 1)
    past, future = inputs()
    forecast = network(past, future)
    assert forecast.shape == (2, 5)
    forecast.sum().backward()
    assert all(each.grad is not None for name, each in network.encoder.named_parameters() if "weight" in name)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(("output", "says"), [("point", 1), ("quantiles", 5), ("gaussian", 2), ("student_t", 3)])
def test_several_numbers_are_said_of_every_value(decoder: str, output: str, says: int) -> None:
    network = build_forecaster(config(decoder=decoder, output=output), 4, 2, 5, 2)
    assert network(*inputs()).shape == (2, 5, 2 * says)


@pytest.mark.parametrize("decoder", ["attention", "recursive"])
def test_a_step_sees_no_known_future_after_it(decoder: str) -> None:
    network = build_forecaster(config(decoder=decoder), 4, 2, 5, 1)
    past, future = inputs()
    other = future.clone()
    other[:, 3:] += 1
    one, two = network(past, future), network(past, other)
    assert torch.equal(one[:, :3], two[:, :3])
    assert not torch.equal(one[:, 3:], two[:, 3:])


def test_teaching_by_its_own_forecasts_is_feeding_them_back() -> None:
    network = build_forecaster(config(decoder="recursive"), 4, 2, 5, 1)
    past, future = inputs()
    free = network(past, future)
    torch.testing.assert_close(network(past, future, free.unsqueeze(2)), free)


def test_all_taught_steps_in_one_call_equal_the_loop_over_them() -> None:
    taught, looped = (build_forecaster(config(decoder="recursive", teacher_forcing=each), 4, 2, 5, 1)
                      for each in (1.0, 0.999999999))
    looped.load_state_dict(taught.state_dict())
    past, future = inputs()
    truth = torch.randn(2, 5, 1)
    torch.testing.assert_close(looped(past, future, truth), taught(past, future, truth))


def test_segments_equal_the_equations_written_step_by_step() -> None:
    network = build_forecaster(config(decoder="segments", cell="gru"), 4, 2, 5, 1)
    past, future = inputs(B=1)
    pieces = [torch.relu(network.read(past[0, 3 * i : 3 * i + 3].flatten())) for i in range(4)]
    summary = network.encoder(torch.stack(pieces).unsqueeze(0)).summary_BO
    padded = torch.cat([future[0], torch.zeros(1, 2)])
    expected = []
    for j in range(2):
        query = network.position_JH[j] + network.known(padded[3 * j : 3 * j + 3].flatten())
        step, _ = network.decoder(query.reshape(1, 1, -1), network.bridge(summary))
        expected.append(network.write(step)[0, 0])
    torch.testing.assert_close(network(past, future)[0], torch.cat(expected)[:5])


def test_pieces_that_do_not_divide_the_past_are_refused() -> None:
    network = build_forecaster(config(decoder="segments", segment=5), 4, 2, 5, 1)
    with pytest.raises(ConfigError, match=r"pieces of 5 steps do not divide data.lookback 12"):
        network(*inputs())


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(["none", "last", "mean", "revin"]), seed=st.integers(0, 99))
def test_what_is_taken_out_of_a_window_is_given_back(name: Any, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    norm, past = InstanceNorm(name, 2).double(), 100 * torch.randn(3, 7, 4, generator=generator).double()
    if name == "revin":
        with torch.no_grad():
            norm.gain_Y.copy_(torch.tensor([0.5, 2.0]))
            norm.bias_Y.copy_(torch.tensor([1.0, -3.0]))
    inner, level = norm(past)
    back = norm.affine(level)
    restored = inner[:, :, :2] * back.scale_BY.unsqueeze(1) + back.shift_BY.unsqueeze(1)
    torch.testing.assert_close(restored, past[:, :, :2], rtol=1e-6, atol=1e-6)
    assert torch.equal(inner[:, :, 2:], past[:, :, 2:]), "what is no target stays"


@pytest.mark.parametrize("name", ["last", "mean", "revin"])
def test_a_window_on_another_level_looks_the_same_to_the_network(name: Any) -> None:
    norm, past = InstanceNorm(name), torch.randn(2, 9, 1).double()
    torch.testing.assert_close(norm(past)[0], norm(past + 1000)[0])
    if name == "revin":
        torch.testing.assert_close(norm(past)[0], norm(7 * past)[0], rtol=1e-3, atol=1e-4)
        inner = norm(past)[0].squeeze(2)
        torch.testing.assert_close(inner.std(1, correction=0), torch.ones(2).double(), rtol=1e-3, atol=1e-3)
