"""Speech as the rest of the house sees it: trained, resumed, scored, streamed, helped by a language model, drawn."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from sizes import counts_what_it_trains

from gatesweep.data.audio.quality import audio_quality, is_audio
from gatesweep.errors import ConfigError, DataError
from gatesweep.models.families import FAMILIES
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import ExperimentConfig, experiment_from
from gatesweep.tasks.language_modeling.config import LanguageModel
from gatesweep.tasks.language_modeling.module import build_network as build_language
from gatesweep.tasks.registry import load_task, metric_names, model_section
from gatesweep.tasks.speech.config import SpeechModel
from gatesweep.tasks.speech.fusion import Language
from gatesweep.tasks.speech.streaming import Stream
from gatesweep.train.checkpoint import state_file
from gatesweep.train.fit import fit
from gatesweep.train.score import score

Make = Callable[..., Any]
STRINGS = {"target": "text", "units": "word",
           "strings": {"least": 1, "most": 3, "train": 48, "val": 10, "test": 12, "pause_ms": 60}}  # fmt: skip
CHANGES = {"augment": {"speed": 0.1, "noise": 0.5, "gain_db": 3, "time_masks": 1, "freq_masks": 1}}


def config(data: dict[str, Any], *, model: dict[str, Any] | None = None, epochs: int = 3,
           lr: float = 0.01) -> ExperimentConfig:
    return experiment_from({
        "task": "speech_recognition", "data": data, "model": {"hidden_size": 12, "beam_size": 3, **(model or {})},
        "optimizer": {"name": "adam", "lr": lr}, "trainer": {"max_epochs": epochs, "batch_size": 8}, "seed": 3,
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
    task = load_task("speech_recognition")
    assert model_section("speech_recognition") is task.model_section is SpeechModel
    assert metric_names("speech_recognition") == {"train/loss"} | {f"{split}/{name}" for split in ("val", "test")
                                                                   for name in task.metrics}


@pytest.mark.parametrize(("data", "model"), [
    (CHANGES, {"dropout": 0.2, "input_dropout": 0.1}),
    ({**STRINGS, **CHANGES}, {"output": "ctc", "stack": 2}),
    ({**STRINGS, **CHANGES}, {"output": "attention", "embedding_size": 8, "max_output": 6, "stack": 3}),
    (STRINGS, {"output": "frames", "dropout": 0.1}),
])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    spoken: Path, tmp_path: Path, fsdd_settings: Make, data: dict[str, Any], model: dict[str, Any]
) -> None:
    settings = config(fsdd_settings(spoken, **data), model=model)
    whole, _ = train(settings, tmp_path / "whole")
    first, _ = train(settings, tmp_path / "cut", until=2)
    torch.manual_seed(99)  # another process would have other generators
    rest, _ = train(settings, tmp_path / "cut", resume=first[-1].checkpoint)
    assert numbers(first + rest) == numbers(whole)
    was, now = (torch.load(state_file(each[-1].checkpoint), weights_only=True)["state_dict"] for each in (whole, rest))
    assert all(torch.equal(was[key], now[key]) for key in was)


def test_it_tells_words_apart_and_says_what_the_trivial_answer_scores(spoken: Path, tmp_path: Path,
                                                                      fsdd_settings: Make) -> None:
    reports, task = train(config(fsdd_settings(spoken), epochs=6), tmp_path)
    assert reports[-1].metrics["val/accuracy"] > 0.9
    beside = task.baseline("test")
    assert beside.candidates["most frequent"] == {"accuracy": 0.25}
    assert beside.candidates["nearest mean"]["accuracy"] > 0.25
    assert (beside.name, beside.metrics) == ("nearest mean", beside.candidates["nearest mean"])
    table = task.predictions("test")
    assert score(task, "test")["test/accuracy"] == pytest.approx((table["greedy"] == table["reference"]).mean())


def test_it_tells_speakers_apart(spoken: Path, tmp_path: Path, fsdd_settings: Make) -> None:
    reports, task = train(config(fsdd_settings(spoken, target="speaker"), epochs=8), tmp_path)
    assert task.targets.symbols.names == ("anna", "bert", "carl")
    assert reports[-1].metrics["val/accuracy"] > 0.8


def test_strings_are_learnt_without_being_told_where_words_are(spoken: Path, tmp_path: Path,
                                                               fsdd_settings: Make) -> None:
    strings = {**STRINGS, "strings": {**STRINGS["strings"], "train": 300}}
    settings = config(fsdd_settings(spoken, **strings),
                      model={"output": "ctc", "hidden_size": 24, "stack": 2}, epochs=8,
                      lr=0.01)
    reports, task = train(settings, tmp_path)
    assert reports[-1].metrics["val/wer"] < 0.2
    assert task.baseline("val").metrics["wer"] > 0.6
    found, table = score(task, "test"), task.predictions("test")
    references = table["reference"].tolist()
    for how, prefix in (("greedy", ""), ("beam", "beam_")):
        assert found[f"test/{prefix}wer"] == pytest.approx(jiwer.wer(references, table[how].tolist()))
        assert found[f"test/{prefix}cer"] == pytest.approx(jiwer.cer(references, table[how].tolist()))


def test_the_loss_of_frames_is_the_mean_over_them(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken, model={"output": "frames", "label_smoothing": 0.3}, **STRINGS)
    total, count = 0.0, 0
    for batch in task.loader("val"):
        log_probs, _, _ = task.module.network.eval()(batch.x_BTD, batch.lengths_B)
        for row, length in enumerate(batch.lengths_B.tolist()):
            said = batch.said_BT[row, :length]
            total -= float(log_probs[row, torch.arange(length), said].detach().sum())
            count += length
    assert score(task, "val")["val/loss"] == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("output", ["label", "ctc", "attention"])
def test_every_family_listens(spoken: Path, make_task: Make, family: str, output: str) -> None:
    data = {} if output == "label" else STRINGS
    model = {"family": family, "output": output, "hidden_size": 8, "embedding_size": 8,
             "stack": 4, "max_output": 4, "beam_size": 2}  # fmt: skip
    task = make_task(spoken, model=model, **data)
    batch = next(iter(task.data_module.train_dataloader()))
    total, count = task.module.nats(batch)
    (total / count).backward()
    grads = [p.grad for p in task.module.network.encoder.parameters() if p.requires_grad]
    assert any(g is not None and float(g.abs().sum()) > 0 for g in grads)
    assert len(task.module.eval().writer.write(batch, beam=task.module.writer.has_beam)) == len(batch.x_BTD)


@pytest.mark.parametrize("cell", ["vanilla", "gru", "slstm", "mingru"])
@pytest.mark.parametrize("beam", [False, True])
def test_chunk_by_chunk_gives_the_same_text_as_the_whole(spoken: Path, make_task: Make, make_tones: Make, cell: str,
                                                         beam: bool) -> None:
    model = {"output": "ctc", "streaming": True, "bidirectional": False, "cell": cell, "stack": 3, "beam_size": 3,
             "hidden_size": 16}
    more = {"features": {"cepstra": 10}} if cell == "gru" else {}
    task = make_task(spoken, model=model, seed=5, **STRINGS, **more)
    module = task.module.eval()
    sound = np.concatenate([make_tones(d, "bert", 9) for d in (0, 2, 1, 3, 3)])
    with torch.no_grad():
        module.network.head.weight.mul_(8.0)  # an untrained model that writes something
        x_TD = task.corpus.scaling(Stream(module).frontend(sound))
        log_probs, steps, _ = module.network(torch.from_numpy(x_TD)[None], torch.tensor([len(x_TD)]))
    search = module.writer.search(beam=beam)()
    search.advance(log_probs[0, : int(steps[0])].numpy())
    whole = task.targets.symbols.decode(search.best())
    assert len(whole.split()) >= 2
    for size in (57, 800, 100_000):
        stream = Stream(module, beam=beam)
        for start in range(0, len(sound), size):
            stream.feed(sound[start : start + size])
        assert stream.finish() == whole


def test_a_model_that_sees_the_future_does_not_stream(spoken: Path, make_task: Make) -> None:
    with pytest.raises(ConfigError, match="does not answer while the sound comes in"):
        Stream(make_task(spoken, model={"output": "ctc"}, **STRINGS).module)


def language_checkpoint(file: Path, words: list[str]) -> Path:
    settings = LanguageModel(hidden_size=6)
    network = build_language(settings, len(words), seed=7)
    with torch.no_grad():
        network.decoder.bias.copy_(torch.arange(len(words)) * 0.5)
    torch.save({"state_dict": {f"network.{k}": v for k, v in network.state_dict().items()}, "vocabulary": words,
                "language_model": settings.model_dump(mode="json")}, file)  # fmt: skip
    return file


def test_a_language_model_says_how_likely_each_symbol_and_the_end_are(spoken: Path, make_task: Make,
                                                                      tmp_path: Path) -> None:
    words = ["<unk>", "<eos>", "zero", "two", "three"]
    symbols = make_task(spoken, model={"output": "ctc"}, **STRINGS).targets.symbols
    language = Language.of_checkpoint(language_checkpoint(tmp_path / "lm.ckpt", words), symbols)
    two, one = symbols.number("two"), symbols.number("one")
    read = language.network(torch.tensor([[1, 3, 0]]))  # the end before the line, "two", and "one" as unknown
    expected = language.network.logits(read.outputs_BTO)[0, -1].double().log_softmax(0).detach().numpy()
    found = language((two, one))
    assert found[two] == pytest.approx(expected[3], abs=1e-5)
    assert found[0] == pytest.approx(expected[1], abs=1e-5)
    assert found[one] == pytest.approx(expected[0], abs=1e-5)


@pytest.mark.parametrize("output", ["ctc", "attention"])
def test_fusion_without_weight_changes_nothing_and_with_much_of_it_writes_what_it_likes(
    spoken: Path, make_task: Make, tmp_path: Path, output: str
) -> None:
    file = language_checkpoint(tmp_path / "lm.ckpt", ["<unk>", "<eos>", "zero", "one", "two", "three"])
    model = {"output": output, "embedding_size": 8, "max_output": 5, "beam_size": 4}

    def written(**more: Any) -> list[str]:
        task = make_task(spoken, model={**model, **more}, **STRINGS)
        assert [each.name for each in task.datasets[1:]] == (["lm"] if "lm" in more else [])
        return task.predictions("test")["beam"].tolist()

    plain = written()
    assert written(lm=str(file), lm_weight=0.0) == plain
    assert written(lm=str(file), lm_weight=5.0, lm_bonus=6.0) != plain


def test_a_file_that_is_no_language_model_is_refused(spoken: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="is no checkpoint of a language_modeling run"):
        make_task(spoken, model={"output": "ctc", "lm": str(spoken / "0_anna_0.wav")}, **STRINGS)


def test_another_folder_is_scored_as_the_training_s_own(spoken: Path, tmp_path: Path, write_wave: Make,
                                                        make_tones: Make, make_task: Make) -> None:
    task, other = make_task(spoken), tmp_path / "other"
    rows = [(f"{d}/{take}.wav", word) for d, word in enumerate(("zero", "one", "two")) for take in range(2)]
    for name, _ in rows:
        write_wave(other / name, make_tones(int(name[0]), "bert", 30 + int(name[2])))
    pd.DataFrame(rows, columns=["file", "text"]).to_csv(other / "transcripts.csv", index=False)
    table = task.predictions("test", other)
    assert table["reference"].tolist() == ["zero", "zero", "one", "one", "two", "two"]
    assert task.baseline("test", other).candidates["most frequent"]["accuracy"] == pytest.approx(2 / 6)
    assert task.predictions("all", other)["greedy"].tolist() == table["greedy"].tolist()
    assert task.predictions("val", other)["greedy"].tolist() == table["greedy"].tolist()
    pd.DataFrame([(rows[0][0], "eleven"), *rows[1:]], columns=["file", "text"]).to_csv(other / "transcripts.csv",
                                                                                       index=False)
    with pytest.raises(DataError, match="the word 'eleven' is none of the training's"):
        list(task.loader("test", other))


def test_recordings_that_were_trained_on_are_said_when_another_folder_holds_them(spoken: Path, tmp_path: Path,
                                                                                 make_task: Make) -> None:
    lines: list[str] = []
    task, other = make_task(spoken, say=lines.append), tmp_path / "other"
    other.mkdir()
    for take in (1, 3, 4):
        (other / f"0_anna_{take}.wav").write_bytes((spoken / f"0_anna_{take}.wav").read_bytes())
    task.predictions("test", other)
    assert any(line.startswith("note: 2 recordings") for line in lines)


def test_halves_without_their_other_half_are_refused_or_dropped_and_counted(spoken: Path, make_task: Make) -> None:
    files = sorted(spoken.glob("*.wav"))
    rows = [(f.name, f"word {f.name[0]}", f.name.split("_")[1]) for f in files]
    frame = pd.DataFrame([*rows[2:], ("gone.wav", "nothing", "anna")], columns=["file", "text", "speaker"])
    frame.to_csv(spoken / "transcripts.csv", index=False)
    own = {"name": None, "test_takes": None, "val_takes": None, "partial": False}
    given = {**own, "path": str(spoken), "target": "text"}
    settings = {key: value for key, value in given.items() if value is not None}

    def build(**more: Any) -> Any:
        return load_task("speech_recognition")(
            load_task("speech_recognition").data_section(**{**settings, **more}),
            SpeechModel(hidden_size=8, output="ctc"), batch_size=8, seed=1, say=lambda line: None)  # fmt: skip

    with pytest.raises(DataError, match=r"1 transcripts without their file, first 'gone\.wav'"):
        build()
    said = "\n".join(build(unpaired="drop").describe())
    assert "dropped 1: transcripts without their file" in said
    assert "dropped 2: files without a transcript" in said


@pytest.mark.parametrize(("rows", "said"), [
    ([("0_anna_0.wav", "a"), ("0_anna_0.wav", "b")], "row 3: '0_anna_0.wav' is named twice"),
    ([("0_anna_0.wav", " ")], "row 2: '0_anna_0.wav' has an empty transcript"),
    ([("../0_anna_0.wav", "a")], "lies outside the folder"),
])
def test_a_transcript_that_cannot_be_right_is_refused_with_its_row(spoken: Path, rows: list[tuple[str, str]],
                                                                   said: str) -> None:
    from gatesweep.data.audio.transcripts import read_transcripts

    pd.DataFrame(rows, columns=["file", "text"]).to_csv(spoken / "transcripts.csv", index=False)
    with pytest.raises(DataError, match=said):
        read_transcripts(spoken)


def test_pictures_show_mistakes_and_the_curve_under_noise(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken)
    drawn = task.figures("val")
    assert set(drawn) == {"confusion", "noise"}
    assert all(isinstance(each, Figure) for each in drawn.values())
    lines = drawn["noise"].axes[0].get_lines()
    assert len(lines[0].get_ydata()) == 6
    assert lines[1].get_ydata()[0] == pytest.approx(1 - task.baseline("val").metrics["accuracy"])


def test_noise_of_the_configuration_is_what_val_and_test_are_scored_under(spoken: Path, make_task: Make) -> None:
    clean, noisy = make_task(spoken), make_task(spoken, noise_snr_db=0.0)
    one, other = (next(iter(task.loader("test"))).x_BTD for task in (clean, noisy))
    assert one.shape == other.shape
    assert not torch.allclose(one, other, atol=0.1)
    again = next(iter(noisy.loader("test"))).x_BTD
    assert torch.equal(other, again)


def test_quality_counts_what_is_odd_in_a_folder(spoken: Path, write_wave: Make) -> None:
    write_wave(spoken / "0_anna_20.wav", np.zeros(4000))
    (spoken / "3_carl_0.wav").write_bytes((spoken / "3_carl_7.wav").read_bytes())
    (spoken / "3_carl_6.wav").write_bytes(b"")
    assert is_audio(str(spoken))
    report = audio_quality(str(spoken))
    assert report.recordings == 97
    odd = {what: count for what, count in report.findings.items() if count}
    assert odd == {"silent": 1, "broken": 1, "repeated": 1}
    assert report.leakage == {"test-train": 1}
    assert report.examples["broken"] == ["3_carl_6.wav"]
    assert report.texts["three"] == 24


def test_a_model_is_counted_without_being_made(spoken: Path, make_task: Callable[..., Any]) -> None:
    task = make_task(spoken)
    counts_what_it_trains(task, task.model, SpeechModel(hidden_size=13, layers=2, output="frames"))
