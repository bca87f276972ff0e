"""Vocabulary from the training text alone; what it lacks is counted; what cannot be read is refused."""

from collections import Counter
from pathlib import Path

import pytest

from gatesweep.errors import ConfigError, DataError
from gatesweep.runs.build import prepare
from gatesweep.runs.experiment import experiment_from
from gatesweep.tasks.language_modeling import source
from gatesweep.tasks.language_modeling.config import LanguageData
from gatesweep.tasks.language_modeling.corpus import build, text_of
from gatesweep.train.score import score


def _corpus(train: list[str], val: list[str], **values):
    data = LanguageData(path="unused", **values)
    return build({"train": train, "val": val}, data)


def test_the_words_are_the_training_text_s_and_rare_ones_are_unknown():
    corpus = _corpus(["b a a c", "a b"], ["a d", "c"])
    assert corpus.vocabulary.words == ("<eos>", "<unk>", "a", "b")
    assert corpus.vocabulary.decode(corpus.parts["train"].ids_N) == ["b", "a", "a", "<unk>", "<eos>", "a", "b", "<eos>"]
    assert corpus.vocabulary.decode(corpus.parts["val"].ids_N) == ["a", "<unk>", "<eos>", "<unk>", "<eos>"]
    assert (corpus.parts["val"].unknown, corpus.parts["train"].unknown, corpus.distinct) == (2, 1, 3)


def test_text_that_brings_unknown_words_keeps_its_rare_ones():
    corpus = _corpus(["b a <unk>"], ["a d"])
    assert set(corpus.vocabulary.words) == {"<eos>", "<unk>", "a", "b"}


def test_a_vocabulary_over_the_limit_keeps_the_most_frequent_and_says_how_many_went():
    corpus = _corpus(["a a a b b c c d d"], ["a b c d"], max_vocabulary=4)
    assert corpus.vocabulary.words == ("<eos>", "<unk>", "a", "b")
    assert (corpus.distinct, corpus.parts["train"].unknown) == (4, 4)


def test_an_empty_line_is_an_end_of_line_and_is_counted():
    part = _corpus(["a a", "", "a"], ["a"]).parts["train"]
    assert (part.lines, part.empty, len(part.ids_N)) == (3, 1, 6)


def test_without_ends_of_lines_the_lines_run_on():
    corpus = _corpus(["a b", "a b"], ["b a"], eos=False)
    assert corpus.vocabulary.decode(corpus.parts["train"].ids_N) == ["a", "b", "a", "b"]


def test_characters_have_a_sign_for_the_space():
    corpus = _corpus([" no one ", "on no"], ["no"], level="char", min_count=1)
    assert corpus.vocabulary.decode(corpus.parts["train"].ids_N) == [*"no_one", "<eos>", *"on_no", "<eos>"]
    assert text_of([*"no_one", "<eos>", "o"], LanguageData(path="unused", level="char")) == "no one\no"


def test_the_unigram_and_the_bigram_are_those_of_a_written_out_count(config_of, folder: Path):
    task, _ = prepare(config_of())
    words = task.corpus.vocabulary.words
    text = {part: [word for line in (folder / f"ptb.{part}.txt").read_text().splitlines()
                   for word in [*line.split(), "<eos>"]] for part in ("train", "test")}  # fmt: skip
    counts, pairs = Counter(text["train"]), Counter(zip(["<eos>", *text["train"][:-1]], text["train"], strict=True))
    before, kinds_after, kinds_before = Counter(), Counter(), Counter()
    for (first, second), count in pairs.items():
        before[first] += count
        kinds_after[first] += 1
        kinds_before[second] += 1

    def bigram(first: str, second: str) -> float:
        q = max(kinds_before[second] - 0.75, 0) / len(pairs) + 0.75 * len(kinds_before) / (len(pairs) * len(words))
        if not before[first]:
            return q
        return max(pairs[first, second] - 0.75, 0) / before[first] + 0.75 * kinds_after[first] / before[first] * q

    def perplexity(chances: list[float]) -> float:
        product = 1.0
        for chance in chances:
            product *= chance ** (-1 / len(chances))
        return product

    unigram = [(counts[word] + 1) / (len(text["train"]) + len(words)) for word in text["test"]]
    pair = [bigram(*each) for each in zip(["<eos>", *text["test"][:-1]], text["test"], strict=True)]
    baseline = task.baseline("test")
    assert baseline.name == "unigram"
    assert baseline.candidates["unigram"]["ppl"] == pytest.approx(perplexity(unigram))
    assert baseline.candidates["bigram, Kneser-Ney"]["ppl"] == pytest.approx(perplexity(pair))
    assert sum(bigram("the", word) for word in words) == pytest.approx(1)


