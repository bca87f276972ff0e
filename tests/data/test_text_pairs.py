"""Two languages side by side: what does not fit is refused, what is empty is dropped and counted."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from gatesweep.data.dataset import Dataset
from gatesweep.data.text import read_parallel, read_verses
from gatesweep.data.text import verses as verses_module
from gatesweep.errors import DataError

GERMAN, ENGLISH = "eins\nzwei\n\nvier\nEins!\n\n", "one\ntwo\nthree\n \none\n\n"


def _parallel(folder: Path, **parts: tuple[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    for split, (left, right) in parts.items():
        (folder / f"{split}.de").write_text(left, encoding="utf-8")
        (folder / f"{split}.en.gz").write_bytes(gzip.compress(right.encode()))
    return folder


def test_pairs_of_plain_and_packed_files_with_the_empty_ones_dropped_and_counted(tmp_path: Path) -> None:
    found = read_parallel(_parallel(tmp_path / "p", train=(GERMAN, ENGLISH), val=("a\n", "b\n"),
                                    test_2016_flickr=("c\n", "d\n")))
    assert list(found) == ["train", "val", "test_2016_flickr"]
    train = found["train"]
    assert [tuple(pair) for pair in train] == [("eins", "one", "line 1"), ("zwei", "two", "line 2"),
                                              ("Eins!", "one", "line 5")]
    assert train.languages == ("de", "en")
    assert (train.account.read, train.account.kept) == (6, 3)
    assert train.account.dropped == {"both sides are empty": 1, "one side is empty": 2}
    assert train.account.noted["pairs that repeat an earlier pair"] == 1
    with pytest.raises(DataError, match=r"3 pair\(s\) have an empty side, the first at line 3"):
        read_parallel(tmp_path / "p", empty="refuse")


def test_files_of_unequal_length_are_never_paired(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"2 lines against 3 in train.en.gz"):
        read_parallel(_parallel(tmp_path / "p", train=("a\nb\n", "a\nb\nc\n")))


def test_a_missing_half_a_file_twice_and_another_language_are_told(tmp_path: Path) -> None:
    folder = _parallel(tmp_path / "p", train=("a\n", "b\n"))
    with pytest.raises(DataError, match=r"no files of 'fr' and 'es'") as caught:
        read_parallel(folder, "fr", "es")
    assert "*.de" in str(caught.value)
    (folder / "val.en").write_text("x\n")
    with pytest.raises(DataError, match="in one language alone"):
        read_parallel(folder)
    (folder / "val.en").unlink()
    (folder / "train.en").write_text("x\n")
    with pytest.raises(DataError, match="is there twice"):
        read_parallel(folder)


def test_a_published_set_by_name_must_have_its_counts(tmp_path: Path) -> None:
    folder = _parallel(tmp_path / "p", train=("a\n", "b\n"))
    assert len(read_parallel(folder)["train"]) == 1
    with pytest.raises(DataError, match="multi30k has 29,000 in train"):
        read_parallel(folder, name="multi30k")


def _verses(folder: Path, japanese: str, english: str | None = None) -> Dataset:
    rows = english or ('"01001001","1","1","1","In the beginning God{a ""note""} created."\n'
                       '"01001002","1","1","2","Now the earth"\n"01001003","1","1","3","{all of it}"\n'
                       '"40001001","40","1","1","The book"\n')
    (folder / "t_web.csv.gz").write_bytes(gzip.compress(("field,field,field,field,field\n" + rows).encode()))
    (folder / "kougo.txt.gz").write_bytes(gzip.compress(("\ufeff=000 Bible begins \n" + japanese).encode()))
    return Dataset("verses", folder, "", 0, ())


GENESIS = ("=001 Genesis 創世記 - Genesis\nGe 1:1 創世記 1:1 元始に \nGe {} 創世記 {} 地は \n"
           "Ge 1:3 創世記 1:3 神 \nEND \n")
MATTHEW = "=101 Matthew\nMat 1:1 マタイ傳 1:1 系圖 \nMat 1:2 マタイ傳 1:2 \nEND \n=ALL\n"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the Bible had four verses."""
    monkeypatch.setattr(verses_module, "VERSES", 4)


@pytest.mark.parametrize("slip", ["1:2", "1:1", "1:3"])
def test_verses_are_paired_by_number_and_the_sources_slip_beside_a_gap_is_mended(few: None, tmp_path: Path,
                                                                               slip: str) -> None:
    pairs = read_verses(_verses(tmp_path, GENESIS.format(slip, slip) + MATTHEW))
    assert [tuple(each) for each in pairs] == [("In the beginning God created.", "元始に", "Ge 1:1"),
                                              ("Now the earth", "地は", "Ge 1:2"), ("The book", "系圖", "Mat 1:1")]
    noted = pairs.account.noted
    assert noted["Japanese verses renumbered, where a number stands twice beside a gap"] == (slip != "1:2")
    assert noted["Japanese verses of a number that the English has not"] == 1
    assert noted["English verses whose notes were taken out"] == 2
    assert pairs.account.dropped["one side is empty"] == 1


@pytest.mark.parametrize(("japanese", "message"), [
    (GENESIS.format("1:2", "1:2") + "Ge 1:1 創世記 1:1 again\n", "twice"),
    ("=001 G\nGe 1:1 x 1:1 a\nGe 1:1 x 1:1 b\nGe 1:2 x 1:2 c\n" + MATTHEW, "twice"),
    (GENESIS.format("1:2", "1:2") + "what is this\n", "line 7 is no verse")])
def test_a_verse_number_twice_or_a_line_of_another_form_is_refused(few: None, tmp_path: Path, japanese: str,
                                                                   message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_verses(_verses(tmp_path, japanese))


def test_another_number_of_english_verses_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"4 verses, not 31,102"):
        read_verses(_verses(tmp_path, GENESIS.format("1:2", "1:2")))
