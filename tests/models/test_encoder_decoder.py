"""The encoder-decoder: its two ways to run are one, padding is nothing, its loss is torch's, every cell fits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gatesweep.cells.names import MATRIX_CELLS
from gatesweep.errors import ConfigError
from gatesweep.models.beam import Search, beam_search, greedy
from gatesweep.models.encoder_decoder import EncoderDecoder
from gatesweep.models.encoder_decoder_config import EncoderDecoderConfig

V, BEGIN, END = 11, 2, 3
LENGTHS = torch.tensor([6, 3, 5])


@pytest.fixture(autouse=True)
def _in_float64() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def made(**options: Any) -> EncoderDecoder:
    torch.manual_seed(1)
    return EncoderDecoder(EncoderDecoderConfig(**{"hidden_size": 5, "embedding_size": 4, **options}), V, V)


def batch() -> tuple[Tensor, Tensor]:
    """Sources [3, 6], padded with 0, and what the decoder reads, [3, 7]."""
    generator = torch.Generator().manual_seed(2)
    source_BT = torch.randint(4, V, (3, 6), generator=generator)
    source_BT[torch.arange(6) >= LENGTHS.unsqueeze(1)] = 0
    given_BU = torch.randint(4, V, (3, 7), generator=generator)
    given_BU[:, 0] = BEGIN
    return source_BT, given_BU


def stepped(network: EncoderDecoder, source_BT: Tensor, given_BU: Tensor) -> tuple[Tensor, Tensor]:
    """Readouts and attention, one symbol after another."""
    state, readouts, weights = network.encode(source_BT, LENGTHS), [], []
    for tokens_B in given_BU.unbind(1):
        readout_B1E, a_B1T, state = network.decoder(network.target(tokens_B.unsqueeze(1)), state)
        readouts.append(readout_B1E)
        weights.append(a_B1T)
    return torch.cat(readouts, 1), torch.cat(weights, 1)


@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("attention", ["bahdanau", "luong_general", "luong_dot", "none"])
def test_step_by_step_gives_what_all_steps_at_once_give(attention: str, layers: int, feeding: bool) -> None:
    network = made(attention=attention, decoder_layers=layers, input_feeding=feeding)
    source_BT, given_BU = batch()
    whole, steps = network(source_BT, LENGTHS, given_BU), stepped(network, source_BT, given_BU)
    torch.testing.assert_close(whole[0], steps[0])
    torch.testing.assert_close(whole[1], steps[1])


@pytest.mark.parametrize("cell", ["vanilla", "peephole", "cifg", "gru", "rnn", "slstm", "mlstm", "mingru", "minlstm"])
def test_every_kind_of_cell_encodes_and_decodes(cell: str) -> None:
    network = made(cell=cell, decoder_layers=2)
    source_BT, given_BU = batch()
    whole, steps = network(source_BT, LENGTHS, given_BU)[0], stepped(network, source_BT, given_BU)[0]
    torch.testing.assert_close(whole, steps)
    (whole**2).sum().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert idle == {"bias_V"}, "the output's bias is used by the loss alone, every other parameter by the readout"
    assert (cell in MATRIX_CELLS) == (not network.decoder.bridge.maps)


def test_the_decoder_by_the_equations_written_out_with_torch_s_lstm() -> None:
    network = made(decoder_layers=2, decoder_size=6)
    source_BT, given_BU = batch()
    decoder, encoded = network.decoder, network.encoder(network.source(source_BT), LENGTHS)
    e_BUE = network.target.weight_VE[given_BU] * 2.0  # √4
    lower, upper = nn.LSTM(4, 6, batch_first=True), nn.LSTM(6 + 10, 6, batch_first=True)
    lower.load_state_dict(decoder.lower.state_dict())
    upper.load_state_dict(decoder.upper.state_dict())

    def begun(bridge: Any) -> tuple[Tensor, Tensor]:
        h_BH, c_BH = (bridge.maps[name](encoded.summary_BO) for name in "hc")
        return h_BH.tanh().unsqueeze(0), c_BH.unsqueeze(0)

    h_BUH, _ = lower(e_BUE, begun(decoder.bridge))
    scores_BUT = h_BUH @ (encoded.outputs_BTO @ decoder.attention.of_value.weight.T).transpose(1, 2)
    hidden_B1T = (torch.arange(6) >= LENGTHS.unsqueeze(1)).unsqueeze(1)
    a_BUT = scores_BUT.masked_fill(hidden_B1T, -torch.inf).softmax(2)
    context_BUO = a_BUT @ encoded.outputs_BTO
    g_BUH, _ = upper(torch.cat([h_BUH, context_BUO], 2), begun(decoder.bridge_up))
    expected_BUE = torch.tanh(decoder.readout(torch.cat([g_BUH, context_BUO], 2)))
    torch.testing.assert_close(network(source_BT, LENGTHS, given_BU)[0], expected_BUE)


@pytest.mark.parametrize("attention", ["bahdanau", "luong_general", "luong_dot", "none"])
def test_more_padding_of_the_source_changes_nothing(attention: str) -> None:
    network = made(attention=attention)
    source_BT, given_BU = batch()
    wider_BT = torch.cat([source_BT, torch.full((3, 4), 7)], dim=1)
    wider_BT[1, 3:6] = 9
    torch.testing.assert_close(network(wider_BT, LENGTHS, given_BU)[0], network(source_BT, LENGTHS, given_BU)[0])


def test_input_feeding_makes_a_step_see_what_was_put_out_before() -> None:
    source_BT, given_BU = batch()
    network = made(input_feeding=True)
    state = network.encode(source_BT, LENGTHS)
    other = state._replace(readout_BE=torch.ones_like(state.readout_BE))
    first, second = (network.decoder(network.target(given_BU[:, :1]), each)[0] for each in (state, other))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_the_loss_with_label_smoothing_is_torch_s(smoothing: float) -> None:
    network = made()
    with torch.no_grad():
        network.bias_V.normal_()
    source_BT, given_BU = batch()
    wanted_BU = given_BU.roll(-1, 1)
    wanted_BU[1, 4:] = 0
    readout_BUE, _ = network(source_BT, LENGTHS, given_BU)
    ours = network.loss(readout_BUE, wanted_BU, padding=0, smoothing=smoothing)
    logits = readout_BUE @ network.target.weight_VE.T + network.bias_V
    theirs = functional.cross_entropy(logits.flatten(0, 1), wanted_BU.flatten(), ignore_index=0,
                                      label_smoothing=smoothing)  # fmt: skip
    torch.testing.assert_close(ours, theirs)
    mine, yours = (torch.autograd.grad(loss, network.target.weight_VE, retain_graph=True)[0] for loss in (ours, theirs))
    torch.testing.assert_close(mine, yours)


def test_with_every_symbol_true_scheduled_sampling_is_teacher_forcing() -> None:
    network, (source_BT, given_BU) = made(decoder_layers=2), batch()
    torch.testing.assert_close(network.sampled(source_BT, LENGTHS, given_BU, 1.0),
                               network(source_BT, LENGTHS, given_BU)[0])  # fmt: skip


def test_with_no_symbol_true_scheduled_sampling_reads_what_greedy_search_writes() -> None:
    network, (source_BT, given_BU) = made(), batch()
    readout_BUE = network.sampled(source_BT, LENGTHS, given_BU, 0.0)
    own_BU = network.logits(readout_BUE).argmax(2)
    never = Search(BEGIN, -1, given_BU.shape[1])
    assert own_BU.tolist() == [each.ids for each in greedy(network, network.encode(source_BT, LENGTHS), 3, never)]


@pytest.mark.parametrize("options", [{}, {"decoder_layers": 2, "input_feeding": True}])
@torch.no_grad()
def test_beam_search_scores_a_sentence_as_the_teacher_forced_model_does(options: dict[str, Any]) -> None:
    network, (source_BT, _) = made(**options).eval(), batch()
    network.target.weight_VE.mul_(4)
    state = network.encode(source_BT, LENGTHS)
    for b, found in enumerate(beam_search(network, state, 3, Search(BEGIN, END, 8, 4, 1.0))):
        wanted = found.ids if len(found.ids) == 8 else [*found.ids, END]
        given_1U = torch.tensor([[BEGIN, *wanted[:-1]]])
        readout_1UE, _ = network(source_BT[b : b + 1], LENGTHS[b : b + 1], given_1U)
        log_probs_UV = network.logits(readout_1UE[0]).log_softmax(1)
        total = sum(float(log_probs_UV[u, token]) for u, token in enumerate(wanted))
        assert found.score == pytest.approx(total / ((5 + len(wanted)) / 6), rel=1e-9)


def test_tied_weights_are_one_tensor() -> None:
    every, target, none = (made(tie=tie) for tie in ("all", "target", "none"))
    assert every.source.weight_VE is every.target.weight_VE is every.weight_VE
    assert target.weight_VE is target.target.weight_VE
    assert target.source.weight_VE is not target.target.weight_VE
    assert none.weight_VE is not none.target.weight_VE


def test_a_dropped_word_is_read_as_zeros_and_only_in_training() -> None:
    network, ids_BT = made(word_dropout=0.5), torch.randint(4, V, (40, 25))
    usual = network.eval().source(ids_BT)
    dropped = network.train().source(ids_BT)
    gone_BT = (dropped == 0).all(2)
    torch.testing.assert_close(dropped[~gone_BT], usual[~gone_BT] * 2)
    assert 0.45 < gone_BT.double().mean() < 0.55


def test_a_width_of_the_decoder_beside_a_projection_is_refused() -> None:
    from gatesweep.config.loader import build

    with pytest.raises(ConfigError, match="do not go together"):
        build(EncoderDecoderConfig, {"decoder_size": 8, "projection_size": 4}, place="model")
