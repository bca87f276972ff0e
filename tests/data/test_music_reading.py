"""Music on its way to piano rolls: what sounds when, what is counted and said, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from made_music import make_pieces, note, pack, rest, score, write_json

from gatesweep.data.music import published
from gatesweep.data.music.musicxml import read_score
from gatesweep.data.music.quality import judge, music_quality
from gatesweep.data.music.reading import is_music, read_music
from gatesweep.data.music.rolls import Account, Music, Piece, exact_key, piece_of, settled, tune_key
from gatesweep.data.music.scores import four_voices, read_scores
from gatesweep.errors import DataError


def frames_of(path: Path, grid: Any = "eighth") -> list[list[int]]:
    return read_scores([path], grid).parts["all"][0].notes()


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_score_is_the_notes_that_sound_at_each_step(tmp_path: Path) -> None:
    upper = note("C", 4, 4) + note("E", 4, 2) + rest(2)
    lower = note("C", 3, 8)
    file = write(tmp_path / "a.musicxml", score({"Right": [upper], "Left": [lower]}))
    assert frames_of(file) == [[48, 60]] * 4 + [[48, 64]] * 2 + [[48]] * 2
    assert frames_of(file, "quarter") == [[48, 60], [48, 60], [48, 64], [48]]


def test_chords_voices_and_accidentals_sound_together(tmp_path: Path) -> None:
    chord = note("C", 4, 4) + note("G", 4, 4, more="<chord/>") + note("B", 4, 4, alter=-1)
    second = "<backup><duration>8</duration></backup><forward><duration>4</duration></forward>"
    second += note("F", 3, 4, alter=1)
    file = write(tmp_path / "a.xml", score({"Piano": [chord + second]}))
    assert frames_of(file, "quarter") == [[60, 67], [60, 67], [54, 70], [54, 70]]


def test_a_transposing_instrument_sounds_where_it_sounds(tmp_path: Path) -> None:
    moved = "<attributes><transpose><chromatic>-7</chromatic><octave-change>-1</octave-change></transpose></attributes>"
    file = write(tmp_path / "a.xml", score({"Horn": [moved + note("C", 5, 4)]}))
    assert frames_of(file, "quarter") == [[72 - 19]] * 2


def test_parts_are_aligned_by_their_measures_whatever_their_lengths(tmp_path: Path) -> None:
    """A pickup that one part leaves out, as some programs write it."""
    file = write(tmp_path / "a.xml", score({"A": [note("C", 4, 2), note("D", 4, 4)], "B": ["", note("E", 3, 4)]}))
    assert frames_of(file, "quarter") == [[60], [52, 62], [52, 62]]


def test_triplets_fall_exactly_and_short_notes_between_steps_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.xml", score({"A": [note("C", 4, 1) * 3 + note("D", 4, 3)]}, divisions=3))
    music = read_scores([file], "quarter")
    assert music.parts["all"][0].notes() == [[60], [62]]
    assert music.accounts["all"].noted["notes between two quarter steps, not heard"] == 2


def test_grace_notes_and_percussion_are_left_out_and_counted(tmp_path: Path) -> None:
    grace = "<note><grace/><pitch><step>A</step><octave>4</octave></pitch></note>"
    drum = "<note><unpitched/><duration>2</duration></note>"
    file = write(tmp_path / "a.xml", score({"A": [grace + note("C", 4, 2) + drum]}))
    music = read_scores([file], "quarter")
    assert music.parts["all"][0].notes() == [[60], []]
    assert music.accounts["all"].noted["grace notes left out"] == 1
    assert music.accounts["all"].noted["unpitched notes left out"] == 1


def test_packed_or_not_a_score_is_the_same(tmp_path: Path) -> None:
    text = score({"A": [note("C", 4, 2) + note("D", 4, 2)]})
    assert frames_of(pack(tmp_path / "a.mxl", text)) == frames_of(write(tmp_path / "a.xml", text))


def test_the_four_voices_are_found_by_their_names_and_nothing_else(tmp_path: Path) -> None:
    body = [note("C", 4, 2)]
    names = ("Oboe", "Soprano", "Alto", "Tenor\nViola", "Bass")
    whole = read_score(write(tmp_path / "a.xml", score(dict.fromkeys(names, body))))
    assert [part.name for part in four_voices(whole) or ()] == ["Soprano", "Alto", "Tenor Viola", "Bass"]
    for odd in (names[:4], (*names, "Soprano 2")):
        assert four_voices(read_score(write(tmp_path / "b.xml", score(dict.fromkeys(odd, body))))) is None


@pytest.mark.parametrize(("text", "said"), [
    ("<score-timewise/>", "is <score-timewise>, not <score-partwise>"),
    ("<score-partwise><part></score-partwise>", "is no sound XML"),
    ('<!DOCTYPE x [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><x>&b;</x>', "declares the entity 'a'"),
    ('<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><x>&f;</x>', "declares the entity 'f'"),
    ("<score-partwise><part-list/></score-partwise>", "has no measure"),
    (score({"A": [note("H", 4, 2)]}), "measure 1: a note named 'H'"),
    (score({"A": [note("C", 4, 2).replace("<alter>0", "<alter>0.5")]}), "a pitch between two semitones: 0.5"),
    (score({"A": [note("C", 4, 2).replace("<octave>4", "<octave>x")]}), "<octave> 'x', which is no number"),
    (score({"A": [note("C", 4, -2)]}), "a duration of -2"),
    (score({"A": [note("C", 4, 2)]}, divisions=0), "divisions must be above 0"),
    (score({"A": ["<backup><duration>2</duration></backup>"]}), "leads before the measure"),
])  # fmt: skip
def test_a_score_that_cannot_be_told_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        read_score(write(tmp_path / "bad.xml", text))
    assert said in str(raised.value)
    assert "bad.xml" in str(raised.value)


def test_a_damaged_or_swollen_packed_score_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = pack(tmp_path / "a.mxl", score({"A": [note("C", 4, 2) * 50]}))
    whole = file.read_bytes()
    (tmp_path / "cut.mxl").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"is no sound \.mxl file"):
        read_score(tmp_path / "cut.mxl")
    monkeypatch.setattr("gatesweep.data.music.musicxml.MOST_BYTES", 1000)
    with pytest.raises(DataError, match=r"score\.xml is larger than"):
        read_score(file)


def test_json_and_mat_of_the_same_music_are_the_same(tmp_path: Path) -> None:
    parts = {"train": make_pieces(5, 1), "valid": make_pieces(3, 2), "test": make_pieces(2, 3)}
    (tmp_path / "a.json").write_text(json.dumps(parts))
    cells = {}
    for split, pieces in parts.items():
        cell = np.empty((1, len(pieces)), dtype=object)
        for number, frames in enumerate(pieces):
            roll = np.zeros((len(frames), 88))
            for step, notes in enumerate(frames):
                roll[step, [each - 21 for each in notes]] = 1
            cell[0, number] = roll
        cells[f"{split}data"] = cell
    scipy.io.savemat(tmp_path / "a.mat", cells)
    one, other = read_music(tmp_path / "a.json"), read_music(tmp_path / "a.mat")
    assert list(one.parts) == list(other.parts) == ["train", "val", "test"]
    for split, pieces in one.parts.items():
        assert [piece.notes() for piece in pieces] == [piece.notes() for piece in other.parts[split]]
    assert one.parts["train"][3].notes() == parts["train"][3]


@pytest.mark.parametrize(("content", "said"), [
    ({"train": [[[60], [200]]]}, "train[0]: frame 2 has the note 200"),
    ({"train": [[[60], [20]]]}, "MIDI numbers of a piano are 21 to 108"),
    ({"train": [[[60], [60.5]]]}, "train[0][1]: holds 60.5, which is no MIDI number"),
    ({"train": [[[60], [True]]]}, "holds True, which is no MIDI number"),
    ({"train": [[[60], ["60"]]]}, "holds '60', which is no MIDI number"),
    ({"train": [[60, 61]]}, "train[0][0]: is 60, not a list of MIDI numbers"),
    ({"train": {"a": 1}}, "train: is a mapping, not a list of pieces"),
    ({"train": [None]}, "train[0]: is nothing, not a list of frames"),
    ({"valid": [], "val": []}, "has both 'valid' and 'val'"),
    ({"chorales": []}, "has no 'train', 'valid' or 'test'"),
    ([1, 2], "is no mapping of 'train', 'valid' and 'test'"),
])
def test_json_of_another_layout_is_refused_with_its_place(tmp_path: Path, content: Any, said: str) -> None:
    file = write(tmp_path / "bad.json", json.dumps(content))
    with pytest.raises(DataError) as raised:
        read_music(file)
    assert said in str(raised.value)


@pytest.mark.parametrize("text", ["{", '{"train": [[[NaN]]]}', "[" * 100_000])
def test_json_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError):
        read_music(write(tmp_path / "bad.json", text))


@pytest.mark.parametrize(("value", "said"), [
    (np.full((4, 88), 2.0), "holds other values than 0 and 1"),
    (np.full((4, 88), np.nan), "holds other values than 0 and 1"),
    (np.zeros((88, 4)), "is [88, 4], not frames of 88 notes"),
])
def test_a_mat_of_another_layout_is_refused_with_its_place(tmp_path: Path, value: Any, said: str) -> None:
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = value
    scipy.io.savemat(tmp_path / "bad.mat", {"traindata": cell})
    with pytest.raises(DataError) as raised:
        read_music(tmp_path / "bad.mat")
    assert f"traindata[0]: {said}" in str(raised.value)


def test_a_mat_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"no matrix at all" * 40)
    with pytest.raises(DataError, match=r"is no sound \.mat file"):
        read_music(tmp_path / "a.mat")
    hdf5 = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 512
    (tmp_path / "b.mat").write_bytes(hdf5)
    with pytest.raises(DataError, match=r"is of MATLAB 7\.3"):
        read_music(tmp_path / "b.mat")


def test_numbers_that_no_piano_has_can_be_dropped_and_are_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", json.dumps({"train": [[[60, 130], [20, 61.0, -1]]]}))
    music = read_music(file, out_of_range="drop")
    assert music.parts["train"][0].notes() == [[60], [61]]
    assert "  3 notes out of 21-108 left out" in music.lines()


def test_pieces_without_anything_to_learn_are_dropped_and_counted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", json.dumps({"train": [[], [[60]], [[], []], [[60], [], [62]]]}))
    music = read_music(file)
    assert len(music.parts["train"]) == 1
    assert music.accounts["train"].dropped == {"shorter than two frames": 2, "without a note": 1}
    assert "  1 frames in which nothing sounds" in music.lines()


def test_published_counts_are_checked_for_the_splits_that_are_there(tmp_path: Path) -> None:
    assert published.KNOWN["jsb"] == {"train": 229, "val": 76, "test": 77}
    file = write_json(tmp_path / "jsb.json", train=229, valid=76, test=0)
    assert set(read_music(file, name="jsb").parts) == {"train", "val"}
    with pytest.raises(DataError, match="228 pieces in train, and jsb has 229"):
        read_music(write_json(tmp_path / "short.json", train=228), name="jsb")


def test_a_folder_with_two_published_files_is_refused_with_their_names(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name)
    with pytest.raises(DataError, match=r"holds a\.json, b\.json: which\?"):
        read_music(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no music"):
        read_music(tmp_path / "empty")


def test_a_folder_of_text_with_some_json_beside_it_is_no_music(tmp_path: Path) -> None:
    write_json(tmp_path / "jsb.json")
    (tmp_path / "README.md").write_text("about it")
    assert is_music(tmp_path)
    (tmp_path / "train.de").write_text("ein Satz\n")
    assert not is_music(tmp_path)
    assert not is_music(tmp_path / "nothing.json")


def test_the_keys_of_a_piece_do_not_depend_on_its_key() -> None:
    one = piece_of("a", [[60, 64], [60, 64], [62, 65], [62, 67]], Account("a", "pieces"), "refuse")
    assert exact_key(one) == exact_key(one.moved(5)) != exact_key(Piece("b", one.roll_TK[:3]))
    assert tune_key(one) == tune_key(one.moved(-3)) == (1, 2)
    with pytest.raises(DataError, match="leave 21-108"):
        one.moved(60)


def test_quality_counts_repeats_leaks_tunes_and_drift(tmp_path: Path) -> None:
    first = [[60, 64], [62, 65], [64, 67], [64, 67], [64, 67]]
    other = [[50, 55], [52, 57], [50, 60]]
    moved = [[each + 2 for each in frame] for frame in first]
    reharmonised = [[48, 64], [50, 65], [52, 67]]
    parts = {"train": [first, first, moved, other], "valid": [moved, reharmonised], "test": [other]}
    report = music_quality(str(write(tmp_path / "a.json", json.dumps(parts))))
    train = report.parts[0]
    assert (train.pieces, train.repeated, train.repeated_in_another_key, train.stuck) == (4, 1, 1, 3)
    assert report.leakage == {"train-val": 1, "train-test": 1, "val-test": 0}
    assert report.tunes["train-val"] == 2
    assert 0 < report.drift["train-val"] < 1
    assert any("leakage train-val" in label for label, _ in report.rows_of_table())


def test_drift_is_the_total_variation_distance_of_the_notes_use() -> None:
    def part(*frames: list[int]) -> tuple[Piece, ...]:
        return settled("x", [piece_of("x[0]", frames, Account("x", "pieces"), "refuse")], Account("x", "pieces"))

    accounts = {name: Account(name, "pieces") for name in ("train", "val")}
    music = Music({"train": part([60], [60], [62], [62]), "val": part([60], [60], [60], [65])}, accounts)
    assert judge("x", music).drift["train-val"] == pytest.approx(0.5)
