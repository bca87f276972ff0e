"""Labelled texts: tables, IMDb's folders; what is dropped is counted, what is strange is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gatesweep.data.text import imdb as imdb_module
from gatesweep.data.text import read_imdb, read_labelled_csv, refuse_unseen
from gatesweep.data.text.films import film_groups
from gatesweep.errors import DataError


def _csv(tmp_path: Path, text: str) -> Path:
    (tmp_path / "own.csv").write_text(text, encoding="utf-8")
    return tmp_path / "own.csv"


def test_texts_and_labels_stay_words_as_they_stand_in_the_file(tmp_path: Path) -> None:
    rows = 'label,text,split,other\n01,"NA, ""quoted""\nline",train,x\n1,nan,test,y\n'
    frame = read_labelled_csv(_csv(tmp_path, rows))
    assert frame[["text", "label", "split"]].values.tolist() == [['NA, "quoted"\nline', "01", "train"],
                                                                ["nan", "1", "test"]]
    assert "other" not in frame


def test_empty_texts_and_repeats_follow_declared_rules_and_are_counted(tmp_path: Path) -> None:
    place = _csv(tmp_path, "text,label\ngood one,pos\n...,pos\nGood one!,neg\n,neg\nbad,neg\n")
    kept = read_labelled_csv(place)
    assert kept["text"].tolist() == ["good one", "Good one!", "bad"]
    account = kept.attrs["account"]
    assert (account.read, account.kept, account.dropped["empty text"]) == (5, 3, 2)
    assert account.noted["texts that repeat an earlier one"] == 1
    once = read_labelled_csv(place, duplicates="drop")
    assert once["text"].tolist() == ["good one", "bad"]
    assert once.attrs["account"].dropped == {"empty text": 2, "repeats an earlier text": 1}
    with pytest.raises(DataError, match=r"2 text\(s\) are empty, the first is row 2"):
        read_labelled_csv(place, empty="refuse")


@pytest.mark.parametrize(("text", "message"), [
    ("words,label\na,b\n", "no column 'text'"), ("text,label\na,pos\nb,\n", r"1 row\(s\) have no label .* row 2"),
    ("text,label\na\n", r"lack a field"),
    ("text,label\na,b\nx,y,z,w\n", "line 3 has 4 fields, and the lines before it 2"),
    ("text,label\nGood, on the whole,pos\nBad, on the whole,neg\n", "more fields than the header, which has 2"),
    ('text,label\na,b\n"c,d\n', "a quote that opens in row 2 .* is never closed"),
    ("text;label\na;b\n", "separated by semicolons"), ("text\tlabel\na\tb\n", "separated by tabs"),
    ("", "cannot be read as CSV"), ("text,label\n", "no rows"), ("text,label\n!,pos\n", "no text is left")])
def test_a_table_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_labelled_csv(_csv(tmp_path, text))


def test_unseen_labels_are_refused_with_their_counts_unless_they_are_renamed(tmp_path: Path) -> None:
    place = _csv(tmp_path, "text,label\na,1\nb,0\nc,1\nd,pos\n")
    with pytest.raises(DataError, match=r"'1' \(2 rows\), '0' \(1 rows\); it had 'neg', 'pos'"):
        refuse_unseen(read_labelled_csv(place)["label"].tolist(), ["pos", "neg"], str(place))
    renamed = read_labelled_csv(place, rename={"1": "pos", "0": "neg"})
    refuse_unseen(renamed["label"].tolist(), ["pos", "neg"], str(place))
    assert renamed["label"].tolist() == ["pos", "neg", "pos", "pos"]


def _imdb(folder: Path) -> Path:
    for split in ("train", "test"):
        for label, rating in (("pos", 9), ("neg", 2)):
            (folder / "aclImdb" / split / label).mkdir(parents=True)
            for number in (0, 2, 10):
                (folder / "aclImdb" / split / label / f"{number}_{rating}.txt").write_text(f"{split} {label} {number}")
    return folder


def test_imdb_is_read_in_the_order_of_its_numbers_with_the_films_of_its_urls(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imdb_module, "COUNTS", dict.fromkeys(imdb_module.COUNTS, 3))
    base = _imdb(tmp_path) / "aclImdb"
    urls = "".join(f"http://www.imdb.com/title/tt{number // 5:07d}/usercomments\n" for number in range(11))
    (base / "train" / "urls_pos.txt").write_text(urls)
    for folder in (tmp_path, base):
        frame = read_imdb(folder)
        part = frame[(frame["split"] == "train") & (frame["label"] == "pos")]
        assert part["text"].tolist() == ["train pos 0", "train pos 2", "train pos 10"]
        assert part["film"].tolist() == ["tt0000000", "tt0000000", "tt0000002"]
        assert set(part["rating"]) == {9}
        assert frame.groupby(["split", "label"]).size().tolist() == [3, 3, 3, 3]


def test_imdb_with_other_counts_is_refused_or_said(tmp_path: Path) -> None:
    _imdb(tmp_path)
    with pytest.raises(DataError, match="train/pos has 3 reviews, published are 12,500"):
        read_imdb(tmp_path)
    said = read_imdb(tmp_path, strict=False).attrs["account"].lines()
    assert any("published are 12,500" in line for line in said)


def test_a_rating_against_its_label_and_a_strange_file_are_refused(tmp_path: Path) -> None:
    base = _imdb(tmp_path) / "aclImdb"
    (base / "train" / "pos" / "7_3.txt").write_text("x")
    with pytest.raises(DataError, match="a rating of 3 lies among pos"):
        read_imdb(tmp_path, strict=False)
    (base / "train" / "pos" / "7_3.txt").rename(base / "train" / "pos" / "notes.txt")
    with pytest.raises(DataError, match="not called ID_RATING"):
        read_imdb(tmp_path, strict=False)


def test_pieces_of_a_file_are_cut_between_films_and_joined_over_the_classes() -> None:
    rng = np.random.default_rng(1)
    rows = []
    for label in ("neg", "pos"):
        for film in range(40):
            cast = " and ".join(f"Zq{chr(97 + film // 26)}{chr(97 + film % 26)}{each}" for each in "abcdefg")
            rows += [(f"we saw {cast} there", label, film)] * int(rng.integers(3, 12))
    frame = pd.DataFrame(rows, columns=["text", "label", "film"])
    frame["group"] = film_groups(frame["text"].tolist(), frame["label"].tolist())
    assert (frame.groupby("film")["group"].nunique() == 1).all()
    assert frame["group"].nunique() > 3
