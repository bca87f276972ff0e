"""Which text is for what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from labelled_texts import made_texts, settings

from gatesweep.errors import DataError
from gatesweep.tasks.classification.prepare import like, lines, prepare
from gatesweep.tasks.classification.splitting import SPLITS, part_of, share_out, without_copies

SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def test_labels_are_shared_out_in_proportion_and_exactly() -> None:
    frame = pd.DataFrame({"text": range(100), "label": ["a"] * 70 + ["b"] * 30})
    table = pd.crosstab(frame["label"], share_out(frame, SHARES, 3))
    assert table.loc["a"].to_dict() == {"train": 56, "val": 7, "test": 7}
    assert table.loc["b"].to_dict() == {"train": 24, "val": 3, "test": 3}
    assert (share_out(frame, SHARES, 3) == share_out(frame, SHARES, 3)).all()
    assert (share_out(frame, SHARES, 3) != share_out(frame, SHARES, 4)).any()


@given(films=st.lists(st.integers(-1, 12), min_size=30, max_size=120), seed=st.integers(0, 20))
def test_no_film_is_on_two_sides(films: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"text": range(len(films)), "label": rng.choice(["a", "b"], len(films)), "film": films})
    frame["split"] = share_out(frame, SHARES, seed)
    told = frame[frame["film"] >= 0]
    assert (told.groupby("film")["split"].nunique() == 1).all()
    assert (frame["split"] != "").all()


def test_shares_that_leave_texts_over_leave_them_unused() -> None:
    frame = pd.DataFrame({"text": range(100), "label": ["a", "b"] * 50})
    split_N = share_out(frame, {"train": 0.5, "val": 0.1, "test": 0.1}, 0)
    assert [int((split_N == name).sum()) for name in ("", *SPLITS)] == [30, 50, 10, 10]


def test_a_text_is_never_on_two_sides_and_what_went_is_counted_and_said() -> None:
    frame = made_texts(100)
    copies = frame.iloc[:10].assign(text=frame["text"].iloc[:10].str.upper() + " !!<br />")
    at_odds = frame.iloc[20:24].assign(label=["pos", "neg", "pos", "neg"])
    made = prepare(pd.concat([frame, copies, at_odds], ignore_index=True), settings(), place="made")
    texts = [text.lower() for split in SPLITS for text in made.sides[split].texts]
    assert len(texts) == len(set(texts)) == 96
    assert made.dropped == {"copies of other texts": 10, "copies with another label": 8}
    assert "made: 10 copies of other texts left out" in lines(made)


def test_where_splits_are_given_the_later_one_keeps_a_text() -> None:
    frame = made_texts(60).assign(split=["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    frame.loc[0, "text"], frame.loc[41, "text"] = frame.loc[45, "text"], frame.loc[55, "text"]
    made = prepare(frame, settings(), place="made")
    assert [len(made.sides[split]) for split in SPLITS] == [39, 9, 10]
    assert made.dropped == {"texts of test that a later split has too": 0, "texts of val that a later split has too": 1,
                            "texts of train that a later split has too": 1}  # fmt: skip


def test_without_a_val_split_it_is_taken_from_train_and_test_stays_whole() -> None:
    frame = made_texts(120).assign(split=["train"] * 100 + ["test"] * 20)
    made = prepare(frame, settings(), place="made")
    assert [len(made.sides[split]) for split in SPLITS] == [90, 10, 20]


def test_vocabulary_and_labels_are_those_of_train() -> None:
    frame = made_texts(60).assign(split=["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    frame.loc[50, "text"] = "zyzzyva film"
    made = prepare(frame, settings(), place="made")
    assert "zyzzyva" not in made.reader.vocabulary
    assert made.sides["test"].rows[0].tolist()[0] == made.reader.vocabulary.unknown
    assert made.labels == ("neg", "pos")


def test_labels_that_are_numbers_are_in_their_order() -> None:
    frame = made_texts(240, labels=("10", "2", "1"))
    assert prepare(frame, settings(), place="made").labels == ("1", "2", "10")


@pytest.mark.parametrize(("column", "value", "said"), [
    ("label", "maybe", r"'maybe' \(10 rows\)"),
    ("split", "train", "'test' has no text"),
])  # fmt: skip
def test_unseen_labels_and_empty_splits_are_refused(column: str, value: str, said: str) -> None:
    frame = made_texts(60).assign(split=["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    frame.loc[50:, column] = value
    with pytest.raises(DataError, match=said):
        prepare(frame, settings(), place="made")


def test_one_label_alone_is_refused() -> None:
    with pytest.raises(DataError, match="train has 1 label"):
        prepare(made_texts(60, labels=("pos",)), settings(), place="made")


def test_a_file_that_was_never_seen_counts_whole_and_its_new_labels_are_refused() -> None:
    trained = prepare(made_texts(100), settings(), place="made")
    other = like(made_texts(30, seed=5), trained, place="other")
    assert [len(other.side(split)) for split in (*SPLITS, "all")] == [30, 30, 30, 30]
    with pytest.raises(DataError, match=r"'odd' \(10 rows\)"):
        like(made_texts(30, labels=("neg", "pos", "odd")), trained, place="other")


def test_a_smaller_part_of_train_is_among_a_larger_one_each_label_in_proportion() -> None:
    label_N = np.array([0] * 60 + [1] * 20)
    small, large = part_of(label_N, 0.1, 7), part_of(label_N, 0.5, 7)
    assert set(small) < set(large)
    assert np.bincount(label_N[small]).tolist() == [6, 2]
    assert np.bincount(label_N[large]).tolist() == [30, 10]


def test_copies_at_odds_go_altogether(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["one film", "One film!", "two", "two"], "label": ["a", "b", "a", "a"]})
    kept, dropped = without_copies(frame)
    assert kept["text"].tolist() == ["two"]
    assert dropped == {"copies of other texts": 1, "copies with another label": 2}
