"""Layouts of sets of recordings: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from gatesweep.data import catalogue
from gatesweep.data.audio.commands import read_commands
from gatesweep.data.audio.fsdd import read_fsdd
from gatesweep.data.audio.vowels import read_ts, read_vowels
from gatesweep.data.audio.wave import BrokenAudio, at_rate, read_wave
from gatesweep.errors import DataError


def write(file: Path, seconds: float = 0.1, rate: int = 16_000) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    wavfile.write(file, rate, (1000 * np.sin(np.arange(round(seconds * rate)))).astype(np.int16))


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    for word in ("yes", "no"):
        for speaker in ("0a1b", "2c3d", "4e5f"):
            write(tmp_path / "sc" / word / f"{speaker}_nohash_0.wav")
    write(tmp_path / "sc" / "_background_noise_" / "pink_noise.wav")
    (tmp_path / "sc" / "validation_list.txt").write_text("yes/2c3d_nohash_0.wav\nno/2c3d_nohash_0.wav\n")
    (tmp_path / "sc" / "testing_list.txt").write_text("yes/4e5f_nohash_0.wav\n")
    return tmp_path / "sc"


def test_speech_commands_are_split_by_their_lists(commands: Path) -> None:
    found = read_commands(commands, partial=True)
    assert {(row.text, row.speaker): row.split for row in found.rows} == {
        ("yes", "0a1b"): "train", ("no", "0a1b"): "train", ("yes", "2c3d"): "val", ("no", "2c3d"): "val",
        ("yes", "4e5f"): "test", ("no", "4e5f"): "train"}  # fmt: skip


def test_speech_commands_of_another_count_are_refused(commands: Path) -> None:
    with pytest.raises(DataError, match="6 recordings of 2 words; published are 64,721"):
        read_commands(commands)
    (commands / "testing_list.txt").write_text("yes/ffff_nohash_0.wav\n")
    with pytest.raises(DataError, match="the lists name 1 files that are not there"):
        read_commands(commands)
    (commands / "testing_list.txt").unlink()
    with pytest.raises(DataError, match=r"has no testing_list\.txt"):
        read_commands(commands, partial=True)


def test_fsdd_knows_digit_speaker_and_take_by_name(tmp_path: Path) -> None:
    write(tmp_path / "recordings" / "7_jackson_32.wav")
    row = read_fsdd(tmp_path, partial=True).rows[0]
    assert (row.text, row.speaker, row.take) == ("seven", "jackson", 32)
    write(tmp_path / "recordings" / "seven.wav")
    with pytest.raises(DataError, match="is not called"):
        read_fsdd(tmp_path, partial=True)


def test_a_line_of_ts_is_one_utterance(tmp_path: Path) -> None:
    (tmp_path / "x_TRAIN.ts").write_text("# head\n@data\n1,2,3:4,5,6:one\n7,8:9,10:two\n")
    found = read_ts(tmp_path / "x_TRAIN.ts")
    assert found.labels == ("one", "two")
    assert found.frames[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    assert found.frames[1].shape == (2, 2)
    with pytest.raises(DataError, match="2 utterances in train, published are 270"):
        read_vowels(tmp_path)


@pytest.mark.parametrize(("line", "said"), [
    ("1,2:3:one", "has dimensions of 2, 1 frames"),
    ("1,x:3,4:one", "is no utterance"),
    ("1,nan:3,4:one", "a frame without a number"),
])
def test_a_line_that_is_no_utterance_is_refused_with_its_number(tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "x_TRAIN.ts").write_text(f"@data\n1,2:3,4:one\n{line}\n")
    with pytest.raises(DataError, match=said) as raised:
        read_ts(tmp_path / "x_TRAIN.ts")
    assert "x_TRAIN.ts:3" in str(raised.value)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_samples_lie_between_minus_one_and_one_whatever_the_file_holds(tmp_path: Path, kind: type) -> None:
    wave = 0.5 * np.sin(np.arange(800) / 5)
    stored = {np.uint8: np.rint(wave * 128 + 128), np.int16: wave * 2**15, np.int32: wave * 2**31,
              np.float32: wave}[kind]  # fmt: skip
    wavfile.write(tmp_path / "a.wav", 8000, stored.astype(kind))
    assert np.abs(read_wave(tmp_path / "a.wav").samples_N - wave).max() < (0.01 if kind is np.uint8 else 1e-4)


def test_channels_become_their_mean_and_the_rate_is_converted_without_aliasing(tmp_path: Path) -> None:
    t = np.arange(44_100) / 44_100
    left, right = np.sin(2 * np.pi * 300 * t), np.sin(2 * np.pi * 7000 * t)
    wavfile.write(tmp_path / "a.wav", 44_100, (np.stack([left, right], 1) * 16_000).astype(np.int16))
    wave = read_wave(tmp_path / "a.wav", 8000)
    assert (wave.rate, wave.channels, len(wave.samples_N)) == (44_100, 2, 8000)
    power = np.abs(np.fft.rfft(wave.samples_N)) ** 2
    assert power.argmax() == 300
    assert power[310:].max() < 1e-4 * power[300]
    assert len(at_rate(wave.samples_N, 8000, 16_000)) == 16_000


def test_a_float_file_with_samples_that_are_no_numbers_is_broken(tmp_path: Path) -> None:
    wavfile.write(tmp_path / "a.wav", 8000, np.array([0.1, np.nan, 0.2], np.float32))
    with pytest.raises(BrokenAudio, match="no numbers"):
        read_wave(tmp_path / "a.wav")


def test_the_catalogue_declares_both_embedded_sets() -> None:
    assert catalogue.entry("digits").kind == "recordings"
    assert len(catalogue.entry("digits").files) == catalogue.entry("digits").rows == 36
    assert catalogue.entry("vowels").kind == "frames"
