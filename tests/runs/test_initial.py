"""`init_from`: another run's weights as the start, words matched by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from labelled_texts import made_texts, written

from gatesweep.data.pins import md5_of
from gatesweep.errors import ConfigError, NotFound
from gatesweep.runs.build import prepare
from gatesweep.runs.evaluation import evaluate
from gatesweep.runs.experiment import experiment_from
from gatesweep.runs.initial import InitFrom, by_word, resolved, start_from
from gatesweep.runs.lookup import config_of
from gatesweep.runs.training import RunResult, run
from gatesweep.track.store import Store
from gatesweep.train.checkpoint import STATE


def experiment(path: Path, **changes: Any) -> Any:
    model = {"hidden_size": 6, "embedding_size": 5, "bidirectional": True, **changes.pop("model", {})}
    return experiment_from({
        "name": "made", "task": "sequence_classification", "data": {"path": str(path), "min_count": 1}, "model": model,
        "trainer": {"max_epochs": 1, "batch_size": 32, "monitor": "val/accuracy", "mode": "max"}, **changes,
    }, place="test")  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def source(store: Store, folder: Path) -> RunResult:
    return run(experiment(written(made_texts(80, seed=1), folder / "source.csv")), store)


@pytest.fixture(scope="module")
def target(folder: Path) -> Path:
    """Other texts, some of whose words are new."""
    frame = made_texts(80, seed=2)
    frame["text"] = frame["text"].str.replace("plot", "story").str.replace("n7", "m7")
    return written(frame, folder / "target.csv")


def saved(result: RunResult) -> dict[str, Any]:
    return torch.load(Path(result.checkpoint) / STATE, weights_only=True)


def test_known_words_keep_their_vector_new_ones_get_the_mean_and_padding_stays() -> None:
    theirs, ours = ["<pad>", "<unk>", "film", "plot"], ["<pad>", "story", "film", "<unk>"]
    other, own = torch.arange(8.0).reshape(4, 2), torch.full((4, 2), -1.0)
    made, known = by_word(own, other, theirs, ours)
    assert made.tolist() == [[-1.0, -1.0], [3.0, 4.0], [4.0, 5.0], [2.0, 3.0]]
    assert known == 3


def test_a_training_starts_from_the_weights_of_another_run(store: Store, source: RunResult, target: Path) -> None:
    said: list[str] = []
    config = resolved(experiment(target, init_from={"run": source.run_id}), store)
    assert config.init_from.checkpoint == str(Path(source.checkpoint).resolve() / STATE)
    task, _ = prepare(config, say=said.append)
    state, ours, theirs = task.module.state_dict(), saved(source)["state_dict"], saved(source)["vocabulary"]
    vectors = ours["network.embedding.weight"]
    words = task.prepared.reader.vocabulary.words
    assert "story" not in theirs
    for number, word in enumerate(words[1:], 1):
        expected = vectors[theirs.index(word)] if word in theirs else vectors.mean(dim=0)
        torch.testing.assert_close(state["network.embedding.weight"][number], expected)
    for name in (name for name in ours if name.startswith("network.encoder")):
        assert torch.equal(state[name], ours[name]), name
    fresh, _ = prepare(experiment(target))
    assert torch.equal(state["network.head.weight"], fresh.module.state_dict()["network.head.weight"])
    known = sum(word in theirs for word in words)
    expected = f"embedding: 1 tensors; {known:,} of {len(words):,} words are known there, the others start at the mean"
    assert said[-2].endswith(expected)


def test_the_run_names_what_it_started_from_and_is_evaluated_without_it(
    store: Store, source: RunResult, target: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "moved"
    copy.mkdir()
    for name in (STATE, "COMMIT"):
        (copy / name).write_bytes((Path(source.checkpoint) / name).read_bytes())
    result = run(experiment(target, init_from={"checkpoint": str(copy), "freeze": ["embedding"]}), store)
    lock = json.loads(store.artifact(result.run_id, "lock.json").read_text())
    assert {pin["name"]: pin["md5"] for pin in lock["data"]}["init_from"] == md5_of(copy / STATE)
    assert store.get_run(result.run_id).datasets["init_from"] == md5_of(copy / STATE)
    assert config_of(store.get_run(result.run_id), store).init_from.checkpoint == str(copy / STATE)
    theirs, words = saved(source), saved(result)["vocabulary"]
    place = words.index("film"), theirs["vocabulary"].index("film")
    assert torch.equal(saved(result)["state_dict"]["network.embedding.weight"][place[0]],
                       theirs["state_dict"]["network.embedding.weight"][place[1]])  # fmt: skip
    for file in copy.iterdir():
        file.unlink()
    again = evaluate(result.run_id, store, split="test")
    assert again.metrics["test/accuracy"] == pytest.approx(result.metrics["test/accuracy"])


def test_the_words_of_the_other_run_are_known_where_that_is_asked_for(
    store: Store, source: RunResult, target: Path
) -> None:
    init = {"run": source.run_id, "vocabulary": "theirs", "parts": ["embedding", "encoder", "head"]}
    result = run(experiment(target, init_from=init), store)
    words, theirs = saved(result)["vocabulary"], saved(source)["vocabulary"]
    assert words == theirs
    assert "story" not in words
    again = evaluate(result.run_id, store, split="test")
    assert again.metrics["test/accuracy"] == pytest.approx(result.metrics["test/accuracy"])
    with pytest.raises(ConfigError, match="the data of forecasting take no words of another run"):
        resolved(experiment_from({"task": "forecasting", "data": {"name": "traffic"}, "init_from": init}, place="test"),
                 store)  # fmt: skip


def test_frozen_parts_do_not_train_and_others_do(store: Store, source: RunResult, target: Path) -> None:
    task, _ = prepare(resolved(experiment(target, init_from={"run": source.run_id, "freeze": ["encoder"]}), store))
    trains = {name for name, parameter in task.module.named_parameters() if parameter.requires_grad}
    assert trains == {"network.embedding.weight", "network.head.weight", "network.head.bias"}


@pytest.mark.parametrize(("changes", "said"), [
    ({"model": {"hidden_size": 7}}, r"'encoder.recurrent.weight_ih_l0' is \[24, 5\] there and \[28, 5\] here"),
    ({"model": {"embedding_size": 4}}, r"'embedding.weight' is \[\d+, 5\] there and \[\d+, 4\] here"),
    ({"init": {"parts": ["decoder"]}}, "this network has no part 'decoder'"),
    ({"init": {"freeze": ["decoder"]}}, "this network has no part 'decoder'"),
    ({"init": {"parts": ["pooling"]}, "model": {"pooling": "attention"}}, "that run has no part 'pooling'"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_with_both_sides(
    store: Store, source: RunResult, target: Path, changes: Any, said: str
) -> None:
    init = {"run": source.run_id, **changes.pop("init", {})}
    with pytest.raises(ConfigError, match=said):
        prepare(resolved(experiment(target, init_from=init, **changes), store))


def test_what_is_no_checkpoint_or_damaged_is_refused(
    store: Store, source: RunResult, target: Path, tmp_path: Path
) -> None:
    (tmp_path / "weights.ckpt").write_bytes(b"no weights")
    with pytest.raises(NotFound, match="is no checkpoint of a training"):
        prepare(experiment(target, init_from={"checkpoint": str(tmp_path / "weights.ckpt")}))
    state = (Path(source.checkpoint) / STATE).read_bytes()
    (tmp_path / STATE).write_bytes(state[:-1] + bytes([state[-1] ^ 1]))
    (tmp_path / "COMMIT").write_bytes((Path(source.checkpoint) / "COMMIT").read_bytes())
    with pytest.raises(NotFound, match="the checkpoint is damaged"):
        resolved(experiment(target, init_from={"checkpoint": str(tmp_path)}), store)
    with pytest.raises(NotFound):
        resolved(experiment(target, init_from={"run": "0" * 32}), store)
    with pytest.raises(ConfigError, match="one of 'run' and 'checkpoint'"):
        experiment(target, init_from={"parts": ["encoder"]})


class Layers(torch.nn.Module):
    """A network with its layers in one encoder, or in encoders of their own, as language models have them."""

    def __init__(self, apart: bool) -> None:
        super().__init__()
        cell = {"input_size": 3, "hidden_size": 3, "batch_first": True}
        if apart:
            self.encoders = torch.nn.ModuleList(torch.nn.ModuleDict({"recurrent": torch.nn.LSTM(**cell)}) for _ in "ab")
        else:
            self.encoder = torch.nn.ModuleDict({"recurrent": torch.nn.LSTM(**cell, num_layers=2)})


def test_layers_that_stand_apart_fit_layers_in_one(tmp_path: Path) -> None:
    theirs, ours = Layers(apart=True), Layers(apart=False)
    file = tmp_path / "lm.ckpt"
    torch.save({"state_dict": {f"network.{name}": value for name, value in theirs.state_dict().items()}}, file)
    start_from(ours, InitFrom(checkpoint=str(file), parts=("encoder",)), lambda line: None)
    for layer in (0, 1):
        for role in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            assert torch.equal(getattr(ours.encoder["recurrent"], f"{role}_l{layer}"),
                               getattr(theirs.encoders[layer]["recurrent"], f"{role}_l0"))  # fmt: skip
