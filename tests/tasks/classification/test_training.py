"""Trainings: what they learn, what stays frozen, weights of labels, exact resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from labelled_texts import made_texts, network, task_of, written
from sizes import counts_what_it_trains
from torch.nn import functional

from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.classification.baselines import BIGRAMS, MAJORITY
from gatesweep.tasks.classification.metrics import metrics_of
from gatesweep.train.config import OptimizerConfig, ScheduleConfig, TrainerConfig
from gatesweep.train.fit import FitResult, Recipe, fit, set_up
from gatesweep.train.score import load_weights, score


@pytest.fixture
def csv_file(tmp_path: Path, own_home: Path) -> Path:
    return written(made_texts(160), tmp_path / "made.csv")


def recipe(epochs: int = 3, *, optimizer: dict[str, Any] | None = None, **trainer: Any) -> Recipe:
    return Recipe(OptimizerConfig(**{"lr": 0.02, **(optimizer or {})}), ScheduleConfig(),
                  TrainerConfig(max_epochs=epochs, batch_size=16, accelerator="cpu", **trainer), 1)  # fmt: skip


def trained(task: Any, how: Recipe, folder: Path, **more: Any) -> FitResult:
    return fit(task, how, folder=folder, on_epoch=lambda report: None, **more)


def test_it_learns_what_the_telling_words_say_and_reports_what_predictions_show(csv_file: Path, tmp_path: Path) -> None:
    how = recipe(6)
    set_up(how)
    task = task_of(csv_file, model=network(word_dropout=0.1, embedding_dropout=0.1))
    result = trained(task, how, tmp_path / "run")
    load_weights(task.module, result.best_checkpoint)
    reported, table = score(task, "test", accelerator="cpu"), task.predictions("test")
    assert reported["test/accuracy"] > 0.9
    assert (table["truth"] == table["said"]).mean() == pytest.approx(reported["test/accuracy"])
    p_NK = table[["p_neg", "p_pos"]].to_numpy()
    expected = metrics_of(p_NK, (table["truth"] == "pos").to_numpy(np.int64))
    assert {f"test/{name}": pytest.approx(value, abs=1e-6) for name, value in expected.items()} == reported
    assert table["text"].tolist() == list(task.prepared.side("test").texts)
    assert set(task.figures("test")) == {"confusion", "calibration", "roc"}


def test_the_bigram_baseline_finds_the_telling_words_and_the_majority_does_not(csv_file: Path) -> None:
    baseline = task_of(csv_file).baseline("test")
    assert (baseline.name, set(baseline.candidates)) == (BIGRAMS, {BIGRAMS, MAJORITY})
    assert baseline.metrics["accuracy"] > 0.9
    assert baseline.candidates[MAJORITY]["accuracy"] == 0.5
    assert baseline.candidates[MAJORITY]["loss"] == pytest.approx(np.log(2))


def test_balanced_weights_make_the_labels_count_as_much(
    tmp_path: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = made_texts(160)
    frame = frame[(frame["label"] == "neg") | (frame.index < 40)]
    task = task_of(written(frame, tmp_path / "uneven.csv"), class_weights="balanced", splits={"train": 0.8})
    neg, pos = np.bincount(task.prepared.sides["train"].label_N)
    assert task.module.weight_K.tolist() == pytest.approx([(neg + pos) / (2 * neg), (neg + pos) / (2 * pos)])
    batch = next(iter(task.data_module.train_dataloader()))
    task.module.eval()
    with monkeypatch.context() as patched:
        patched.setattr(task.module, "log", lambda *told, **more: None)
        loss = task.module.training_step(batch, 0)
    each_B = functional.cross_entropy(task.module(batch), batch.label_B, reduction="none")
    weight_B = task.module.weight_K[batch.label_B]
    torch.testing.assert_close(loss, (each_B * weight_B).sum() / weight_B.sum())
    reported = score(task, "val", accelerator="cpu")
    logits = [(task.module(b), b.label_B) for b in task.loader("val")]
    plain = functional.cross_entropy(torch.cat([x for x, _ in logits]), torch.cat([y for _, y in logits]))
    assert reported["val/loss"] == pytest.approx(float(plain.detach()), rel=1e-5)


def test_frozen_vectors_stay_as_they_start(csv_file: Path, tmp_path: Path) -> None:
    task = task_of(csv_file, model=network(embeddings="word2vec", freeze=True))
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    trained(task, recipe(1), tmp_path / "run")
    changed = {name for name, value in task.module.state_dict().items() if not torch.equal(value, before[name])}
    assert "network.embedding.weight" not in changed
    assert "network.encoder.recurrent.weight_ih_l0" in changed


@pytest.mark.parametrize("more", [
    {}, {"unfreeze_epochs": 1, "optimizer": {"layer_decay": 0.4}}, {"optimizer": {"name": "sgd", "momentum": 0.9}},
])  # fmt: skip
def test_a_resumed_training_gives_the_bits_of_an_uninterrupted_one(csv_file: Path, tmp_path: Path, more: Any) -> None:
    model = network(layers=2, dropout=0.2, word_dropout=0.2, embedding_dropout=0.2)

    def run(folder: str, stop_after: int | None = None, **options: Any) -> tuple[Any, FitResult | None]:
        how = recipe(5, **more)
        set_up(how)
        task = task_of(csv_file, model=model)

        def heard(report: Any) -> None:
            if report.epoch == stop_after:
                raise KeyboardInterrupt

        try:
            return task, fit(task, how, folder=tmp_path / folder, on_epoch=heard, **options)
        except (KeyboardInterrupt, SystemExit):
            return task, None

    whole, _ = run("whole")
    run("cut", stop_after=2)
    resumed, _ = run("rest", resume=tmp_path / "cut" / "e0002")
    for (name, one), other in zip(whole.module.state_dict().items(), resumed.module.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_unfreezing_lets_one_group_more_train_each_epoch(csv_file: Path, tmp_path: Path) -> None:
    how = recipe(4, unfreeze_epochs=1)
    set_up(how)
    task = task_of(csv_file, model=network(layers=2))
    states = [{name: value.clone() for name, value in task.module.state_dict().items()}]

    def heard(report: Any) -> None:
        states.append({name: value.clone() for name, value in task.module.state_dict().items()})

    fit(task, how, folder=tmp_path, on_epoch=heard)
    names = ["network.head.weight", "network.encoder.recurrent.weight_hh_l1", "network.encoder.recurrent.weight_hh_l0",
             "network.embedding.weight"]  # fmt: skip
    for epoch in range(4):
        moved = [name for name in names if not torch.equal(states[epoch][name], states[epoch + 1][name])]
        assert moved == names[: epoch + 1]
    assert all(parameter.requires_grad for parameter in task.module.parameters())


def test_unfreezing_that_would_not_end_is_refused(csv_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="with 3 groups the lowest trains from epoch 5 on, and max_epochs is 4"):
        trained(task_of(csv_file), recipe(4, unfreeze_epochs=2), tmp_path)


def test_a_network_that_is_frozen_whole_is_refused(csv_file: Path, tmp_path: Path) -> None:
    task = task_of(csv_file)
    task.module.requires_grad_(False)
    with pytest.raises(ConfigError, match=r"init_from\.freeze: every parameter is frozen"):
        trained(task, recipe(1), tmp_path / "run")


def test_empty_texts_are_counted(tmp_path: Path, own_home: Path) -> None:
    frame = made_texts(160)
    frame.loc[[3, 8], "text"] = ["", "  "]
    told = task_of(written(frame, tmp_path / "m.csv")).describe()
    assert any("2 texts (empty text) left out" in line for line in told)


def test_words_of_another_run_that_fit_nothing_are_refused(csv_file: Path, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<pad>\n<unk>\nGreat.\nFilm.\nfilm\n")
    with pytest.raises(DataError, match="of the training texts' tokens are unknown to the other run's words"):
        task_of(csv_file, words=str(tmp_path / "words.txt"))


def test_texts_that_were_trained_on_are_counted_in_the_split_that_is_scored(csv_file: Path, tmp_path: Path) -> None:
    said: list[str] = []
    task = task_of(csv_file, say=said.append)
    known, new = list(task.prepared.sides["train"].texts)[:9], made_texts(20, seed=5)
    rows = [(text, "pos", "train") for text in known] + [(text, "pos", "test") for text in known[:4]]
    more = [(text, label, "test") for text, label in new.itertuples(index=False)]
    frame = pd.DataFrame([*rows, *more], columns=["text", "label", "split"])
    task.predictions("test", written(frame, tmp_path / "other.csv"))
    notes = [line for line in said if "are among those" in line]
    assert [("train, are" in n or "train," in n, "4 of 24 texts" in n) for n in notes] == [(True, False), (False, True)]


def test_longer_texts_are_cut_where_it_is_said_and_counted(csv_file: Path) -> None:
    whole = task_of(csv_file).prepared.sides["train"].rows
    longest = max(range(len(whole)), key=lambda n: len(whole[n]))
    for cut, expected in (("end", [0, 1, 2, 3]), ("start", [-4, -3, -2, -1]), ("middle", [0, 1, -2, -1])):
        task = task_of(csv_file, max_length=4, cut=cut)
        read = task.prepared.side("train").read(4, task.data, task.prepared.reader)
        assert read[longest].tolist() == [whole[longest][place] for place in expected]
        over = sum(len(row) > 4 for row in whole)
        assert any(f"{over:,} texts longer than 4" in line for line in task.describe())


def test_the_bag_votes_beside_the_network_and_the_network_is_trained_alone(csv_file: Path, tmp_path: Path) -> None:
    how, train_loss, tasks = recipe(2), [], []
    for bag in (0.0, 0.7):
        set_up(how)
        task = task_of(csv_file, model=network(bag=bag))
        reports: list[Any] = []
        left = fit(task, how, folder=tmp_path / f"bag{bag}", on_epoch=reports.append)
        load_weights(task.module, left.last_checkpoint)
        train_loss.append([report.metrics["train/loss"] for report in reports])
        tasks.append(task)
    assert train_loss[0] == train_loss[1]
    alone, voted = tasks
    bag_NK = alone.prepared.bigrams.probabilities(alone.prepared.side("test").rows)
    product_NK = alone.probabilities("test") * bag_NK**0.7
    expected_NK = product_NK / product_NK.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(voted.probabilities("test"), expected_NK, atol=1e-5)
    loss = score(voted, "test", accelerator="cpu")["test/loss"]
    assert loss == pytest.approx(metrics_of(expected_NK, alone.prepared.side("test").label_N)["loss"], abs=1e-5)


def test_a_model_is_counted_without_being_made(csv_file: Path) -> None:
    counts_what_it_trains(task_of(csv_file), network(), network(hidden_size=9, layers=2), network(embedding_size=7))