def test_a_run_is_scored_on_a_folder_that_it_never_saw_whatever_its_layout(config_of, tmp_path: Path):
    said: list[str] = []
    task, _ = prepare(config_of(), say=said.append)
    published, loose = tmp_path / "published", tmp_path / "loose"
    for place, name, text in ((published, "ptb.test.txt", " the cat sees \n the zebra \n"),
                              (loose, "some.txt", "the cat sees\nthe zebra\n")):  # fmt: skip
        place.mkdir()
        (place / name).write_text(text)
    assert score(task, "test", path=published) == score(task, "test", path=loose)
    assert [line for line in said if "test: 7 tokens in 2 lines; 1 (14.29%) are" in line] == said[:2]
    with pytest.raises(DataError, match="there is no val text"):
        task.loader("val", published)


def test_a_folder_without_a_test_text_is_trained_on_and_said(tmp_path: Path, config_of, folder: Path):
    (folder / "ptb.test.txt").unlink()
    task, _ = prepare(config_of())
    assert task.splits == ("train", "val")
    assert any("no test part" in line for line in task.describe())
    with pytest.raises(DataError, match="there is no test text"):
        task.loader("test")


def test_a_folder_of_any_text_is_shared_out_by_its_lines(tmp_path: Path):
    (tmp_path / "a.txt").write_text("".join(f"line {n}\n" for n in range(100)))
    data = LanguageData(path=str(tmp_path), splits={"train": 0.8, "val": 0.1, "test": 0.1})
    lines = source.read(source.dataset_of(data, print), data).lines
    assert [len(lines[split]) for split in ("train", "val", "test")] == [80, 10, 10]
    assert lines["test"][0] == "line 90"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("ptb.train.txt", "a b\n", "not ptb as published"),
        ("wiki.train.tokens", "a b\n", "not wikitext-2 as published"),
        ("train.txt", "a b\n", "not laid out like ptb"),
        ("notes.md", "a b\n", "holds no text"),
    ],
)
def test_a_standard_set_by_name_must_be_the_published_one(tmp_path: Path, name: str, text: str, message: str):
    (tmp_path / name).write_text(text)
    data = LanguageData(name="ptb", path=str(tmp_path))
    with pytest.raises(DataError, match=message):
        source.read(source.dataset_of(data, print), data)


def test_wrong_bytes_are_refused_with_file_line_and_byte(config_of, folder: Path):
    with (folder / "ptb.valid.txt").open("ab") as file:
        file.write(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"ptb.valid.txt.*line 31, byte 4"):
        prepare(config_of())


@pytest.mark.parametrize(
    ("train", "changes", "message"),
    [("a b c\n", {"trainer": {"batch_size": 8}}, "4 tokens are too few for 8 streams"), ("\n\n", {}, "no word")],
)
def test_too_little_text_is_refused_before_anything_is_trained(tmp_path: Path, train: str, changes, message: str):
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text(train)
    config = {"task": "language_modeling", "data": {"path": str(tmp_path)}, **changes}
    with pytest.raises(DataError, match=message):
        prepare(experiment_from(config, place="test"))


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        ("data", {"name": "ptb", "path": None}, "is read from a folder of yours"),
        ("data", {"name": "ptp"}, "no text is called 'ptp'"),
        ("data", {"name": "reviews"}, "takes no 'path'"),
        ("data", {"level": "char", "tokens": "words"}, "characters are predicted"),
        ("data", {"splits": {"train": 0.9, "val": 0.2}}, "more than there is"),
        ("model", {"last_size": 4, "residual": True}, "leave residual or last_size out"),
        ("model", {"output_dropout": 1.0}, "model.output_dropout"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_name(config_of, section: str, values, message: str):
    with pytest.raises(ConfigError, match=message):
        config_of(**{section: values})


def test_a_model_that_reads_backwards_is_no_language_model(config_of):
    with pytest.raises(ConfigError, match="must not see what comes later"):
        prepare(config_of(model={"bidirectional": True}))
