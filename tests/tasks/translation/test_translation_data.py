"""Parallel text on its way to numbers: what is read, what is left out and said, what is refused."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatesweep.config.loader import build
from gatesweep.data.text.account import TextAccount
from gatesweep.data.text.pairs import Pair, Pairs
from gatesweep.errors import ConfigError, DataError
from gatesweep.tasks.translation import source as sources
from gatesweep.tasks.translation.config import TranslationData
from gatesweep.tasks.translation.subwords import BEGIN, END, PAD, Subwords

Make = Callable[..., Any]


def batches(task: Any, epoch: int) -> list[Any]:
    loader = task.data_module.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def test_a_batch_is_what_the_decoder_reads_and_has_to_write(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel)
    encoded, seen = task.prepared.splits["train"], []
    for batch in batches(task, 0):
        for row, index in enumerate(batch.index_B.tolist()):
            seen.append(index)
            source, target = encoded.source[index].tolist(), encoded.target[index].tolist()
            assert batch.lengths_B[row] == len(source)
            assert [i for i in batch.source_BT[row].tolist() if i != PAD] == source
            assert [i for i in batch.given_BU[row].tolist() if i != PAD] == [BEGIN, *target]
            assert [i for i in batch.wanted_BU[row].tolist() if i != PAD] == [*target, END]
    assert sorted(seen) == list(range(120))


def test_the_order_is_a_function_of_seed_and_epoch(parallel: Path, make_task: Make) -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return [i for batch in batches(make_task(parallel, seed=seed), epoch) for i in batch.index_B.tolist()]

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


@pytest.mark.parametrize(("units", "size"), [("unigram", 60), ("bpe", 60), ("char", 60)])
def test_decoding_gives_the_text_back(parallel: Path, make_task: Make, units: str, size: int) -> None:
    task = make_task(parallel, units=units, vocabulary=size)
    for subwords, side in zip(task.module.subwords, ("sources", "references"), strict=True):
        lines = getattr(task.prepared.splits["val"], side)
        assert subwords.decode(subwords.encode(lines)) == lines


def test_the_same_text_gives_the_same_symbols_byte_for_byte() -> None:
    lines = ["a dog sees a cat", "a cat sees a house", "the old house sees the dog"] * 10
    one, two = (Subwords.learn(lines, units="unigram", size=40, place="test") for _ in range(2))
    assert one.proto == two.proto


def test_symbols_are_learnt_from_train_alone(parallel: Path, make_task: Make, write_pairs: Make) -> None:
    before = make_task(parallel).prepared.of_source.proto
    write_pairs(parallel, "val", [("Zebra Qualle Xylophon", "zebra jellyfish xylophone")] * 20)
    task = make_task(parallel)
    assert task.prepared.of_source.proto == before
    assert any(re.search(r"val: \d+ symbols of the source are unknown", line) for line in task.describe())


def test_with_a_joint_vocabulary_both_sides_have_one_numbering(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, joint=True, model={"tie": "all"})
    one, other = task.module.subwords
    assert one.proto == other.proto
    assert task.module.network.source is task.module.network.target


def test_tying_both_sides_without_a_joint_vocabulary_is_refused(parallel: Path, make_task: Make) -> None:
    with pytest.raises(ConfigError, match="needs one vocabulary"):
        make_task(parallel, model={"tie": "all"})


def test_resampled_sentences_are_other_cuts_of_the_same_text_in_every_epoch(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, resample=0.2)
    decode = task.module.subwords[0].decode

    def epoch(number: int) -> dict[int, list[int]]:
        return {index: [i for i in row if i != PAD] for batch in batches(task, number)
                for index, row in zip(batch.index_B.tolist(), batch.source_BT.tolist(), strict=True)}  # fmt: skip

    first, again, second = epoch(0), epoch(0), epoch(1)
    assert first == again
    assert first != second
    for cuts in (first, second):
        assert decode([cuts[i] for i in range(120)]) == task.prepared.splits["train"].sources


def test_every_epoch_has_as_many_batches_whatever_the_cuts(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, resample=0.2)
    assert {len(batches(task, epoch)) for epoch in range(4)} == {8}


def test_small_letters_are_read_and_the_text_as_it_is_is_the_reference(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, lower=True)
    encoded = task.prepared.splits["val"]
    assert task.module.subwords[0].decode(encoded.source) == [line.lower() for line in encoded.sources]
    assert any(line != line.lower() for line in encoded.sources)


def test_gz_or_not_gives_the_same(parallel: Path, make_task: Make, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.mkdir()
    for file in parallel.iterdir():
        (packed / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
    one, other = make_task(parallel).prepared, make_task(packed).prepared
    assert one.of_target.proto == other.of_target.proto
    for split in ("train", "val", "test"):
        assert one.splits[split].references == other.splits[split].references


def test_a_missing_test_file_is_said_and_the_run_is_scored_on_val_alone(parallel: Path, make_task: Make) -> None:
    for language in ("de", "en"):
        (parallel / f"test.{language}").unlink()
    task = make_task(parallel)
    assert task.splits == ("train", "val")
    assert any("scored on val alone" in line for line in task.describe())
    with pytest.raises(DataError, match="no files of 'test'"):
        task.loader("test")


def test_of_several_test_files_one_must_be_named(parallel: Path, make_task: Make, write_pairs: Make,
                                                 some_pairs: Make) -> None:
    write_pairs(parallel, "test_hard", some_pairs(7, 9))
    for language in ("de", "en"):
        (parallel / f"test.{language}").rename(parallel / f"test_easy.{language}")
    with pytest.raises(DataError, match="which test files") as raised:
        make_task(parallel)
    assert "data.test" in str(raised.value)
    assert len(make_task(parallel, test="test_hard").prepared.splits["test"]) == 7


def test_empty_and_overlong_pairs_are_left_out_of_training_counted_and_said(
    parallel: Path, make_task: Make, write_pairs: Make, some_pairs: Make
) -> None:
    odd = [("", "nothing"), ("nichts", "  "), ("Hund " * 30, "dog " * 30), ("und " * 30, "and")]
    write_pairs(parallel, "train", [*odd, *some_pairs(100, 4)])
    task = make_task(parallel, max_length=60, vocabulary=50, units="char")
    said = "\n".join(task.describe())
    assert len(task.prepared.splits["train"]) == 100
    assert re.search(r"dropped 2: one side is empty", said)
    assert "train: 2 pairs of over 60 symbols on a side left out" in said


def test_an_overlong_source_is_cut_where_it_is_asked_and_its_reference_is_not(parallel: Path, make_task: Make,
                                                                              write_pairs: Make) -> None:
    write_pairs(parallel, "val", [("Hund und " * 20 + ".", "and dog " * 20 + ".")])
    task = make_task(parallel, max_source=10)
    val = task.prepared.splits["val"]
    assert len(val.source[0]) == 10
    assert len(val.target[0]) > 10
    assert "val: 1 sources of over 10 symbols are cut" in task.describe()


def test_unpaired_lines_are_refused(parallel: Path, make_task: Make) -> None:
    with (parallel / "val.en").open("a") as file:
        file.write("one line too many.\n")
    with pytest.raises(DataError, match="24 lines against 25"):
        make_task(parallel)


def test_a_vocabulary_larger_than_the_text_s_is_what_there_is_and_said(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel, units="bpe", vocabulary=5000)
    sizes = [len(each) for each in task.module.subwords]
    assert max(sizes) < 200
    assert f"symbols: bpe, {sizes[0]} of de, {sizes[1]} of en" in task.describe()


def test_a_vocabulary_smaller_than_the_alphabet_is_refused_with_what_to_do(parallel: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="no bpe model of 16 symbols") as raised:
        make_task(parallel, units="bpe", vocabulary=16)
    assert "a larger data.vocabulary" in str(raised.value)


def test_without_a_pair_that_is_short_enough_there_is_nothing_to_learn(parallel: Path, make_task: Make) -> None:
    with pytest.raises(DataError, match="no training pair has at most 4 symbols"):
        make_task(parallel, units="char", max_length=4)


def test_verses_are_shared_out_by_whole_chapters_or_books() -> None:
    where = [(book, chapter, verse) for book in ("Ge", "Ex", "1 Ki", "Ps") for chapter in range(1, 21)
             for verse in range(1, 11)]  # fmt: skip
    pairs = tuple(Pair(f"english {i}", f"japanese {i}", f"{b} {c}:{v}") for i, (b, c, v) in enumerate(where))
    verses = Pairs(pairs, ("en", "ja"), TextAccount("verses", "verses"))
    by_chapter = sources._shared_out(verses, "chapter")
    groups = {split: {pair.reference.rpartition(":")[0] for pair in part} for split, part in by_chapter.items()}
    assert sum(map(len, groups.values())) == len(set.union(*groups.values())) == 80
    assert [len(by_chapter[split]) for split in ("train", "val", "test")] == [720, 40, 40]
    by_book = sources._shared_out(verses, "book")
    books = {split: {pair.reference.rpartition(" ")[0] for pair in part} for split, part in by_book.items()}
    assert sorted(map(len, books.values())) == [1, 1, 2]
    assert set.union(*books.values()) == {"Ge", "Ex", "1 Ki", "Ps"}


def test_verses_that_a_later_split_has_word_for_word_leave_the_earlier_ones_and_are_counted() -> None:
    def part(*sources: str) -> Pairs:
        return Pairs(tuple(Pair(s, f"ja {s}", "Ge 1:1") for s in sources), ("en", "ja"), TextAccount("v", "verses"))

    given = {"train": part("And he said,", "b", "c"), "val": part("b", "d"), "test": part("and he said", "d")}
    left, note = sources._unseen(given)
    assert {split: [pair.source for pair in pairs] for split, pairs in left.items()} == {
        "train": ["c"], "val": ["b"], "test": ["and he said", "d"]}
    assert note.startswith("verses: 3 ")


def test_a_share_of_the_training_pairs_comes_evenly_from_the_whole(parallel: Path, make_task: Make) -> None:
    whole, part = make_task(parallel).prepared, make_task(parallel, fraction=0.25).prepared
    assert part.splits["train"].references == whole.splits["train"].references[::4]
    assert part.splits["val"].references == whole.splits["val"].references


@pytest.mark.parametrize(("given", "said"), [
    ({}, "'path' is missing"),
    ({"path": "x"}, "'source' and 'target' are missing"),
    ({"name": "verses", "path": "x"}, "takes no 'path'"),
    ({"name": "multi31k", "path": "x"}, "no parallel set 'multi31k'"),
    ({"path": "x", "source": "de", "target": "de"}, "source and target are both 'de'"),
    ({"name": "multi30k", "path": "x", "target": "de"}, "source and target are both 'de'"),
    ({"name": "verses", "units": "char", "resample": 0.5}, "characters have none"),
])
def test_settings_that_name_no_text_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        build(TranslationData, given, place="data")


@pytest.mark.parametrize(("given", "languages"), [
    ({"name": "verses"}, ("en", "ja")),
    ({"name": "verses", "source": "ja"}, ("ja", "en")),
    ({"name": "multi30k", "path": "x"}, ("de", "en")),
    ({"name": "multi30k", "path": "x", "source": "en", "target": "de"}, ("en", "de")),
    ({"name": "multi30k", "path": "x", "target": "fr"}, ("de", "fr")),
])
def test_a_known_set_knows_its_direction(given: dict[str, Any], languages: tuple[str, str]) -> None:
    assert build(TranslationData, given, place="data").languages == languages


def test_the_batches_of_an_epoch_are_of_similar_length(parallel: Path, make_task: Make) -> None:
    task = make_task(parallel)
    wasted = [1 - float(batch.lengths_B.sum()) / batch.source_BT.numel() for batch in batches(task, 0)]
    assert np.mean(wasted) < 0.15
