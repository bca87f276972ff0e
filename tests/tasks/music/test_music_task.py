"""Music as the rest of the house sees it: the likelihood, the scores, resumed, restored, drawn, written down."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mido
import numpy as np
import pytest
import torch
from made_music import make_pieces, write_json
from matplotlib.figure import Figure
from sizes import counts_what_it_trains
from typer.testing import CliRunner

import gatesweep
from gatesweep.cli.app import app
from gatesweep.data.music.midi import write_midi
from gatesweep.errors import ConfigError
from gatesweep.models.note_model import AutoregressiveNotes, IndependentNotes
from gatesweep.runs.build import prepare
from gatesweep.tasks.music import baselines
from gatesweep.tasks.music.config import MusicModel
from gatesweep.tasks.music.sampling import chances, frames_of, text_of, write
from gatesweep.tasks.registry import load_task, metric_names
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit, prove
from gatesweep.train.score import score

Make = Callable[..., Any]


class Enough(Exception):
    """A training was killed."""


def train(settings: Any, folder: Path, *, until: int = 0, resume: Path | None = None) -> tuple[list, Any]:
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
    assert metric_names("music") == {"train/loss"} | {f"{split}/{name}" for split in ("val", "test")
                                                      for name in load_task("music").metrics}


@pytest.mark.parametrize("head", [IndependentNotes(5, 6), AutoregressiveNotes(5, 6, 9)])
def test_a_head_s_chances_of_all_chords_add_up_to_one(head: Any) -> None:
    torch.manual_seed(0)
    h_1O = torch.randn(1, 1, 5).expand(1, 64, 5)
    every_1TK = torch.tensor(list(itertools.product((0.0, 1.0), repeat=6))).unsqueeze(0)
    logits_1TK = head(h_1O, every_1TK)
    log_p_1T = torch.where(every_1TK.bool(), logits_1TK.sigmoid(), 1 - logits_1TK.sigmoid()).log().sum(-1)
    assert float(log_p_1T.detach().exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_a_note_of_the_autoregressive_head_sees_all_lower_ones_and_no_other() -> None:
    torch.manual_seed(0)
    head = AutoregressiveNotes(3, 8, 32).double()
    roll = torch.rand(1, 1, 8, dtype=torch.float64, requires_grad=True)
    logits = head(torch.randn(1, 1, 3, dtype=torch.float64), roll)[0, 0]
    for note in range(8):
        (slope,) = torch.autograd.grad(logits[note], roll, retain_graph=True)
        assert (slope[0, 0, note:] == 0).all()
        assert (slope[0, 0, :note] != 0).all()


def test_drawing_note_by_note_follows_the_head_s_own_chances() -> None:
    torch.manual_seed(1)
    head = AutoregressiveNotes(3, 4, 8)
    h_NO = torch.randn(1, 3).expand(20_000, 3)
    drawn_NK = head.draw(h_NO, lambda logits: torch.bernoulli(logits.sigmoid()))
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))
    logits = head(h_NO[:16].unsqueeze(0), every.unsqueeze(0))[0]
    p = torch.where(every.bool(), logits.sigmoid(), 1 - logits.sigmoid()).prod(-1)
    seen = torch.bincount((drawn_NK @ torch.tensor([8.0, 4, 2, 1])).long(), minlength=16) / 20_000
    torch.testing.assert_close(seen, p, atol=0.015, rtol=0)


@pytest.mark.parametrize("head", ["independent", "autoregressive"])
@pytest.mark.parametrize("first", [False, True])
def test_the_scores_are_those_of_piece_by_piece(make_task: Make, head: str, first: bool) -> None:
    task = make_task(model={"head": head}, first_frame=first)
    found, network = score(task, "val"), task.module.network.eval()
    nll, right, either, means = [], 0, 0, []
    for piece in task.prepared.splits["val"]:
        roll_TK = torch.from_numpy(piece.roll_TK).float()
        per_frame, skip = [], 0 if first else 1
        for step in range(skip, len(piece)):
            given = torch.cat([torch.zeros(1, 88), roll_TK[:step]]).unsqueeze(0)
            with torch.no_grad():
                h = network.read(given).outputs_BTO[:, -1:]
                p_K = network.head(h, roll_TK[step].view(1, 1, 88))[0, 0].sigmoid().double()
                said_K = network.head.draw(h[0], lambda logits: (logits >= 0).float())[0].bool()
            truth_K = roll_TK[step].bool()
            per_frame.append(-float(torch.where(truth_K, p_K, 1 - p_K).log().sum()))
            right += int((truth_K & said_K).sum())
            either += int((truth_K | said_K).sum())
        nll += per_frame
        means.append(np.mean(per_frame))
    assert found["val/loss"] == pytest.approx(np.mean(nll), rel=1e-5)
    assert found["val/piece_loss"] == pytest.approx(np.mean(means), rel=1e-5)
    assert found["val/accuracy"] == pytest.approx(right / either)


@pytest.mark.parametrize("options", [
    {"data": {"transpose": 4, "window": 5}, "model": {"dropout": 0.3, "input_dropout": 0.1}},
    {"model": {"head": "autoregressive", "embedding_size": 8}},
])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(config_of: Make, tmp_path: Path,
                                                                    options: dict[str, Any]) -> None:
    settings = config_of(trainer={"max_epochs": 3}, **options)
    whole, _ = train(settings, tmp_path / "whole")
    first, _ = train(settings, tmp_path / "cut", until=2)
    torch.manual_seed(99)  # another process would have other generators
    rest, _ = train(settings, tmp_path / "cut", resume=first[-1].checkpoint)
    assert numbers(first + rest) == numbers(whole)
    was, now = (torch.load(state_file(each[-1].checkpoint), weights_only=True)["state_dict"] for each in (whole, rest))
    assert all(torch.equal(was[key], now[key]) for key in was)


def test_padding_changes_nothing(make_task: Make) -> None:
    """The mean over frames does not depend on what shares a batch."""
    task = make_task()
    whole = task.module.judge(next(iter(task.loader("val"))))[0]
    batch = next(iter(task.loader("val")))
    for row, index in enumerate(batch.index_B.tolist()):
        piece = task.prepared.splits["val"][index]
        alone = task.module.judge(next(iter(task.loader("val")))._replace(
            roll_BTK=torch.from_numpy(piece.roll_TK).float().unsqueeze(0), lengths_B=torch.tensor([len(piece)])))[0]
        torch.testing.assert_close(whole[row, : len(piece)], alone[0])


def test_it_learns_the_walk_and_beats_the_baseline(config_of: Make, tmp_path: Path) -> None:
    file = write_json(tmp_path / "more.json", train=150)
    settings = config_of(file, trainer={"max_epochs": 12}, model={"hidden_size": 48, "head": "autoregressive"},
                         optimizer={"lr": 0.02})
    reports, task = train(settings, tmp_path)
    beaten = task.baseline("val").metrics
    assert reports[-1].metrics["val/loss"] < 0.6 * beaten["loss"]
    assert reports[-1].metrics["val/accuracy"] > beaten["accuracy"]


def test_the_baselines_are_what_counting_gives(make_task: Make, tmp_path: Path) -> None:
    (tmp_path / "counted.json").write_text(json.dumps({
        "train": [[[60], [60], [62], [60]], [[62], [62]]], "valid": [[[60], [60]]]}))
    baseline = make_task(tmp_path / "counted.json").baseline("val")
    p60, p62 = (3 + 1) / (6 + 2), (3 + 1) / (6 + 2)
    silent = 86 * -np.log(1 - 1 / 8)
    assert baseline.candidates["note frequencies"]["loss"] == pytest.approx(-np.log(p60) - np.log(1 - p62) + silent)
    stays = (1 + 2 * p60) / (2 + 2)        # 60 was on twice with a frame after it, and stayed once
    comes = (1 + 2 * p62) / (2 + 2)        # 62 was off twice, and came once
    silent = 86 * -np.log(1 - 2 * (1 / 8) / (4 + 2))
    assert baseline.candidates["each note by itself"]["loss"] == pytest.approx(
        -np.log(stays) - np.log(1 - comes) + silent)
    assert baseline.name == baselines.BY_ITSELF


def test_predictions_add_up_to_the_scores(make_task: Make) -> None:
    task = make_task()
    table, found = task.predictions("test"), score(task, "test")
    assert table["loss"].mean() == pytest.approx(found["test/loss"], rel=1e-5)
    assert table["baseline"].mean() == pytest.approx(task.baseline("test").metrics["loss"])
    assert table.groupby("piece")["loss"].mean().mean() == pytest.approx(found["test/piece_loss"], rel=1e-5)
    own = task.prepared.splits["test"][0]
    assert table["notes"].iloc[0] == " ".join(map(str, own.notes()[1]))
    assert table["frame"].iloc[0] == 2


def test_another_file_is_scored_as_it_is_and_all_is_every_split(make_task: Make, tmp_path: Path) -> None:
    task, other = make_task(every=2), write_json(tmp_path / "other.json", test=6)
    assert score(task, "test", path=other) == score(task, "test")
    pieces = task._pieces("all", other)
    read = f"{other}: {len(pieces)} pieces, {sum(map(len, pieces)):,} frames"
    assert task.account(other) == [f"{read}: one of every 2 of the file's, as in training"]
    assert len(task.loader("all").dataset) == 24 + 8 + 6
    assert len(task.loader("all", other).dataset) == 24 + 8 + 6
    assert task.baseline("test", other) == task.baseline("test")


def test_figures_are_drawn_with_labels(make_task: Make, tmp_path: Path) -> None:
    task = make_task()
    task.module.train()
    figures = task.figures("test")
    assert set(figures) == {"piano_roll", "loss_by_frame"}
    for name, figure in figures.items():
        assert isinstance(figure, Figure)
        assert figure.axes[0].get_xlabel()
        assert figure.axes[0].get_ylabel()
        figure.savefig(tmp_path / f"{name}.png")
    assert task.module.training, "the module is left as it was"


def test_the_initial_weights_are_a_function_of_the_seed_alone(make_task: Make) -> None:
    def weights(seed: int) -> list[torch.Tensor]:
        torch.rand(3)
        return list(make_task(seed=seed).module.parameters())

    one, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_top_p_keeps_the_likelier_value_of_a_note_alone_once_it_reaches_it() -> None:
    logits = torch.logit(torch.tensor([0.05, 0.2, 0.5, 0.7, 0.95], dtype=torch.float64))
    assert chances(logits, 1.0, 0.9).tolist() == pytest.approx([0, 0.2, 0.5, 0.7, 1])
    assert chances(logits, 1.0, 1.0).tolist() == pytest.approx([0.05, 0.2, 0.5, 0.7, 0.95])
    assert chances(logits, 0.0, 1.0).tolist() == [0, 0, 1, 1, 1]
    assert chances(logits, 2.0, 1.0).tolist()[0] == pytest.approx(1 / (1 + (0.95 / 0.05) ** 0.5))


@pytest.mark.parametrize("head", ["independent", "autoregressive"])
@pytest.mark.parametrize("family", ["recurrent", "transformer", "tcn"])
def test_every_frame_is_read_before_the_next_is_drawn(make_task: Make, family: str, head: str) -> None:
    """Music made with the state carried equals that of whole passes over everything so far."""
    network = make_task(model={"family": family, "hidden_size": 16, "head": head}).module.network.eval()
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.mul_(8.0)
    prompt = [[60, 64], [62, 65]]
    made, so_far = list(write(network, prompt, 6, temperature=0.0)), [[], *prompt]
    for notes in made:
        given = torch.zeros(1, len(so_far), 88)
        for step, each in enumerate(so_far):
            given[0, step, [n - 21 for n in each]] = 1
        with torch.no_grad():
            h = network.read(given).outputs_BTO[:, -1]
        said = network.head.draw(h, lambda logits: (logits >= 0).float())[0].nonzero().flatten() + 21
        assert notes == said.tolist()
        so_far.append(notes)


def test_a_prompt_is_frames_of_numbers_and_text_reads_back() -> None:
    frames = [[60, 64, 67], [], [62]]
    assert frames_of(text_of(frames)) == frames
    assert frames_of("") == []
    for bad in ("60 H", "60, 109", "-1", "6.5"):
        with pytest.raises(ConfigError, match="is no MIDI number of a piano"):
            frames_of(bad)


def test_a_midi_file_holds_each_note_for_as_long_as_it_sounds(tmp_path: Path) -> None:
    file = tmp_path / "a.mid"
    write_midi(file, [[60, 64], [60], [], [60], []], quarters=0.5, tempo=120)
    now, heard = 0.0, []
    read = mido.MidiFile(file)
    for message in read:
        now += message.time
        if not message.is_meta:
            heard.append((message.type, message.note, round(now, 6)))
    assert heard == [("note_on", 60, 0), ("note_on", 64, 0), ("note_off", 64, 0.25), ("note_off", 60, 0.5),
                     ("note_on", 60, 0.75), ("note_off", 60, 1.0)]
    assert read.length == pytest.approx(1.25)


@pytest.fixture(scope="module")
def run_id(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trained run in a home of its own."""
    from made_music import make_config

    place = tmp_path_factory.mktemp("music")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATESWEEP_HOME", str(place / "home"))
        yield gatesweep.run(make_config(write_json(place / "music.json"), trainer={"max_epochs": 1})).run_id


