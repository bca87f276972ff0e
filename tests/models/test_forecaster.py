"""The encoder, the head and the forecaster."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gatesweep.cells.names import MATRIX_CELLS, NAMES
from gatesweep.errors import ShapeError
from gatesweep.models.config import ModelConfig
from gatesweep.models.forecaster import Forecaster
from gatesweep.models.heads import ForecastHead
from gatesweep.models.recurrent import RecurrentEncoder


def test_the_summary_is_torchs_last_hidden_state_of_both_directions() -> None:
    torch.manual_seed(0)
    encoder = RecurrentEncoder(ModelConfig(hidden_size=4, layers=2, bidirectional=True), input_size=3)
    theirs = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True)
    theirs.load_state_dict(encoder.recurrent.state_dict())
    x = torch.randn(2, 6, 3)
    outputs, summary, _ = encoder(x)
    expected, (h, _) = theirs(x)
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(summary, torch.cat([h[2], h[3]], dim=1))


def test_the_summary_of_a_padded_sequence_is_that_of_the_sequence_alone() -> None:
    torch.manual_seed(0)
    encoder = RecurrentEncoder(ModelConfig(cell="coupled", hidden_size=4, bidirectional=True), input_size=3)
    x = torch.randn(2, 6, 3)
    summary = encoder(x, lengths=[4, 6]).summary_BO
    torch.testing.assert_close(summary[:1], encoder(x[:1, :4]).summary_BO)


def test_the_summary_is_what_the_last_layer_gives_residual_and_all() -> None:
    torch.manual_seed(0)
    config = ModelConfig(cell="gru", hidden_size=4, layers=2, bidirectional=True, residual=True)
    outputs, summary, _ = RecurrentEncoder(config, input_size=3)(torch.randn(2, 6, 3), lengths=[4, 6])
    last = torch.stack([outputs[0, 3, :4], outputs[1, 5, :4]])
    assert torch.equal(summary, torch.cat([last, outputs[:, 0, 4:]], dim=1))


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (2, True)])
def test_a_configuration_becomes_the_network_it_describes(cell: str, layers: int, bidirectional: bool) -> None:
    config = ModelConfig(cell=cell, hidden_size=6, layers=layers, bidirectional=bidirectional, dropout=0.25)
    recurrent = RecurrentEncoder(config, input_size=3).recurrent
    assert (recurrent.config.cell, recurrent.hidden_size, recurrent.num_layers, recurrent.bidirectional,
            recurrent.dropout) == (cell, 6, layers, bidirectional, 0.25)  # fmt: skip


def test_dropout_acts_on_a_single_layer_in_training_and_not_in_evaluation() -> None:
    torch.manual_seed(0)
    model = Forecaster(ModelConfig(hidden_size=8, dropout=0.5), past_size=2, future_size=1, horizon=3)
    past, future = torch.randn(4, 5, 2), torch.randn(4, 3, 1)
    assert not torch.equal(model(past, future), model(past, future))
    model.eval()
    assert torch.equal(model(past, future), model(past, future))


def test_each_step_sees_its_own_known_future_and_no_other() -> None:
    torch.manual_seed(0)
    head = ForecastHead(summary_size=5, future_size=2, horizon=4)
    summary, future = torch.randn(3, 5), torch.randn(3, 4, 2)
    changed = future.clone()
    changed[:, 2] += 1.0
    differs = (head(summary, future) != head(summary, changed)).any(dim=(0, 2))
    assert differs.tolist() == [False, False, True, False]


def test_every_step_looks_at_the_past_in_its_own_way() -> None:
    torch.manual_seed(0)
    head = ForecastHead(summary_size=5, future_size=1, horizon=4)
    forecast = head(torch.randn(1, 5), torch.zeros(1, 4, 1)).flatten()
    assert len(set(forecast.tolist())) == 4


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS])
def test_every_weight_of_a_forecaster_learns(cell: str) -> None:
    torch.manual_seed(0)
    model = Forecaster(ModelConfig(cell=cell, hidden_size=4, layers=2, bidirectional=True), 3, 2, horizon=5)
    model(torch.randn(2, 7, 3), torch.randn(2, 5, 2)).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_one_target_gives_one_number_a_step_and_several_give_several() -> None:
    past, future = torch.randn(2, 7, 3), torch.zeros(2, 5, 0)
    assert Forecaster(ModelConfig(), 3, 0, horizon=5)(past, future).shape == (2, 5)
    assert Forecaster(ModelConfig(), 3, 0, horizon=5, targets=2)(past, future).shape == (2, 5, 2)


@pytest.mark.parametrize("shape", [(2, 4, 1), (2, 5, 2), (3, 5, 1), (2, 5)])
def test_a_known_future_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    model = Forecaster(ModelConfig(hidden_size=4), past_size=3, future_size=1, horizon=5)
    with pytest.raises(ShapeError, match=r"expected \[2, 5, 1\]"):
        model(torch.randn(2, 7, 3), torch.randn(shape))


def test_a_past_of_no_steps_is_refused() -> None:
    model = Forecaster(ModelConfig(hidden_size=4), past_size=3, future_size=1, horizon=5)
    with pytest.raises(ShapeError, match="empty sequence"):
        model(torch.randn(2, 0, 3), torch.randn(2, 5, 1))


@pytest.mark.parametrize("cell", [*NAMES, *MATRIX_CELLS])
def test_a_forecaster_learns_to_continue_a_wave_better_than_repeating_it_with_noise(cell: str) -> None:
    """A sine in noise: the best forecast errs by the noise, repeating the last period by √2 times that."""
    torch.manual_seed(0)
    t_N = torch.arange(3000)
    wave_N = torch.sin(t_N * torch.pi / 6) + 0.5 * torch.randn(3000)
    windows_N = torch.stack([wave_N[s : s + 30] for s in range(0, 2960, 2)])
    past, truth = windows_N[:, :24, None], windows_N[:, 24:]
    # mlstm's keys see one step alone, and each head forgets at one rate: it takes several, and a layer below
    options = {"heads": 8, "layers": 2} if cell == "mlstm" else {}
    model = Forecaster(ModelConfig(cell=cell, hidden_size=16, **options), past_size=1, future_size=0, horizon=6)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    train = torch.arange(1200)
    for _ in range(4):
        for batch in train[torch.randperm(1200)].split(32):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(past[batch], past.new_zeros(len(batch), 6, 0)), truth[batch]).backward()
            optimizer.step()
    with torch.no_grad():
        error = (model(past[1240:], past.new_zeros(240, 6, 0)) - truth[1240:]).abs().mean()
    naive = (past[1240:, 12:18, 0] - truth[1240:]).abs().mean()
    assert error < 0.9 * naive
