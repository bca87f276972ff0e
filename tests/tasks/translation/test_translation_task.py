"""Translation as the rest of the house sees it: trained, resumed, scored, restored, drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import torch
from matplotlib.figure import Figure
from sizes import counts_what_it_trains

from gatesweep.errors import ConfigError
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.runs.scoring import score_best
from gatesweep.tasks.registry import load_task, metric_names, model_section
from gatesweep.tasks.translation.config import TranslationModel
from gatesweep.tasks.translation.metrics import scores, signatures
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit, prove
from gatesweep.train.score import load_weights, score

Make = Callable[..., Any]


def config(folder: Path, *, model: dict[str, Any] | None = None, epochs: int = 3, **data: Any) -> ExperimentConfig:
    return experiment_from({
        "task": "translation",
        "data": {"path": str(folder), "source": "de", "target": "en", "vocabulary": 60, **data},
        "model": {"hidden_size": 12, "embedding_size": 12, "max_output": 12, "beam_size": 3, "dropout": 0.1,
                  **(model or {})},
        "optimizer": {"name": "adam", "lr": 0.01},
        "schedule": {"name": "cosine", "warmup_steps": 3},
        "trainer": {"max_epochs": epochs, "batch_size": 16, "monitor": "val/bleu", "mode": "max"},
        "seed": 3,
    }, place="test")  # fmt: skip


class Enough(Exception):
    """A training was killed."""


def train(settings: ExperimentConfig, folder: Path, *, until: int = 0, resume: Path | None = None) -> tuple[list, Any]:
    reports: list[Any] = []

    def on_epoch(report: Any) -> None:
        reports.append(report)
        if report.epoch == until:
            raise Enough

    task, recipe = prepare(settings)
    with contextlib.suppress(Enough):
        fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume)
    return reports, task


def numbers(reports: list[Any]) -> list[dict[str, float]]:
    return [{key: value for key, value in each.metrics.items() if not key.startswith("time/")} for each in reports]


def test_the_registry_tells_what_the_class_reports() -> None:
    task = load_task("translation")
    assert model_section("translation") is task.model_section is TranslationModel
    assert metric_names("translation") == {"train/loss"} | {f"{split}/{name}" for split in ("val", "test")
                                                            for name in task.metrics}


def test_a_score_that_no_epoch_reports_cannot_be_watched(parallel: Path) -> None:
    with pytest.raises(ConfigError, match="reports no 'val/beam_bleu' while it trains"):
        experiment_from({**config(parallel).as_dict(), "trainer": {"monitor": "val/beam_bleu"}}, place="test")


@pytest.mark.parametrize("options", [
    {"resample": 0.3},
    {"model": {"teacher_forcing": 0.7, "word_dropout": 0.1, "embedding_dropout": 0.1}},
    {"model": {"input_feeding": True, "decoder_layers": 2, "attention": "bahdanau"}},
])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(parallel: Path, tmp_path: Path,
                                                                    options: dict[str, Any]) -> None:
    settings = config(parallel, **options)
    whole, _ = train(settings, tmp_path / "whole")
    first, _ = train(settings, tmp_path / "cut", until=2)
    torch.manual_seed(99)  # another process would have other generators
    rest, _ = train(settings, tmp_path / "cut", resume=first[-1].checkpoint)
    assert numbers(first + rest) == numbers(whole)
    was, now = (torch.load(state_file(each[-1].checkpoint), weights_only=True)["state_dict"] for each in (whole, rest))
    assert all(torch.equal(was[key], now[key]) for key in was)


def test_it_learns_a_small_language_and_its_order_of_words(parallel: Path, tmp_path: Path, write_pairs: Make,
                                                           some_pairs: Make) -> None:
    write_pairs(parallel, "train", some_pairs(1500, 5))
    settings = config(parallel, epochs=5, model={"hidden_size": 32, "embedding_size": 24, "dropout": 0.0})
    reports, task = train(settings, tmp_path)
    assert reports[-1].metrics["val/bleu"] > 90 > 20 > task.baseline("val").metrics["bleu"]


def test_reported_scores_are_sacrebleu_s_on_running_text(parallel: Path, tmp_path: Path) -> None:
    _, task = train(config(parallel, epochs=1), tmp_path)
    found, table = score(task, "test"), task.predictions("test")
    for how, prefix in (("greedy", ""), ("beam", "beam_")):
        lines, references = table[how].tolist(), [table["reference"].tolist()]
        assert found[f"test/{prefix}bleu"] == pytest.approx(sacrebleu.corpus_bleu(lines, references).score, abs=1e-9)
        assert found[f"test/{prefix}bleu_lc"] == pytest.approx(
            sacrebleu.corpus_bleu(lines, references, lowercase=True).score, abs=1e-9)
        assert found[f"test/{prefix}chrf"] == pytest.approx(sacrebleu.corpus_chrf(lines, references).score, abs=1e-9)
    assert set(found) == {f"test/{name}" for name in task.metrics}


def test_the_loss_is_the_mean_over_symbols_whatever_the_batches(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, model={"label_smoothing": 0.3})
    found, encoded, network = score(task, "val"), task.prepared.splits["val"], task.module.network.eval()
    total, count = 0.0, 0
    for source, target in zip(encoded.source, encoded.target, strict=True):
        given, wanted = torch.tensor([[2, *target]]), torch.tensor([*target, 3])
        readout, _ = network(torch.from_numpy(source).unsqueeze(0), torch.tensor([len(source)]), given)
        log_probs = network.logits(readout[0]).log_softmax(1)
        total -= float(log_probs[torch.arange(len(wanted)), wanted].sum().detach())
        count += len(wanted)
    assert found["val/loss"] == pytest.approx(total / count, rel=1e-5)
    assert found["val/ppl"] == pytest.approx(torch.tensor(total / count).exp().item(), rel=1e-4)


def test_while_it_trains_a_share_of_val_is_translated_by_greedy_search_alone(parallel: Path, tmp_path: Path) -> None:
    reports, task = train(config(parallel, epochs=1, val_share=0.25), tmp_path)
    assert not any("beam" in name for name in reports[-1].metrics)
    table = task.predictions("val").iloc[3::4]
    expected = sacrebleu.corpus_bleu(table["greedy"].tolist(), [table["reference"].tolist()]).score
    assert reports[-1].metrics["val/bleu"] == pytest.approx(expected, abs=1e-9)


def test_without_test_files_the_chosen_checkpoint_is_scored_on_val_by_beam_search_too(parallel: Path,
                                                                                      tmp_path: Path) -> None:
    for language in ("de", "en"):
        (parallel / f"test.{language}").unlink()
    settings = config(parallel, epochs=1)
    reports, task = train(settings, tmp_path)
    scored = score_best(task, settings, reports[-1].checkpoint, reports[-1].metrics)
    assert scored.fresh == {"val/beam_bleu", "val/beam_bleu_lc", "val/beam_chrf"} < set(scored.metrics)
    assert scored.metrics["val/bleu"] == reports[-1].metrics["val/bleu"]
    assert {name.partition("/")[0] for name in scored.baseline["metrics"]} == {"val"}


def test_japanese_and_chinese_are_cut_by_characters_and_the_signature_says_so() -> None:
    assert "tok:char" in signatures(["元始に"], ["元始に"], "ja")["bleu"]
    assert "tok:13a" in signatures(["a"], ["a"], "en")["bleu"]
    assert "case:lc" in signatures(["a"], ["a"], "en")["bleu_lc"]
    assert scores(["元始に神天地を"], ["元始に神天地を"], "ja")["bleu"] == pytest.approx(100.0)


def test_a_checkpoint_alone_has_the_symbols_it_was_trained_with(parallel: Path, tmp_path: Path, make_task: Make,
                                                                write_pairs: Make, some_pairs: Make) -> None:
    reports, task = train(config(parallel, epochs=1), tmp_path)
    other = tmp_path / "other"
    for split, seed in (("train", 7), ("val", 8)):
        pairs = [(f"{source} Zebra", f"zebra {target}") for source, target in some_pairs(80, seed)]
        write_pairs(other, split, pairs)
    fresh = make_task(other, vocabulary=len(task.module.subwords[0]))
    lines = ["Hund sieht Katze .", "alt und klein ."]
    expected = [ids.tolist() for ids in task.module.subwords[0].encode(lines)]
    fresh.module.network = task.module.network.__class__(
        task.model, *(len(each) for each in task.module.subwords))
    assert [ids.tolist() for ids in fresh.module.subwords[0].encode(lines)] != expected
    load_weights(fresh.module, reports[-1].checkpoint)
    assert [ids.tolist() for ids in fresh.module.subwords[0].encode(lines)] == expected
    assert fresh.module.subwords[1].proto == task.module.subwords[1].proto


def test_another_folder_is_scored_in_the_symbols_of_this_training(parallel: Path, tmp_path: Path, make_task: Make,
                                                                  write_pairs: Make, some_pairs: Make) -> None:
    task = make_task(parallel)
    write_pairs(tmp_path / "same", "test", some_pairs(20, 3))
    assert score(task, "test") == score(task, "test", path=tmp_path / "same")
    assert task.baseline("test") == task.baseline("test", tmp_path / "same")
    assert len(task.loader("all", tmp_path / "same").dataset) == 20


def test_all_is_every_pair_of_every_split(parallel: Path, make_task: Make) -> None:
    assert len(make_task(parallel).loader("all").dataset) == 120 + 24 + 20


def test_the_initial_weights_are_a_function_of_the_seed_alone(parallel: Path, make_task: Make) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(3)
        return list(make_task(parallel, seed=seed).module.parameters())

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_baseline_is_the_better_of_the_trivial_ones_beside_the_nearest_sentence(parallel: Path, make_task: Make,
                                                                                    write_pairs: Make) -> None:
    write_pairs(parallel, "train", [("Hund und Katze .", "cat and dog."), ("Baum rot alt .", "old red tree.")] * 40
                + [("Haus .", "house.")] * 50)
    write_pairs(parallel, "val", [("Haus .", "house."), ("Hund und Katze alt .", "old cat and dog.")])
    baseline = make_task(parallel, vocabulary=30).baseline("val")
    assert set(baseline.candidates) == {"most frequent target", "copy of the source", "nearest source"}
    references = [["house.", "old cat and dog."]]
    assert baseline.candidates["most frequent target"]["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(["house.", "house."], references).score)
    assert baseline.candidates["nearest source"]["bleu"] == pytest.approx(
        sacrebleu.corpus_bleu(["house.", "cat and dog."], references).score)
    assert baseline.name in ("most frequent target", "copy of the source")
    assert baseline.metrics["bleu_lc"] == max(baseline.candidates[name]["bleu_lc"] for name in
                                              ("most frequent target", "copy of the source"))


@pytest.mark.parametrize(("attention", "drawn"), [("bahdanau", {"length", "attention"}), ("none", {"length"})])
def test_figures_are_drawn_with_labels(parallel: Path, make_task: Make, tmp_path: Path, attention: str,
                                       drawn: set[str]) -> None:
    task = make_task(parallel, model={"attention": attention})
    with torch.no_grad():
        task.module.network.bias_V[3] -= 5.0  # an untrained model that ends at once has nothing to look at
    figures = task.figures("test")
    assert set(figures) == drawn
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        assert figure.axes[0].get_xlabel()
        assert figure.axes[0].get_ylabel()
        figure.savefig(tmp_path / f"{name}.png")
    assert task.module.training, "the module is left as it was"


def test_a_model_that_writes_nothing_has_no_attention_to_show(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel)
    with torch.no_grad():
        task.module.network.bias_V[3] += 50.0  # it ends at once
    assert set(task.figures("test")) == {"length"}


@pytest.mark.parametrize("precision", ["bf16", "64"])
@pytest.mark.parametrize("options", [{}, {"input_feeding": True, "attention": "bahdanau"}, {"teacher_forcing": 0.5}])
def test_it_trains_and_translates_in_other_precisions(parallel: Path, options: dict[str, Any], precision: str) -> None:
    raw = config(parallel, epochs=1, model=options).as_dict()
    trainer = {**raw["trainer"], "precision": precision}
    task, recipe = prepare(experiment_from({**raw, "trainer": trainer}, place="test"))
    assert 0 < prove(task, recipe)["val/loss"] < 10
    assert set(score(task, "val", precision=precision)) == {f"val/{name}" for name in task.metrics}


@pytest.mark.parametrize("family", ["attention", "transformer", "tcn", "xlstm", "memory"])
def test_every_family_encodes_for_it(parallel: Path, family: str) -> None:
    task, recipe = prepare(config(parallel, epochs=1, model={"family": family, "hidden_size": 16}))
    assert {"train/loss", "val/loss", "val/bleu"} <= set(prove(task, recipe))


@pytest.mark.parametrize("cell", ["gru", "slstm", "mlstm"])
def test_every_kind_of_cell_trains_and_reports_all_metrics(parallel: Path, cell: str) -> None:
    task, recipe = prepare(config(parallel, epochs=1, model={"cell": cell}))
    assert {"train/loss", "val/loss", "val/ppl", "val/bleu", "val/bleu_lc", "val/chrf"} <= set(prove(task, recipe))


def test_a_model_is_counted_without_being_made(parallel: Path, make_task: Callable[..., Any]) -> None:
    task = make_task(parallel)
    counts_what_it_trains(task, task.model, TranslationModel(hidden_size=20, layers=2))