def _asked(*arguments: str) -> Any:
    return CliRunner().invoke(app, [*arguments, "--json"])


def test_the_command_writes_the_same_midi_for_the_same_seed(run_id: str, tmp_path: Path) -> None:
    answers = []
    for name, seed in (("a.mid", "0"), ("b.mid", "0"), ("c.mid", "1")):
        answer = _asked("sample", run_id, "--prompt", "60 64 67, -", "--tokens", "12", "--seed", seed, "--out",
                        str(tmp_path / name))
        assert answer.exit_code == 0, answer.output
        answers.append(json.loads(answer.stdout))
    files = [(tmp_path / name).read_bytes() for name in ("a.mid", "b.mid", "c.mid")]
    assert files[0] == files[1] != files[2]
    assert answers[0]["text"] == answers[1]["text"]
    assert answers[0]["file"] == str(tmp_path / "a.mid")
    whole = frames_of(answers[0]["prompt"] + answers[0]["text"])
    assert len(whole) == 14
    on = [message.note for message in mido.MidiFile(tmp_path / "a.mid") if message.type == "note_on"]
    assert sorted(on)[:1] == [min(each for notes in whole for each in notes)]


@pytest.mark.parametrize(("out", "said"), [("a.txt", "is no name of a MIDI file"),
                                           ("none/a.mid", "its folder is not there")])
