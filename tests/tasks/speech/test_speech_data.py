"""Recordings on their way to batches: who is held out, what is left out and said, what training hears."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gatesweep.config.loader import build
from gatesweep.data.audio.sounds import open_sounds
from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.speech.augment import at_speed, drawn_speed, masked, speed_step, with_noise
from gatesweep.tasks.speech.config import SpeechData, SpeechModel
from gatesweep.tasks.speech.features import Frontend, Scaling
from gatesweep.tasks.speech.sound_config import AugmentConfig, FeatureConfig
from gatesweep.tasks.speech.speakers import LEAST_SHARE, evenly
from gatesweep.tasks.speech.strings import put_together
from gatesweep.tasks.speech.symbols import Symbols

Make = Callable[..., Any]
STRINGS = {"target": "text", "units": "word", "strings": {"least": 1, "most": 3, "train": 20, "val": 6, "test": 7}}


def batches(task: Any, epoch: int) -> list[Any]:
    loader = task.data_module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def same(one: list[Any], other: list[Any]) -> bool:
    return len(one) == len(other) and all(
        torch.equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y, strict=True))


def takes(task: Any, split: str) -> set[int]:
    return {task.corpus.rows[i].take for i in task.corpus.index[split]}


def test_takes_and_speakers_are_held_out_as_asked(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken)
    assert [takes(task, split) for split in ("train", "val", "test")] == [{3, 4, 5, 6, 7}, {2}, {0, 1}]
    alone = make_task(spoken, test_speaker="anna")
    who = {split: {alone.corpus.rows[i].speaker for i in index} for split, index in alone.corpus.index.items()}
    assert who == {"train": {"bert", "carl"}, "val": {"bert", "carl"}, "test": {"anna"}}
    assert takes(alone, "test") == set(range(8))
    assert takes(alone, "train") == {0, 1, 3, 4, 5, 6, 7}
    both = make_task(spoken, test_speaker="anna", val_speaker="carl")
    assert {both.corpus.rows[i].speaker for i in both.corpus.index["val"]} == {"carl"}


def test_a_speaker_who_is_not_there_is_refused_with_those_who_are(spoken: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="no speaker 'dora'") as raised:
        make_task(spoken, test_speaker="dora")
    assert "anna, bert, carl" in str(raised.value)


def test_takes_that_are_not_there_are_refused(spoken: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="no recording is left for test"):
        make_task(spoken, test_takes=[40])


def test_another_count_than_the_published_one_is_refused_unless_it_is_allowed(spoken: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="96 recordings of 3 speakers"):
        make_task(spoken, partial=False)
    assert any("published are 3,000" in line for line in make_task(spoken).describe())


def test_what_training_hears_is_a_function_of_seed_and_epoch(spoken: Path, make_task: Make) -> None:
    changes = {"augment": {"speed": 0.2, "noise": 0.5, "gain_db": 6, "time_masks": 1, "freq_masks": 1}, **STRINGS}

    def task(seed: int) -> Any:
        return make_task(spoken, seed=seed, model={"output": "ctc"}, **changes)

    assert same(batches(task(1), 3), batches(task(1), 3))
    assert not same(batches(task(1), 3), batches(task(1), 4))
    assert not same(batches(task(1), 3), batches(task(2), 3))
    one = task(1)
    assert same(list(one.loader("val")), list(one.loader("val")))
    assert {len(batches(one, epoch)) for epoch in range(4)} == {3}


def test_strings_are_of_one_speaker_and_their_text_is_what_they_are_made_of(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken, model={"output": "ctc"}, **STRINGS)
    train = set(task.corpus.index["train"])
    for each in task.corpus.utterances("train", epoch=2, seed=1):
        rows = [task.corpus.rows[i] for i in each.parts]
        assert set(each.parts) <= train
        assert {row.speaker for row in rows} == {each.speaker}
        assert each.text == " ".join(row.text for row in rows)
        assert len(each.pauses_s) == len(rows) + 1
    assert len(task.corpus.utterances("test")) == 7


def test_each_frame_of_a_string_knows_its_word(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken, model={"output": "frames"}, **STRINGS)
    batch = next(iter(task.loader("test")))
    for row, i in enumerate(batch.index_B.tolist()):
        said = task.corpus.utterances("test")[i]
        frames = batch.said_BT[row, : batch.lengths_B[row]].tolist()
        stretches = [s for t, s in enumerate(frames) if s and (t == 0 or s != frames[t - 1])]
        words = [task.targets.symbols.number(word) for word in said.text.split()]
        runs = [w for n, w in enumerate(words) if n == 0 or w != words[n - 1]]
        assert [s for n, s in enumerate(stretches) if n == 0 or s != stretches[n - 1]] == runs
        assert (batch.said_BT[row, batch.lengths_B[row] :] == -1).all()


def test_features_of_pieces_put_together_are_those_of_the_whole(make_tones: Make) -> None:
    sound = np.concatenate([make_tones(d, "anna", 0) for d in range(3)])
    frontend = Frontend(FeatureConfig(), 8000)
    whole, online, found = frontend(sound), frontend.online(), []
    for start in range(0, len(sound), 333):
        online.accept_waveform(8000, sound[start : start + 333])
        found += [np.array(online.get_frame(t)) for t in range(len(found), online.num_frames_ready)]
    assert whole.shape == (frontend.frames(len(sound)), 40)
    assert np.array_equal(np.stack(found), whole)


def test_a_tone_is_loudest_in_the_filter_that_it_lies_in() -> None:
    t = np.arange(8000) / 8000
    centres = [int(Frontend(FeatureConfig(), 8000)(np.sin(2 * np.pi * hz * t).astype(np.float32)).mean(0).argmax())
               for hz in (200, 500, 1000, 2000, 3500)]  # fmt: skip
    mel = [1127 * np.log(1 + hz / 700) for hz in (20, 200, 500, 1000, 2000, 3500, 4000)]
    step = (mel[-1] - mel[0]) / 41
    assert centres == [round((each - mel[0]) / step) - 1 for each in mel[1:-1]]


def test_features_are_kept_by_content(spoken: Path, make_task: Make, tmp_path: Path) -> None:
    one = make_task(spoken)
    kept = list((tmp_path / "home" / "cache").rglob("*.npy"))
    assert len(kept) == 2
    before = {file: file.stat().st_mtime_ns for file in kept}
    sounds = open_sounds(one.corpus.rows, 8000, md5=one.datasets[0].md5)
    assert np.array_equal(Frontend(FeatureConfig(), 8000)(sounds.samples(5)), one.corpus.frames[5])
    make_task(spoken, test_takes=[4])
    assert {file: file.stat().st_mtime_ns for file in (tmp_path / "home" / "cache").rglob("*.npy")} == before
    make_task(spoken, features={"mels": 20})
    assert len(list((tmp_path / "home" / "cache").rglob("*.npy"))) == 3


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 12.5, 40.0])
def test_noise_has_the_power_that_the_ratio_says(snr_db: float) -> None:
    sound = np.sin(np.arange(40_000) / 7).astype(np.float32)
    noise = with_noise(sound, snr_db, np.random.default_rng(0)) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) == pytest.approx(snr_db, abs=0.1)


def test_speed_changes_length_and_pitch() -> None:
    sound = np.sin(2 * np.pi * 500 * np.arange(8000) / 8000).astype(np.float32)
    fast = at_speed(sound, 1.25)
    assert len(fast) == 6400
    assert np.abs(np.fft.rfft(fast)).argmax() * 8000 / len(fast) == pytest.approx(625, abs=2)


def test_masks_are_no_wider_than_asked_and_leave_the_rest() -> None:
    x, config = np.ones((100, 40), np.float32), AugmentConfig(time_masks=1, time_mask_frames=50, time_mask_share=0.1,
                                                              freq_masks=1, freq_mask_bands=5)
    for seed in range(30):
        found = masked(x, config, np.random.default_rng(seed))
        rows, columns = (found == 0).all(1).sum(), (found == 0).all(0).sum()
        assert rows <= 10
        assert columns <= 5
        assert (found == 0).sum() == rows * 40 + columns * 100 - rows * columns
    assert (x == 1).all()


def test_global_cmvn_is_over_all_training_frames_alone(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken)
    frames = np.concatenate([task.corpus.frames[i] for i in task.corpus.index["train"]]).astype(np.float64)
    assert np.allclose(task.corpus.scaling.mean_D, frames.mean(0), atol=1e-4)
    assert np.allclose(task.corpus.scaling.deviation_D, frames.std(0), rtol=1e-3)
    heard = torch.cat([x[: int(n)] for b in task.loader("train") for x, n in zip(b.x_BTD, b.lengths_B, strict=True)])
    assert torch.allclose(heard.mean(0), torch.zeros(40), atol=1e-3)


def test_speaker_cmvn_is_over_a_speakers_training_frames_or_all_of_one_who_is_not_trained_on(
    spoken: Path, make_task: Make
) -> None:
    task = make_task(spoken, features={"cmvn": "speaker"})
    corpus, held = task.corpus, make_task(spoken, features={"cmvn": "speaker"}, test_speaker="anna").corpus
    speakers = {row.speaker for row in corpus.rows}
    assert set(corpus.of_speaker.numbers) == speakers == set(held.of_speaker.numbers)
    assert len(speakers) > 1
    for each, split in ((corpus, "train"), (held, "train"), (held, "test")):
        for speaker in {each.rows[i].speaker for i in each.index[split]}:
            x_TD = np.concatenate([each.scaled(each.frames[i], speaker) for i in each.index[split]
                                   if each.rows[i].speaker == speaker])  # fmt: skip
            assert np.allclose(x_TD.mean(0), 0, atol=1e-3)
            assert np.allclose(x_TD.std(0), 1, atol=1e-3)
    batch = next(iter(task.loader("test")))
    row = corpus.index["test"][int(batch.index_B[0])]
    expected = corpus.of_speaker(corpus.rows[row].speaker)(corpus.frames[row])
    assert np.allclose(batch.x_BTD[0, : int(batch.lengths_B[0])].numpy(), expected, atol=1e-5)


def test_a_voice_that_is_played_faster_is_scaled_as_another_speaker(spoken: Path, make_task: Make) -> None:
    task = make_task(spoken, features={"cmvn": "speaker"}, augment={"speed": 0.4})
    corpus, utterances = task.corpus, task.data_module.train_dataloader().dataset
    speaker = utterances.said[0].speaker
    mine = [number for number, each in enumerate(utterances.said) if each.speaker == speaker]
    one = mine[1]
    speed = drawn_speed(corpus.data.augment, np.random.default_rng((utterances.seed, 0, one)))
    assert speed_step(speed) != speed_step(1.0)
    played = {number: corpus.of_speaker._at(utterances.said[number].parts[0], speed) for number in mine}
    every_TD = np.concatenate(list(played.values()))
    scaled_TD = (played[one] - every_TD.mean(0)) / np.maximum(
        every_TD.std(0), LEAST_SHARE * corpus.of_speaker(speaker).deviation_D)
    assert np.allclose(utterances.heard(one).x_TD, scaled_TD, atol=1e-3)
    assert not np.allclose(corpus.of_speaker(speaker).mean_D, every_TD.mean(0), atol=1e-3)


def test_cepstra_are_the_cosine_transform_of_the_energies_and_deltas_are_of_them(spoken: Path, make_task: Make) -> None:
    plain = make_task(spoken).corpus.frames[0].astype(np.float64)
    corpus = make_task(spoken, features={"cepstra": 13, "deltas": True}).corpus
    frames, M = corpus.frames[0], plain.shape[1]
    k, m = np.arange(13)[None], np.arange(M)[:, None]
    transform = np.cos(np.pi * k * (m + 0.5) / M) * np.where(k == 0, np.sqrt(1 / M), np.sqrt(2 / M))
    assert (corpus.size, frames.shape[1]) == (26, 26)
    assert np.allclose(frames[:, :13], plain @ transform, atol=1e-3)
    middle = sum(n * (frames[2 + n:][:1, :13] - frames[2 - n:][:1, :13]) for n in (1, 2)) / 10
    assert np.allclose(frames[2, 13:], middle[0], atol=1e-3)


@pytest.mark.parametrize(("count", "most", "expected"), [(3, 5, [0, 1, 2]), (9, 5, [0, 2, 4, 6, 8]), (0, 5, [])])
def test_a_few_of_many_recordings_are_taken_evenly(count: int, most: int, expected: list[int]) -> None:
    assert evenly(range(count), most) == expected


def test_utterance_cmvn_makes_every_utterance_alike(spoken: Path, make_task: Make) -> None:
    batch = next(iter(make_task(spoken, features={"cmvn": "utterance"}).loader("test")))
    for x, length in zip(batch.x_BTD, batch.lengths_B, strict=True):
        assert torch.allclose(x[:length].mean(0), torch.zeros(40), atol=1e-4)
    constant = np.full((5, 3), 2.0, np.float32)
    assert np.isfinite(Scaling.of(constant)(constant)).all()


def test_silent_short_repeated_and_converted_recordings_are_counted_and_said(
    spoken: Path, make_task: Make, write_wave: Make, make_tones: Make
) -> None:
    write_wave(spoken / "0_anna_20.wav", np.zeros(4000))
    write_wave(spoken / "0_anna_21.wav", make_tones(0, "anna", 21)[:100])
    (spoken / "0_anna_22.wav").write_bytes((spoken / "0_anna_0.wav").read_bytes())
    stereo = np.repeat(np.stack([make_tones(1, "bert", 23)] * 2, 1), 5, axis=0)
    write_wave(spoken / "1_bert_23.wav", stereo, rate=40_000)
    write_wave(spoken / "1_bert_24.wav", (4 * make_tones(1, "bert", 24)).clip(-1, 1))
    task = make_task(spoken)
    said = "\n".join(task.describe())
    for line in ("1 recordings are silent and left out", "1 recordings are shorter than a window and left out",
                 "1 recordings repeat another one", "1 recordings were recorded at 40,000 Hz",
                 "1 recordings have several channels", "1 recordings are clipped, and stay"):  # fmt: skip
        assert line in said
    used = {task.corpus.rows[i].path.name for index in task.corpus.index.values() for i in index}
    assert used.isdisjoint({"0_anna_20.wav", "0_anna_21.wav", "0_anna_22.wav"})
    assert {"0_anna_0.wav", "1_bert_23.wav", "1_bert_24.wav"} <= used


@pytest.mark.parametrize("bytes_", [b"", b"RIFF", b"no wave at all, but some text"])
def test_a_broken_file_is_refused_or_dropped_and_counted(spoken: Path, make_task: Make, bytes_: bytes) -> None:
    (spoken / "0_anna_30.wav").write_bytes(bytes_)
    with pytest.raises(DataError, match="no sound") as raised:
        make_task(spoken)
    assert "0_anna_30.wav" in str(raised.value)
    assert any("1 recordings are broken and left out" in line for line in make_task(spoken, broken="drop").describe())


def test_a_file_of_no_samples_is_broken_and_a_set_of_one_sound_is_refused(spoken: Path, make_task: Make,
                                                                           write_wave: Callable[..., None]) -> None:
    write_wave(spoken / "2_carl_5.wav", np.zeros(0))
    with pytest.raises(DataError, match=r"2_carl_5\.wav: holds no sample"):
        make_task(spoken)
    assert any("1 recordings are broken and left out" in line for line in make_task(spoken, broken="drop").describe())
    sound = (spoken / "0_anna_0.wav").read_bytes()
    for file in spoken.glob("*.wav"):
        file.write_bytes(sound)
    with pytest.raises(DataError, match="no recording is left in train") as caught:
        make_task(spoken)
    assert "95 recordings repeat another one sample for sample" in str(caught.value)


def test_a_file_that_was_cut_off_is_broken(spoken: Path, make_task: Make) -> None:
    whole = (spoken / "0_anna_0.wav").read_bytes()
    (spoken / "0_anna_0.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="is no sound"):
        make_task(spoken)


def test_a_smaller_fraction_is_a_part_of_a_larger_one(spoken: Path, make_task: Make) -> None:
    small, large = (set(make_task(spoken, fraction=f).corpus.index["train"]) for f in (0.2, 0.6))
    assert small < large
    rows = make_task(spoken).corpus.rows
    assert {rows[i].text for i in small} == {"zero", "one", "two", "three"}


def test_a_pause_is_as_loud_as_the_quietest_piece_and_belongs_to_none() -> None:
    rng = np.random.default_rng(0)
    pieces = [(level * rng.standard_normal(n)).astype(np.float32) for level, n in ((0.1, 2000), (0.3, 1000))]
    samples, place = put_together(pieces, (0.1, 0.05, 0.0), 8000, np.random.default_rng(1))
    assert place.tolist() == [-1] * 800 + [0] * 2000 + [-1] * 400 + [1] * 1000
    assert 0.05 < samples[:800].std() < 0.11
    assert np.array_equal(samples[800:2800], pieces[0])


def test_text_comes_back_from_its_symbols() -> None:
    for units, text in (("char", "nine o one"), ("word", "nine o one"), ("phone", "n ay n")):
        symbols = Symbols.learn([text], units, "ctc")
        assert symbols.decode(symbols.encode(text)) == text
        assert symbols.encode(text).min() > 1
    assert Symbols.learn(["ab"], "char", "ctc").encode("c").tolist() == [1]


@pytest.mark.parametrize(("given", "said"), [
    ({}, "'path' is missing"),
    ({"name": "digits"}, "'digits' has one recording of each character"),
    ({"name": "vowels"}, "'vowels' are frames of one vowel each"),
    ({"name": "vowels", "target": "speaker", "features": {"cepstra": 4}}, "'vowels' are cepstra already"),
    ({"path": "x", "features": {"mels": 12, "cepstra": 13}}, "12 filters have no 13 coefficients"),
    ({"path": "x", "features": {"cepstra": 13}, "augment": {"freq_masks": 1}}, "hide bands"),
    ({"name": "digits", "path": "x"}, "takes no 'path'"),
    ({"name": "fsdd", "path": "x", "test_takes": [1], "val_takes": [1]}, "a take is in val_takes and in test_takes"),
    ({"path": "x", "test_takes": [1]}, "go with `name: fsdd`"),
    ({"path": "x", "target": "speaker", "test_speaker": "a"}, "who speaks cannot be asked"),
    ({"path": "x", "strings": {}}, "a string has several words"),
])
def test_data_settings_that_fit_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        build(SpeechData, given, place="data")


@pytest.mark.parametrize(("given", "said"), [
    ({"streaming": True, "output": "ctc"}, "a bidirectional model sees what comes later"),
    ({"streaming": True, "bidirectional": False}, "'label' waits for the end"),
    ({"tie": "all"}, "sound has no embeddings"),
    ({"lm": "x.ckpt"}, "'label' has no beam search"),
])
def test_model_settings_that_fit_nothing_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        build(SpeechModel, given, place="model")


@pytest.mark.parametrize(("data", "model", "said"), [
    ({"target": "text"}, {"output": "label"}, "gives one answer"),
    ({"target": "word"}, {"output": "ctc"}, "writes text"),
    ({"target": "text"}, {"output": "frames"}, "needs to know what each frame says"),
    ({"target": "text", "features": {"cmvn": "utterance"}},
     {"output": "ctc", "streaming": True, "bidirectional": False}, "known when it is over"),
    ({"target": "speaker", "features": {"cmvn": "speaker"}}, {}, "must know the speaker, who is what is asked"),
])
def test_a_question_that_the_output_cannot_answer_is_refused(spoken: Path, make_task: Make, data: dict[str, Any],
                                                             model: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_task(spoken, model=model, **data)
