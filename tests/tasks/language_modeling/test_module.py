"""What the module computes, against the same written out with torch alone."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from gatesweep.runs.build import prepare
from gatesweep.tasks.language_modeling.module import build_network
from gatesweep.train.fit import fit
from gatesweep.train.score import score


def _ids(folder: Path, split: str, words: tuple[str, ...]) -> list[int]:
    text = (folder / f"ptb.{split}.txt").read_text()
    return [words.index(word) for line in text.splitlines() for word in [*line.split(), "<eos>"]]


@pytest.mark.parametrize("cell", ["vanilla", "gru", "mingru"])
def test_windows_with_the_state_carried_equal_one_long_pass(config_of, cell: str):
    task, _ = prepare(config_of(model={"cell": cell}))
    task.module.eval()
    loader = task.loader("val")
    ids = torch.cat([window.ids_ST for window in loader], dim=1)
    with torch.no_grad():
        whole = task.module(ids).outputs_BTO
        state, parts = None, []
        for window in loader:
            read = task.module(window.ids_ST, state)
            state = read.state
            parts.append(read.outputs_BTO)
    assert len(parts) > 3
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, rtol=1e-5, atol=1e-6)


def test_perplexity_is_exp_of_the_mean_loss_of_a_plain_loop_over_the_text(config_of, folder: Path):
    """One stream, word by word, through torch's softmax: every word of the file counts once, `<eos>` too."""
    task, _ = prepare(config_of(data={"eval_streams": 1}))
    found = score(task, "test")
    words = task.corpus.vocabulary.words
    ids = _ids(folder, "test", words)
    network, state, before, total, characters = task.module.network.eval(), None, words.index("<eos>"), 0.0, 0
    with torch.no_grad():
        for word in ids:
            read = network(torch.tensor([[before]]), state)
            state, before = read.state, word
            total -= float(torch.log_softmax(network.logits(read.outputs_BTO)[0, 0].double(), 0)[word])
            characters += 1 if words[word] == "<eos>" else len(words[word]) + 1
    assert found["test/loss"] == pytest.approx(total / len(ids), rel=1e-6)
    assert found["test/ppl"] == pytest.approx(math.exp(total / len(ids)), rel=1e-5)
    assert found["test/bpc"] == pytest.approx(total / math.log(2) / characters, rel=1e-6)


def test_training_equals_a_written_out_loop(config_of, tmp_path: Path):
    """Zaremba's protocol with torch.nn.LSTM: summed over time, averaged over streams, clipped, the state carried."""
    config = config_of(data={"loss": "sequence"}, model={"dropout": 0.0, "tied": False},
                       optimizer={"clip_norm": 0.25}, trainer={"max_epochs": 1})  # fmt: skip
    task, recipe = prepare(config)
    network = task.module.network
    lstm = torch.nn.LSTM(8, 8, 2, batch_first=True)
    lstm.load_state_dict(network.encoders[0].recurrent.state_dict())
    embedding, decoder = torch.nn.Embedding(len(task.corpus.vocabulary), 8), torch.nn.Linear(8, len(
        task.corpus.vocabulary))  # fmt: skip
    embedding.load_state_dict(network.embedding.state_dict())
    decoder.load_state_dict(network.decoder.state_dict())
    model = torch.nn.ModuleList([embedding, lstm, decoder])
    optimizer, state = torch.optim.SGD(model.parameters(), lr=1.0), None
    for window in task.data_module.train_dataloader():
        hidden, state = lstm(embedding(window.ids_ST), state)
        loss = functional.cross_entropy(decoder(hidden).flatten(0, 1), window.targets_ST.flatten(), reduction="sum")
        optimizer.zero_grad()
        (loss / len(window.ids_ST)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        state = tuple(part.detach() for part in state)
    fit(task, recipe, folder=tmp_path / "checkpoints", on_epoch=lambda report: None)
    torch.testing.assert_close(network.embedding.weight, embedding.weight, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(network.encoders[0].recurrent.weight_hh_l1, lstm.weight_hh_l1, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(network.decoder.bias, decoder.bias, rtol=1e-4, atol=1e-6)


def test_activation_penalties_are_merity_s(config_of):
    task, _ = prepare(config_of(model={"ar": 2.0, "tar": 3.0, "output_dropout": 0.5}))
    window = next(iter(task.data_module.train_dataloader()))
    task.module.train()
    torch.manual_seed(0)
    read = task.module(window.ids_ST)
    dropped, raw = read.outputs_BTO.detach().numpy(), read.raw_BTO.detach().numpy()
    expected = 2.0 * np.mean(dropped**2) + 3.0 * np.mean((raw[:, 1:] - raw[:, :-1]) ** 2)
    assert float(task.module._penalty(read).detach()) == pytest.approx(float(expected), rel=1e-5)
    assert (dropped == 0).mean() > 0.3


def test_a_short_window_moves_the_weights_less(config_of, tmp_path: Path):
    """With variable windows the step is lr times length / bptt; the schedule's rate is the same afterwards."""
    config = config_of(data={"variable_bptt": True}, model={"dropout": 0.0}, optimizer={"clip_norm": None},
                       trainer={"max_epochs": 1})  # fmt: skip
    task, recipe = prepare(config)
    loader = task.data_module.train_dataloader()
    network = build_network(config.model, len(task.corpus.vocabulary), config.seed)
    lengths, state = [], None
    for window in loader:
        lengths.append(window.ids_ST.shape[1])
        read = network(window.ids_ST, state)
        state = tuple(tuple(part.detach() for part in each) for each in read.state)
        network.zero_grad()
        network.loss(read.outputs_BTO, window.targets_ST).backward()
        with torch.no_grad():
            for parameter in network.parameters():
                parameter -= lengths[-1] / 7 * parameter.grad
    fit(task, recipe, folder=tmp_path / "checkpoints", on_epoch=lambda report: None)
    assert len(set(lengths)) > 3
    torch.testing.assert_close(task.module.network.embedding.weight, network.embedding.weight, rtol=1e-4, atol=1e-6)


def test_the_checkpoint_knows_the_words(config_of, tmp_path: Path):
    task, recipe = prepare(config_of(trainer={"max_epochs": 1}))
    result = fit(task, recipe, folder=tmp_path / "checkpoints", on_epoch=lambda report: None)
    saved = torch.load(result.best_checkpoint / "state.ckpt", weights_only=True)
    assert tuple(saved["vocabulary"]) == task.corpus.vocabulary.words
