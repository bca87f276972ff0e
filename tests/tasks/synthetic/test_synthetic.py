"""Synthetic problems: drawn as defined, scored as defined, learnt, resumed, asked at other lengths."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from sizes import counts_what_it_trains

from gatesweep.config.loader import build
from gatesweep.errors import ConfigError, DataError
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.tasks.registry import load_task, metric_names
from gatesweep.tasks.synthetic.config import SyntheticData, SyntheticModel
from gatesweep.tasks.synthetic.loaders import batch_of
from gatesweep.tasks.synthetic.problems import IGNORED, problem_of
from gatesweep.tasks.synthetic.reber import SYMBOLS, choices, follows
from gatesweep.tasks.synthetic.task import Synthetic
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit, prove
from gatesweep.train.score import score

PROBLEMS = ("adding", "copy", "recall", "parity", "reber")
Make = Callable[..., Any]


def config(problem: str = "adding", **changes: Any) -> ExperimentConfig:
    raw: dict[str, Any] = {
        "task": "synthetic", "data": {"problem": problem, "length": 8, "train": 60, "val": 20, "test": 20},
        "model": {"hidden_size": 12}, "optimizer": {"name": "adam", "lr": 0.01},
        "trainer": {"max_epochs": 3, "batch_size": 20}, "seed": 3,
    }  # fmt: skip
    for section, values in changes.items():
        raw[section] = {**raw[section], **values}
    return experiment_from(raw, place="test")


def task_of(problem: str, **changes: Any) -> Synthetic:
    task = prepare(config(problem, **changes))[0]
    assert isinstance(task, Synthetic)
    return task


def examples(problem: str, count: int = 200, **more: Any) -> list[Any]:
    made = problem_of(SyntheticData(problem=problem, **{"length": 12, **more}))
    return [made.draw(np.random.default_rng((5, number))) for number in range(count)]


def test_adding_asks_the_sum_of_two_numbers_one_marked_in_each_half() -> None:
    for length in (2, 7, 12):
        for each in examples("adding", length=length):
            marked = np.flatnonzero(each.x_ND[:, 1])
            assert len(marked) == 2
            assert marked[0] < length // 2 <= marked[1]
            assert each.value == pytest.approx(each.x_ND[marked, 0].sum())
            assert ((each.x_ND[:, 0] >= 0) & (each.x_ND[:, 0] < 1)).all()


def test_whoever_says_1_has_an_error_of_a_sixth() -> None:
    losses = [(each.value - 1) ** 2 for each in examples("adding", 20_000)]
    assert np.mean(losses) == pytest.approx(1 / 6, abs=0.004)


def test_copy_shows_a_string_waits_and_asks_for_it() -> None:
    for each in examples("copy", symbols=4, span=3, length=6):
        shown_N = each.x_ND.argmax(axis=1)
        assert len(shown_N) == 6 + 2 * 3
        assert shown_N.tolist() == [*shown_N[:3], *[4] * 5, 5, *[4] * 3]
        assert each.labels_N.tolist() == [4] * 9 + shown_N[:3].tolist()
        assert each.scored_N.tolist() == [False] * 9 + [True] * 3


def test_recall_asks_for_the_first_symbol_after_distractors_of_another_alphabet() -> None:
    for each in examples("recall", symbols=3):
        shown_N = each.x_ND.argmax(axis=1)
        assert len(shown_N) == 14
        assert shown_N[0] < 3
        assert ((shown_N[1:-1] >= 3) & (shown_N[1:-1] < 6)).all()
        assert shown_N[-1] == 6
        assert each.labels_N.tolist() == [IGNORED] * 13 + [shown_N[0]]


def test_parity_is_asked_of_all_bits_so_far() -> None:
    for each in examples("parity"):
        bits = each.x_ND[:, 0].astype(int).tolist()
        assert each.labels_N.tolist() == [sum(bits[: step + 1]) % 2 for step in range(12)]


def test_reber_strings_follow_the_grammar_and_keep_their_symbol_as_long_as_asked() -> None:
    for length in (1, 12, 60):
        for each in examples("reber", length=length):
            symbols = "".join(SYMBOLS[i] for i in each.x_ND.argmax(axis=1))
            assert follows(symbols)
            assert each.labels_N.tolist() == [*(SYMBOLS.index(s) for s in symbols[1:]), IGNORED]
            assert np.flatnonzero(each.scored_N).tolist() == [len(symbols) - 3]
            assert len(symbols) - 3 >= length


@pytest.mark.parametrize(("symbols", "fits"), [
    ("BTBTXSETE", True), ("BPBPVVEPE", True), ("BTBTXXVVETE", True), ("BTBTSSXSETE", True), ("BTBPTTVPSETE", True),
    ("BTBTXSEPE", False), ("BTBTXSSETE", False), ("TBTXSET", False), ("BTBTXSTE", False), ("", False),
])  # fmt: skip
def test_the_grammar_is_the_published_one(symbols: str, fits: bool) -> None:
    assert follows(symbols) == fits


def test_published_reber_strings_have_one_inner_string_and_both_ways_equally_often() -> None:
    texts = ["".join(SYMBOLS[i] for i in each.x_ND.argmax(axis=1)) for each in examples("reber", 4000, length=1)]
    assert np.mean([text[1] == "T" for text in texts]) == pytest.approx(0.5, abs=0.03)
    assert np.mean([text[3] == "T" for text in texts]) == pytest.approx(0.5, abs=0.03)
    assert min(map(len, texts)) == 9
    assert all(text[2:-2].count("B") == 1 for text in texts)


@pytest.mark.parametrize(("problem", "loss", "accuracy"), [
    ("copy", 10 * math.log(8) / 28, 1 / 8), ("recall", math.log(8), 1 / 8), ("parity", math.log(2) * 7 / 8, 9 / 16),
])  # fmt: skip
def test_without_memory_is_what_the_definition_gives(problem: str, loss: float, accuracy: float) -> None:
    baseline = task_of(problem).baseline("test")
    assert baseline.name == "without memory"
    assert baseline.metrics["loss"] == pytest.approx(loss)
    assert baseline.metrics["accuracy"] == pytest.approx(accuracy)


def test_without_memory_of_reber_counts_every_place_with_two_ways() -> None:
    assert choices("BTXSE") == 3
    assert choices("BPVVE") == 3
    assert choices("BTSXXTVVE" + "BTXSE") == 7 + 3
    with pytest.raises(ValueError, match="S cannot come in state 1"):
        choices("BS")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_an_example_is_a_function_of_seed_split_epoch_and_number(problem: str) -> None:
    module = task_of(problem, data={"length": 30}).data_module
    one = module.drawn("train").example(0, 5)
    again = task_of(problem, data={"length": 30}).data_module.drawn("train").example(0, 5)
    assert (one.x_ND == again.x_ND).all()
    for split, epoch, number in (("train", 1, 5), ("train", 0, 6), ("val", 0, 5)):
        other = module.drawn(split).example(epoch, number)
        assert one.x_ND.shape != other.x_ND.shape or (one.x_ND != other.x_ND).any()


@pytest.mark.parametrize("fresh", [True, False])
def test_epochs_draw_new_examples_only_where_they_are_asked_to(fresh: bool) -> None:
    loader = task_of("adding", data={"fresh": fresh}).data_module.train_dataloader()
    epochs = []
    for epoch in range(2):
        loader.sampler.set_epoch(epoch)
        epochs.append(torch.cat([batch.value_B for batch in loader]))
    assert len(epochs[0]) == 60
    assert torch.equal(*epochs) != fresh


def test_padding_is_silence_of_which_nothing_is_asked() -> None:
    made = examples("reber", 6)
    batch = batch_of(made, [True] * 6)
    for row, each in enumerate(made):
        length = len(each.labels_N)
        assert batch.lengths_B[row] == length
        assert not batch.x_BND[row, length:].any()
        assert (batch.labels_BN[row, length:] == IGNORED).all()


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_scores_are_those_of_example_by_example(problem: str) -> None:
    task = task_of(problem)
    found, losses, right = score(task, "val"), [], []
    network, drawn = task.module.network.eval(), task.data_module.drawn("val")
    for number in range(len(drawn)):
        each = drawn.example(0, number)
        with torch.no_grad():
            encoded = network.encoder(torch.from_numpy(each.x_ND).unsqueeze(0))
            out_NC = network.output(encoded.outputs_BTO[0]).double()
        if problem == "adding":
            losses.append(float((out_NC[-1, 0] - each.value) ** 2))
            right.append(abs(float(out_NC[-1, 0]) - each.value) < 0.04)
            continue
        log_p_NC = out_NC.log_softmax(1)
        for step in np.flatnonzero(each.labels_N != IGNORED):
            losses.append(-float(log_p_NC[step, each.labels_N[step]]))
            if each.scored_N[step]:
                right.append(int(out_NC[step].argmax()) == each.labels_N[step])
    assert found["val/loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["val/accuracy"] == pytest.approx(np.mean(right))


@pytest.mark.parametrize("problem", ["adding", "reber"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, problem: str) -> None:
    settings = config(problem, model={"dropout": 0.2})

    def train(folder: Path, *, until: int = 0, resume: Path | None = None) -> list[Any]:
        reports: list[Any] = []

        def on_epoch(report: Any) -> None:
            reports.append(report)
            if report.epoch == until:
                raise InterruptedError

        task, recipe = prepare(settings)
        with contextlib.suppress(InterruptedError):
            fit(task, recipe, folder=folder, on_epoch=on_epoch, resume=resume)
        return reports

    def numbers(reports: list[Any]) -> list[dict[str, float]]:
        return [{key: value for key, value in each.metrics.items() if not key.startswith("time/")} for each in reports]

    whole, first = train(tmp_path / "whole"), train(tmp_path / "cut", until=2)
    torch.manual_seed(99)  # another process would have other generators
    rest = train(tmp_path / "cut", resume=first[-1].checkpoint)
    assert numbers(first + rest) == numbers(whole)
    was, now = (torch.load(state_file(each[-1].checkpoint), weights_only=True)["state_dict"] for each in (whole, rest))
    assert all(torch.equal(was[key], now[key]) for key in was)


@pytest.mark.parametrize(("problem", "length"), [("recall", 6), ("copy", 3), ("parity", 4)])
def test_a_short_memory_is_learnt(tmp_path: Path, problem: str, length: int) -> None:
    data = {"length": length, "train": 400, "val": 100}
    data |= {"recall": {"symbols": 3}, "copy": {"symbols": 2, "span": 2}}.get(problem, {})
    settings = config(problem, data=data, model={"hidden_size": 24}, optimizer={"lr": 0.02},
                      trainer={"max_epochs": 10})
    task, recipe = prepare(settings)
    reports: list[Any] = []
    fit(task, recipe, folder=tmp_path, on_epoch=reports.append)
    assert reports[-1].metrics["val/accuracy"] > 0.9 > task.baseline("val").metrics["accuracy"]


def test_a_short_sum_is_learnt(tmp_path: Path) -> None:
    settings = config("adding", data={"length": 6, "train": 1000, "val": 100}, model={"hidden_size": 24, "cell": "gru"},
                      optimizer={"lr": 0.02}, trainer={"max_epochs": 10})
    task, recipe = prepare(settings)
    reports: list[Any] = []
    fit(task, recipe, folder=tmp_path, on_epoch=reports.append)
    assert reports[-1].metrics["val/loss"] < 0.02 < 0.1 < task.baseline("val").metrics["loss"]


@pytest.mark.parametrize("problem", ["adding", "copy", "reber"])
def test_another_length_is_asked_by_a_file(tmp_path: Path, problem: str) -> None:
    task, file = task_of(problem), tmp_path / "longer.yaml"
    file.write_text("length: 40\ntest: 5\n")
    assert len(task.loader("test", file).dataset) == 5
    assert next(iter(task.loader("test", file))).x_BND.shape[1] >= 40
    assert score(task, "test", path=file)["test/loss"] > 0
    assert set(task.baseline("test", file).metrics) == {"loss", "accuracy"}


@pytest.mark.parametrize(("text", "said", "kind"), [
    ("problem: parity", "the model was trained with 'copy'", DataError),
    ("symbols: 3", "the model was trained with 8", DataError),
    ("lenght: 3", "did you mean 'length'", ConfigError),
    ("length: 0", "length", ConfigError),
])  # fmt: skip
def test_a_file_that_asks_for_something_else_is_refused(tmp_path: Path, text: str, said: str, kind: Any) -> None:
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(kind, match=said):
        task_of("copy").loader("test", tmp_path / "other.yaml")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_predictions_are_what_the_score_counts(problem: str) -> None:
    task = task_of(problem)
    table, found = task.predictions("test"), score(task, "test")
    right = (table["said"] - table["truth"]).abs() < (0.04 if problem == "adding" else 0.5)
    assert right.mean() == pytest.approx(found["test/accuracy"])
    assert table["example"].nunique() == 20
    assert table["step"].min() >= 1


def test_all_is_every_example_of_every_split() -> None:
    task = task_of("recall")
    whole = torch.cat([batch.x_BND for batch in task.loader("all")])
    parts = torch.cat([batch.x_BND for split in ("train", "val", "test") for batch in task.loader(split)])
    assert torch.equal(whole, parts)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_figures_are_drawn_with_labels(tmp_path: Path, problem: str) -> None:
    task = task_of(problem)
    task.module.train()
    figures = task.figures("test")
    assert set(figures) == {"answers", "lengths"}
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        assert figure.axes[0].get_xlabel()
        assert figure.axes[0].get_ylabel()
        figure.savefig(tmp_path / f"{name}.png")
    assert task.module.training, "the module is left as it was"
    assert set(task.curve()) == {2, 4, 8, 16}


def test_the_registry_tells_what_the_class_reports() -> None:
    assert metric_names("synthetic") == {"train/loss"} | {f"{split}/{name}" for split in ("val", "test")
                                                          for name in load_task("synthetic").metrics}


def test_the_initial_weights_are_a_function_of_the_seed_alone() -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(3)
        task = Synthetic(SyntheticData(), SyntheticModel(), batch_size=4, seed=seed, say=lambda line: None)
        return list(task.module.parameters())

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(("given", "said"), [
    ({"problem": "adding", "length": 1}, "adding needs 2 steps at least"),
    ({"problem": "adding", "span": 5}, "span: adding has none"),
    ({"problem": "reber", "symbols": 5}, "symbols: reber has none"),
    ({"problem": "sorting"}, "problem"),
])  # fmt: skip
def test_settings_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(SyntheticData, given, place="here")


def test_who_answers_before_the_end_must_not_see_what_comes_after() -> None:
    with pytest.raises(ConfigError, match="must not see what comes later"):
        task_of("parity", model={"bidirectional": True})
    assert task_of("adding", model={"bidirectional": True})


@pytest.mark.parametrize("problem", ["adding", "copy"])
@pytest.mark.parametrize("family", ["attention", "transformer", "tcn", "xlstm", "memory"])
def test_every_family_remembers(problem: str, family: str) -> None:
    task, recipe = prepare(config(problem, model={"family": family, "hidden_size": 16}))
    assert {"train/loss", "val/loss", "val/accuracy"} <= set(prove(task, recipe))


@pytest.mark.parametrize("cell", ["peephole", "coupled", "gru", "rnn", "slstm", "mlstm", "minlstm", "mingru"])
def test_every_kind_of_cell_remembers(cell: str) -> None:
    task, recipe = prepare(config("recall", model={"cell": cell}))
    assert 0 < prove(task, recipe)["val/loss"] < 10


@pytest.mark.parametrize("precision", ["bf16", "64"])
def test_it_trains_in_other_precisions(precision: str) -> None:
    for problem in ("adding", "parity"):
        task, recipe = prepare(config(problem, trainer={"precision": precision}))
        assert 0 < prove(task, recipe)["val/loss"] < 10


def test_a_model_is_counted_without_being_made() -> None:
    task = Synthetic(SyntheticData(problem="copy"), SyntheticModel(), batch_size=4, seed=1, say=print)
    counts_what_it_trains(task, SyntheticModel(), SyntheticModel(hidden_size=9, cell="gru"))
