"""Pieces on their way to batches: shared out by tunes, thinned, cut, transposed as a function of seed and epoch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_music import make_pieces, note, score, write_json

from gatesweep.config.loader import build
from gatesweep.data.music.rolls import Account, Piece, piece_of, tune_key
from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.music.config import MusicData, MusicModel
from gatesweep.tasks.music.loaders import cut, in_order
from gatesweep.tasks.music.prepare import shared_out

Make = Callable[..., Any]


def piece(frames: list[list[int]], name: str = "a") -> Piece:
    return piece_of(name, frames, Account("a", "pieces"), "refuse")


def batches(task: Any, epoch: int) -> list[Any]:
    loader = task.data_module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def rolls(task: Any, epoch: int) -> dict[int, np.ndarray]:
    return {index: batch.roll_BTK[row, : batch.lengths_B[row]].numpy().astype(bool) for batch in batches(task, epoch)
            for row, index in enumerate(batch.index_B.tolist())}  # fmt: skip


def test_a_batch_holds_the_pieces_and_silence_where_it_is_padding(make_task: Make) -> None:
    task, seen = make_task(), []
    for batch in batches(task, 0):
        for row, index in enumerate(batch.index_B.tolist()):
            seen.append(index)
            expected = task.prepared.splits["train"][index].roll_TK
            assert batch.lengths_B[row] == len(expected)
            assert (batch.roll_BTK[row, : len(expected)].numpy().astype(bool) == expected).all()
            assert not batch.roll_BTK[row, len(expected) :].any()
    assert sorted(seen) == list(range(24))


def test_order_and_keys_are_a_function_of_seed_and_epoch(make_task: Make) -> None:
    def told(seed: int, epoch: int) -> list[Any]:
        return [batch.roll_BTK.numpy().tobytes() for batch in batches(make_task(seed=seed, transpose=5), epoch)]

    assert told(1, 0) == told(1, 0)
    assert told(1, 0) != told(1, 1)
    assert told(1, 0) != told(2, 0)


def test_a_transposed_piece_is_the_same_music_some_semitones_away(make_task: Make) -> None:
    task, moves = make_task(transpose=3), set()
    for epoch in range(6):
        for index, roll_TK in rolls(task, epoch).items():
            own = task.prepared.splits["train"][index]
            found = next(move for move in range(-3, 4) if (own.moved(move).roll_TK == roll_TK).all())
            moves.add(found)
    assert moves == set(range(-3, 4))


def test_no_note_is_moved_off_the_piano(make_task: Make, tmp_path: Path) -> None:
    edges = [[[22], [107]], [[21], [108]], [[21], [60]]]
    (tmp_path / "edges.json").write_text(json.dumps({"train": edges, "valid": edges}))
    task, seen = make_task(tmp_path / "edges.json", transpose=12), set()
    for epoch in range(20):
        for index, roll_TK in rolls(task, epoch).items():
            assert roll_TK.sum() == 2
            seen.add((index, int(np.flatnonzero(roll_TK[0])[0])))
    assert {low for index, low in seen if index == 1} == {0}
    assert {low for index, low in seen if index == 0} == {0, 1, 2}


def test_val_and_test_stay_in_their_keys(make_task: Make) -> None:
    task = make_task(transpose=12)
    for split in ("val", "test"):
        for batch in task.loader(split):
            for row, index in enumerate(batch.index_B.tolist()):
                own = task.prepared.splits[split][index].roll_TK
                assert (batch.roll_BTK[row, : len(own)].numpy().astype(bool) == own).all()


def test_every_fourth_frame_is_the_quarters_of_sixteenths(make_task: Make) -> None:
    whole, thin = make_task(), make_task(every=4)
    for split, pieces in thin.prepared.splits.items():
        for one, own in zip(pieces, whole.prepared.splits[split], strict=True):
            assert one.notes() == own.notes()[::4]
    with pytest.raises(DataError, match="one frame is left of it by every: 20"):
        make_task(every=20)


def test_long_training_pieces_are_cut_into_even_parts_that_are_all_of_them(make_task: Make) -> None:
    frames = [[30 + i] for i in range(23)]
    parts = cut([piece(frames)], 10)
    assert [len(part) for part in parts] == [8, 7, 8]
    assert [notes for part in parts for notes in part.notes()] == frames
    task = make_task(window=5)
    assert any("cut into" in line for line in task.describe())
    whole = make_task().prepared.splits["val"]
    assert [len(each) for each in task.prepared.splits["val"]] == [len(each) for each in whole]


def test_pieces_of_one_tune_are_never_in_two_splits() -> None:
    rng = np.random.default_rng(0)
    pieces = []
    for number, frames in enumerate(make_pieces(40, 5, least=20, most=21)):
        for copy in range(int(rng.integers(1, 4))):
            bass = [[36 + copy, *notes] for notes in frames]
            pieces.append(piece(bass, f"{number}.{copy}").moved(copy))
    parts, note_ = shared_out(pieces)
    tunes = {split: {tune_key(each) for each in part} for split, part in parts.items()}
    assert sum(map(len, tunes.values())) == len(set.union(*tunes.values()))
    assert sum(map(len, parts.values())) == len(pieces)
    assert 0.14 < len(parts["val"]) / len(pieces) < 0.22
    assert "tunes" in note_


def test_scores_in_a_folder_are_shared_out_and_read_on_the_grid_asked_for(make_task: Make, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for number in range(20):
        steps = "".join(note("CDEFGAB"[i], 4, 1) for i in rng.integers(0, 7, 24))
        (folder / f"{number:02}.musicxml").write_text(score({"A": [steps]}))
    task = make_task(folder, grid="eighth")
    assert set(task.splits) == {"train", "val", "test"}
    assert {len(each) for part in task.prepared.splits.values() for each in part} == {24}
    assert {len(each) for part in make_task(folder).prepared.splits.values() for each in part} == {12}
    assert any("shared out by 20 tunes" in line for line in task.describe())


def test_a_piece_that_two_splits_have_is_said(make_task: Make, tmp_path: Path) -> None:
    pieces = make_pieces(6, 1)
    moved = [[each + 1 for each in frame] for frame in pieces[0]]
    (tmp_path / "leak.json").write_text(json.dumps({"train": pieces, "valid": [moved, *make_pieces(2, 2)]}))
    assert "note: 1 pieces of val stand in train too, in some key" in make_task(tmp_path / "leak.json").describe()


def test_a_share_of_the_training_pieces_comes_evenly_from_the_whole(make_task: Make) -> None:
    whole, part = make_task().prepared.splits, make_task(fraction=0.25).prepared.splits
    assert [each.name for each in part["train"]] == [each.name for each in whole["train"]][::4]
    assert [each.name for each in part["val"]] == [each.name for each in whole["val"]]


def test_without_test_the_run_is_scored_on_val_alone_and_says_so(make_task: Make, tmp_path: Path) -> None:
    task = make_task(write_json(tmp_path / "two.json", test=0))
    assert task.splits == ("train", "val")
    assert any("scored on val alone" in line for line in task.describe())
    with pytest.raises(DataError, match="there are no pieces of 'test'"):
        task.loader("test")


def test_without_val_there_is_no_training(make_task: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there are no pieces of 'val'"):
        make_task(write_json(tmp_path / "one.json", valid=0))


def test_every_piece_is_judged_once(make_task: Make) -> None:
    pieces = make_task().prepared.splits["train"]
    seen = [i for batch in in_order(pieces, 7) for i in batch.index_B.tolist()]
    assert sorted(seen) == list(range(len(pieces)))


@pytest.mark.parametrize(("section", "given", "said"), [
    (MusicData, {}, "'path' is missing"),
    (MusicData, {"name": "jsb"}, "'path' is missing"),
    (MusicData, {"name": "chorales", "path": "x"}, "takes no 'path'"),
    (MusicData, {"name": "bach", "path": "x"}, "no music is called 'bach'"),
    (MusicData, {"path": "x", "out_of_range": "clip"}, "out_of_range"),
    (MusicModel, {"bidirectional": True}, "the next frame must not be seen"),
    (MusicModel, {"head": "rbm"}, "head"),
])
def test_settings_that_cannot_be_are_refused(section: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(section, given, place="here")
