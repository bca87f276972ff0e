"""`data quality` of text finds what was planted, and says nothing where nothing is wrong."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from gatesweep.cli.data import app
from gatesweep.data.text.dispatch import text_quality
from gatesweep.data.text.judge import judge_texts
from gatesweep.data.text.near import RUN, SIMILAR, near_duplicates, units_of
from gatesweep.data.text.scripts import wrong_script
from gatesweep.errors import DataError

WORDS = [f"w{number}" for number in range(400)]


def _text(rng: np.random.Generator, length: int) -> str:
    return " ".join(rng.choice(WORDS, length))


def test_what_was_planted_is_counted_and_nothing_else() -> None:
    rng = np.random.default_rng(1)
    clean = [_text(rng, 30) for _ in range(200)]
    found = judge_texts("clean", clean)
    assert (found.empty, found.exact_duplicates, found.duplicates, found.near_duplicates, found.overlong,
            found.wrong_script) == (0, 0, 0, 0, 0, 0)
    near = clean[3].rsplit(" ", 1)[0] + " other"
    planted = [*clean, "...", clean[5], clean[6].upper() + "!", near, _text(rng, 900), "и вот " * 3]
    found = judge_texts("planted", planted)
    assert (found.empty, found.exact_duplicates, found.duplicates) == (1, 1, 2)
    assert found.near_examples == [(203, 3)]
    assert (found.overlong, found.longest_words) == (1, 900)
    assert found.wrong_script_places == [205]
    assert found.vocabulary == len({word for text in planted for word in text.lower().strip(".!").split()})
    assert found.growth[-1] == (found.words, found.vocabulary)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in zip(found.growth, found.growth[1:], strict=False))


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40).map(" ".join), max_size=12))
def test_near_duplicates_are_those_that_a_comparison_of_all_pairs_finds(keys: list[str]) -> None:
    def runs(key: str) -> set[tuple[str, ...]]:
        words = key.split()
        return {tuple(words[at : at + RUN]) for at in range(max(1, len(words) - RUN + 1))}

    def alike(a: str, b: str) -> bool:
        return a != b and len(runs(a) & runs(b)) >= SIMILAR * len(runs(a) | runs(b))

    found = near_duplicates(keys)
    assert all(early < late and alike(keys[early], keys[late]) for late, early in found)
    every = {late for early, late in combinations(range(len(keys)), 2) if alike(keys[early], keys[late])}
    assert {late for late, _ in found} <= every
    certain = {late for early, late in combinations(range(len(keys)), 2)
               if keys[early] != keys[late] and runs(keys[early]) == runs(keys[late])}
    assert certain <= {late for late, _ in found}


def test_japanese_is_counted_by_the_character_and_its_three_scripts_belong_together() -> None:
    assert units_of("元始に神 abc 12") == ["元", "始", "に", "神", "abc", "12"]
    texts = ["元始に神天地を", "アブラハムの子", "English text here", "日々", *["神は云たまふ"] * 20]
    wrong, shares = wrong_script(texts)
    assert wrong == []
    assert set(shares) == {"CJK", "HIRAGANA", "KATAKANA", "LATIN"}
    assert wrong_script(["神", "abc"], ["CJK", "HIRAGANA", "KATAKANA"])[0] == [1]


def _reviews(tmp_path: Path, wrong: int) -> Path:
    rng = np.random.default_rng(2)
    rows = []
    for number in range(300):
        label = ("neg", "pos")[number % 2]
        words = rng.choice(["awful", "dull", "waste"] if label == "neg" else ["superb", "lovely", "joy"], 8)
        told = label if number >= wrong else {"neg": "pos", "pos": "neg"}[label]
        rows.append(f"\"{' '.join(words)} {_text(rng, 2)}\",{told}")
    rows += ["same words,pos", "Same words!,neg"]
    (tmp_path / "own.csv").write_text("text,label\n" + "\n".join(rows) + "\n")
    return tmp_path / "own.csv"


def test_wrong_labels_are_among_the_first_candidates_and_conflicts_are_named(tmp_path: Path) -> None:
    report = text_quality(str(_reviews(tmp_path, wrong=6)))
    assert report.labels is not None
    assert report.labels.verdict is not None
    assert {each.row for each in report.labels.verdict.suspects[:6]} == set(range(6))
    assert report.labels.verdict.suspects[0].instead != report.labels.verdict.suspects[0].label
    assert [(each["rows"], each["labels"]) for each in report.labels.conflicts] == [([300, 301], ["pos", "neg"])]
    assert text_quality(str(tmp_path / "own.csv"), shown=0).labels.verdict is None  # type: ignore[union-attr]


def test_sound_labels_give_no_candidates(tmp_path: Path) -> None:
    report = text_quality(str(_reviews(tmp_path, wrong=0)))
    assert report.labels is not None
    assert report.labels.verdict is not None
    assert [each for each in report.labels.verdict.suspects if each.row < 300] == []


def _parallel(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    folder.mkdir()
    left = [_text(rng, 12) for _ in range(60)]
    right = [" ".join(f"x{word}" for word in each.split()) + " end" for each in left]
    right[7], left[9], left[20] = "short", left[8], ""
    right[30] = left[30]
    for name, lines in {"train.en": left, "train.xx": right, "val.en": left[:3], "val.xx": right[:3]}.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def test_parallel_text_is_judged_pair_by_pair_and_between_parts(tmp_path: Path) -> None:
    report = text_quality(str(_parallel(tmp_path / "p")))
    train = report.pairs[0]
    assert (train.part, train.pairs, train.unpaired["one side is empty"]) == ("train", 59, 1)
    assert (train.copies, train.several_targets, train.repeated) == (1, 1, 0)
    assert "line 8" in {each["reference"] for each in train.odd_examples}
    assert train.median_ratio == pytest.approx(13 / 12)
    assert report.leakage == {"train-val": 3}
    assert [each.name for each in report.texts] == ["train/en", "train/xx", "val/en", "val/xx"]


def test_which_reader_is_told_by_what_lies_there_and_what_cannot_be_judged_says_so(tmp_path: Path, world: Any) -> None:
    (tmp_path / "plain.txt").write_text("a b\n\na b\n")
    plain = text_quality(str(tmp_path / "plain.txt")).texts[0]
    assert (plain.texts, plain.exact_duplicates) == (2, 1)
    (tmp_path / "series.csv").write_text("time,load\n2024-01-01,1\n")
    with pytest.raises(DataError, match="no columns 'text' and 'label'"):
        text_quality(str(tmp_path / "series.csv"))
    with pytest.raises(DataError, match="no data set 'hour': there are hours, days"):
        text_quality("hour")
    folder = _parallel(tmp_path / "p")
    (folder / "train.fr").write_text("z\n" * 60)
    with pytest.raises(DataError, match="holds en, fr, xx: which two"):
        text_quality(str(folder))
    (folder / "val.fr").write_text("z\n" * 3)
    named = text_quality(str(folder), languages=("fr", "xx")).texts
    assert [each.name for each in named] == ["train/fr", "train/xx", "val/fr", "val/xx"]


def test_the_command_judges_a_path_and_a_series_by_the_same_name(cached_wheel: Any, tmp_path: Path) -> None:
    def told(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["quality", *arguments], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    place = str(_reviews(tmp_path, wrong=6))
    found = json.loads(told(place, "--suspects", "3", "--json"))
    assert found["texts"][0]["texts"] == 302
    assert len(found["labels"]["verdict"]["suspects"]) >= 6
    assert "candidates for wrong labels" in told(place)
    assert json.loads(told("hours", "--json"))["rows_read"] == 72
    parallel = json.loads(told(str(_parallel(tmp_path / "p")), "--source", "xx", "--target", "en", "--json"))
    assert parallel["pairs"][0]["median_ratio"] == pytest.approx(12 / 13)
    with pytest.raises(DataError, match="go together"):
        told(place, "--source", "de")


def test_a_pull_says_first_what_it_fetches_and_nothing_where_all_is_here(cached_wheel: Any) -> None:
    done = CliRunner().invoke(app, ["pull"], catch_exceptions=False)
    assert "to fetch: hours (0.0 MB), days (0.0 MB); about 0 MB of room, and at most 0 MB to download" in done.stderr
    assert "one of them alone: gatesweep data pull hours" in done.stderr
    assert "to fetch" not in CliRunner().invoke(app, ["pull"], catch_exceptions=False).stderr