def test_a_place_where_no_midi_can_be_written_is_refused(run_id: str, tmp_path: Path, out: str, said: str) -> None:
    answer = _asked("sample", run_id, "--tokens", "3", "--out", str(tmp_path / out))
    assert answer.exit_code == 2
    assert said in answer.output


def test_a_run_is_scored_on_a_sister_set_that_it_never_saw(run_id: str, tmp_path: Path) -> None:
    (tmp_path / "nottingham.json").write_text(json.dumps({"test": make_pieces(4, 9)}))
    answer = _asked("evaluate", run_id, "--split", "test", "--data", str(tmp_path / "nottingham.json"))
    assert answer.exit_code == 0, answer.output
    found = json.loads(answer.stdout)
    assert found["metrics"]["test/loss"] > 0
    assert found["baseline"]["metrics"]["test/loss"] > 0


@pytest.mark.parametrize("family", ["attention", "transformer", "tcn", "xlstm", "memory"])
def test_every_family_reads_music(config_of: Make, family: str) -> None:
    task, recipe = prepare(config_of(model={"family": family, "hidden_size": 16}))
    assert {"train/loss", "val/loss", "val/piece_loss", "val/accuracy"} <= set(prove(task, recipe))


@pytest.mark.parametrize("cell", ["gru", "slstm", "mlstm"])
def test_every_kind_of_cell_reads_music(config_of: Make, cell: str) -> None:
    task, recipe = prepare(config_of(model={"cell": cell}))
    assert 0 < prove(task, recipe)["val/loss"] < 100


@pytest.mark.parametrize("precision", ["bf16", "64"])
def test_it_trains_in_other_precisions(config_of: Make, precision: str) -> None:
    task, recipe = prepare(config_of(trainer={"precision": precision}, model={"head": "autoregressive"}))
    assert 0 < prove(task, recipe)["val/loss"] < 100


def test_a_model_is_counted_without_being_made(make_task: Make) -> None:
    task = make_task()
    others = ({"layers": 2}, {"head": "autoregressive"}, {"cell": "mingru"})
    counts_what_it_trains(task, MusicModel(hidden_size=10, head_size=20), *(MusicModel(**each) for each in others))
