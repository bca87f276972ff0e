"""Trainings: resumed bit for bit, tied weights one matrix, layers of their own sizes, better than the unigram."""

import contextlib
from pathlib import Path

import pytest
import torch
from sizes import counts_what_it_trains

import gatesweep
from gatesweep.runs.build import prepare
from gatesweep.tasks.language_modeling.config import LanguageModel
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit

AWD = {
    "data": {"variable_bptt": True},
    "model": {"last_size": 6, "weight_drop": 0.3, "embedding_dropout": 0.1, "input_dropout": 0.2,
              "hidden_dropout": 0.2, "output_dropout": 0.2, "ar": 2.0, "tar": 1.0},
    "optimizer": {"lr": 3.0, "average": "triggered", "average_patience": 0},
}  # fmt: skip


class Enough(Exception):
    """Ends a training by force."""


def _train(config, folder: Path, *, stop: int | None = None, resume: Path | None = None, seen=()):
    task, recipe = prepare(config)
    reports = list(seen)

    def on_epoch(report):
        reports.append(report)
        if report.epoch == stop:
            raise Enough

    with contextlib.suppress(Enough):
        fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume, seen=tuple(seen))
    return task, reports


def _numbers(reports):
    return [{key: value for key, value in r.metrics.items() if not key.startswith("time/")} for r in reports]


@pytest.mark.parametrize("cut", [1, 3, 5])
@pytest.mark.parametrize("changes", [{}, AWD], ids=["plain", "awd"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(config_of, tmp_path: Path, changes, cut: int):
    config = config_of(**changes, trainer={"max_epochs": 6})
    task, whole = _train(config, tmp_path / "whole")
    _, first = _train(config, tmp_path / "cut", stop=cut)
    torch.manual_seed(99)
    again, rest = _train(config, tmp_path / "cut", resume=first[-1].checkpoint, seen=first)
    assert _numbers(rest) == _numbers(whole)
    for was, now in zip(task.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(was, now)


def test_the_resumed_trainings_above_do_average(config_of, tmp_path: Path):
    _, reports = _train(config_of(**AWD, trainer={"max_epochs": 6}), tmp_path)
    counts = [torch.load(state_file(r.checkpoint), weights_only=True)["averaging"]["count"] for r in reports[-2:]]
    assert counts[0] > 0
    assert counts[1] > counts[0]


def test_tied_weights_are_one_matrix_in_training_too(config_of, tmp_path: Path):
    task, _ = _train(config_of(trainer={"max_epochs": 1}), tmp_path)
    network = task.module.network
    assert network.decoder.weight is network.embedding.weight
    untied = prepare(config_of(model={"tied": False}))[0].module.network
    words = len(task.corpus.vocabulary)
    assert sum(p.numel() for p in untied.parameters()) == sum(p.numel() for p in network.parameters()) + words * 8


def test_the_gradient_of_a_tied_matrix_is_the_sum_of_both_uses(config_of):
    task, _ = prepare(config_of(model={"dropout": 0.0}))
    network, window = task.module.network, next(iter(task.loader("val")))
    matrix = network.embedding.weight
    tied = torch.autograd.grad(network.loss(network(window.ids_ST).outputs_BTO, window.targets_ST), matrix)[0]
    apart = matrix.detach().clone().requires_grad_()
    outputs = network(window.ids_ST).outputs_BTO
    logits = torch.nn.functional.linear(outputs.flatten(0, 1), apart, network.decoder.bias)
    loss = torch.nn.functional.cross_entropy(logits, window.targets_ST.flatten())
    above, below = torch.autograd.grad(loss, [apart, matrix])
    torch.testing.assert_close(tied, above + below, rtol=1e-4, atol=1e-7)


def test_widths_that_differ_are_mapped_where_weights_are_tied(config_of):
    network = prepare(config_of(model={"embedding_size": 5, "last_size": 6}))[0].module.network
    assert [encoder.output_size for encoder in network.encoders] == [8, 6]
    assert network.map.weight.shape == (5, 6)
    assert network.decoder.weight.shape[1] == 5


@pytest.mark.parametrize("locked", [True, False])
def test_dropout_keeps_one_mask_a_window_where_it_is_locked(config_of, locked: bool):
    network = prepare(config_of(model={"input_dropout": 0.5, "locked": locked}))[0].module.network.train()
    x = network.input_dropout(torch.ones(3, 40, 8))
    same = (x == x[:, :1]).all(dim=1)
    assert bool(same.all()) is locked
    assert set(x.unique().tolist()) == {0.0, 2.0}
    assert abs(float(x.detach().mean()) - 1) < 0.5


def test_a_word_s_vector_is_dropped_at_all_its_places(config_of):
    network = prepare(config_of(model={"embedding_dropout": 0.5}))[0].module.network.train()
    x = network._embedded(torch.arange(12).repeat(3, 2)).detach()
    gone = (x == 0).all(dim=2)
    assert torch.equal(gone, gone[:1, :12].repeat(3, 2))
    assert 0 < gone[0, :12].sum() < 12


def test_a_start_range_is_every_parameter_s(config_of):
    network = prepare(config_of(model={"init_range": 0.02}))[0].module.network
    sizes = [float(parameter.detach().abs().max()) for parameter in network.parameters()]
    assert max(sizes) <= 0.02
    assert min(sizes) > 0.01


def test_a_run_beats_the_unigram_and_shows_where_its_loss_comes_from(config_of, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("GATESWEEP_HOME", str(tmp_path / "home"))
    config = config_of(optimizer={"name": "adamw", "lr": 0.02}, trainer={"max_epochs": 3})
    result = gatesweep.run(config)
    assert result.metrics["test/ppl"] < 0.8 * result.baseline["metrics"]["test/ppl"]
    evaluated = gatesweep.evaluate(result.run_id, split="test")
    assert evaluated.metrics["test/ppl"] == pytest.approx(result.metrics["test/ppl"], rel=1e-6)


def test_predictions_are_the_metric_token_by_token(config_of, folder: Path):
    task, _ = prepare(config_of())
    from gatesweep.train.score import score

    table, found = task.predictions("test"), score(task, "test")
    assert table["loss"].mean() == pytest.approx(found["test/loss"], rel=1e-6)
    text = [[*line.split(), "<eos>"] for line in (folder / "ptb.test.txt").read_text().splitlines()]
    assert table["token"].tolist() == [word for line in text for word in line]
    assert table["position"].tolist() == [place for line in text for place in range(1, len(line) + 1)]
    assert table["line"].tolist() == [number for number, line in enumerate(text, 1) for _ in line]
    assert table["unigram"].mean() == pytest.approx(task.baseline("test").metrics["loss"])
    assert set(task.figures("test")) == {"loss_by_frequency", "loss_by_position"}


@pytest.mark.parametrize("cell", ["peephole", "mlstm", "slstm", "rnn"])
def test_every_kind_of_cell_trains(config_of, tmp_path: Path, cell: str):
    _, reports = _train(config_of(model={"cell": cell, "layers": 1}, trainer={"max_epochs": 2}), tmp_path)
    assert reports[1].metrics["train/loss"] < reports[0].metrics["train/loss"]


def test_a_model_is_counted_without_being_made(config_of):
    config = config_of()
    others = LanguageModel(hidden_size=8, tied=False), LanguageModel(hidden_size=20, projection_size=8, layers=2)
    counts_what_it_trains(prepare(config)[0], config.model, *others)
