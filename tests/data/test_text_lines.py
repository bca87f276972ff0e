"""Lines and words: strict UTF-8, nothing lost between two line ends, published counts that hold."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatesweep.data.text import read_lines, read_word_files, text_key
from gatesweep.data.text import words as words_module
from gatesweep.data.text.words import Count, Published
from gatesweep.errors import DataError

LETTERS = st.characters(exclude_characters="\r\n\0\ufeff", exclude_categories=["Cs"])


@given(st.lists(st.text(LETTERS), min_size=1), st.booleans(), st.sampled_from(["", ".gz"]))
def test_lines_are_what_was_written_whatever_the_end_of_line_and_the_packing(
        tmp_path_factory: pytest.TempPathFactory, texts: list[str], windows: bool, packing: str) -> None:
    place = tmp_path_factory.mktemp("lines") / f"text.txt{packing}"
    raw = "".join(each + ("\r\n" if windows else "\n") for each in texts).encode()
    place.write_bytes(gzip.compress(raw) if packing else raw)
    lines = read_lines(place)
    assert list(lines) == texts
    assert lines.noted.get("lines ended with \\r\\n", 0) == (len(texts) if windows else 0)
    assert lines.empty == sum(not each.strip() for each in texts)


def test_a_last_line_without_end_counts_and_unicode_separators_end_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("\ufeffone\u2028two\x85three\n\nlast", encoding="utf-8")
    lines = read_lines(tmp_path / "a")
    assert list(lines) == ["one\u2028two\x85three", "", "last"]
    assert lines.noted == {"byte order mark at the start": 1,
                           "with control characters U+0080-U+009F (Windows-1252 read as Latin-1)": 1}


@pytest.mark.parametrize(("raw", "message"), [
    (b"caf\xe9\n", r"line 1, byte 4 \(0xe9\) is not UTF-8, and so in 1 line\(s\)$"),
    ("für\nß\n".encode() + b"x\nna\xefve \xfc\n", r"line 4, byte 3 .* 2 line\(s\) are UTF-8 .* mixed"),
    (b"ok\nno\0\n", r"holds a NUL: line 2, byte 3"),
    ("wide".encode("utf-16"), "is UTF-16"),
])
def test_what_is_no_utf8_is_refused_with_file_line_and_byte(tmp_path: Path, raw: bytes, message: str) -> None:
    (tmp_path / "bad.txt").write_bytes(raw)
    with pytest.raises(DataError) as caught:
        read_lines(tmp_path / "bad.txt")
    assert caught.value.place == str(tmp_path / "bad.txt")
    with pytest.raises(DataError, match=message):
        raise DataError(caught.value.message)


def test_a_cut_gz_and_a_missing_file_are_clear_errors(tmp_path: Path) -> None:
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"text" * 100)[:-9])
    with pytest.raises(DataError, match="no sound gz"):
        read_lines(tmp_path / "cut.gz")
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_lines(tmp_path / "none")


def test_a_key_folds_case_markup_punctuation_and_width_and_keeps_words_apart() -> None:
    assert text_key("It's <br />GREAT!!") == text_key("it s  great") == "it s great"
    assert text_key("ＡＢＣ ﬁ ß") == "abc fi ss"
    assert text_key("元始に、神") == "元始に 神"
    assert text_key("... <br/> !") == ""
    assert text_key("notgood") != text_key("not good")


def _ptb(folder: Path, **parts: str) -> None:
    for part, text in parts.items():
        (folder / f"ptb.{part}.txt").write_text(text)


@pytest.fixture
def tiny_ptb(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Penn Treebank were this small."""
    published = Published("ptb.{}.txt", {"train": Count(2, 7), "valid": Count(1, 3), "test": Count(1, 2)}, 5)
    monkeypatch.setattr(words_module, "KNOWN", {"ptb": published})


def test_published_counts_that_hold_pass_and_a_missing_part_is_said(tiny_ptb: None, tmp_path: Path) -> None:
    _ptb(tmp_path, train=" a b c \n a <unk> \n", valid="a b\n")
    found = read_word_files(tmp_path)
    assert (found.known, list(found.parts)) == ("ptb", ["train", "valid"])
    assert found.said == ("ptb: no test part here (ptb.test.txt)",)
    assert list(found.parts["train"]) == [" a b c ", " a <unk> "]


def test_other_counts_than_the_published_ones_are_refused_or_said(tiny_ptb: None, tmp_path: Path) -> None:
    _ptb(tmp_path, train=" a b c \n a d e \n", valid="a b\nc\n")
    with pytest.raises(DataError) as caught:
        read_word_files(tmp_path)
    for told in ("train has 8 tokens with <eos>, not 7", "train has a vocabulary of 6, not 5",
                 "valid has 2 lines, not 1", "valid has 5 tokens with <eos>, not 3"):
        assert told in str(caught.value)
    assert len(read_word_files(tmp_path, strict=False).said) == 5


def test_any_folder_of_text_is_read_by_parts_or_as_one(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    for part, name in {"train": "train.txt", "valid": "dev.txt", "test": "test.txt"}.items():
        (tmp_path / "parts" / name).write_text(f"{part}\n")
    found = read_word_files(tmp_path / "parts")
    assert {part: list(lines) for part, lines in found.parts.items()} == {
        "train": ["train"], "valid": ["valid"], "test": ["test"]}
    (tmp_path / "parts" / "valid.txt").write_text("again\n")
    with pytest.raises(DataError, match="a second 'valid' part"):
        read_word_files(tmp_path / "parts")
    (tmp_path / "books" / "b").mkdir(parents=True)
    (tmp_path / "books" / "b" / "2.txt").write_text("two\n\n")
    (tmp_path / "books" / "a.txt.gz").write_bytes(gzip.compress(b"one"))
    books = read_word_files(tmp_path / "books")
    assert list(books.parts["all"]) == ["one", "two", ""]
    assert books.accounts["all"].noted["empty lines, each of which is an <eos> alone"] == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="holds no text"):
        read_word_files(tmp_path / "none")
    (tmp_path / "none" / "blank.txt").write_text("\n \n")
    with pytest.raises(DataError, match="holds no words"):
        read_word_files(tmp_path / "none")
