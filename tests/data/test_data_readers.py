"""Series: what a declared rule covers is done and counted, everything else is refused by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatesweep.data.cleaning import runs_of
from gatesweep.data.fetch import ensure, user_file
from gatesweep.data.readers import Series, load_series, read_csv, read_series
from gatesweep.data.rules import Flag, Pivot, Rules, SeriesSpec, Valid
from gatesweep.errors import DataError

FILL = Rules(fill="linear", fill_up_to=2, longer="split")


def _csv(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _hours(*hours: int) -> list[str]:
    return ["time,y", *(f"2024-01-{1 + h // 24:02d} {h % 24:02d}:00,{h}" for h in hours)]


def test_a_plain_hourly_file_is_read_as_it_is(tmp_path: Path) -> None:
    series = read_csv(_csv(tmp_path, *_hours(0, 1, 2, 3)), target="y")
    assert (series.step, series.segments, series.values_N.tolist()) == ("1h", [(0, 4)], [0, 1, 2, 3])
    assert series.frame.index[-1] == pd.Timestamp("2024-01-01 03:00")
    assert series.frame.dtypes.tolist() == [np.float64]
    assert not series.filled_N.any()
    assert series.cleaning.dropped == {}


def test_load_series_reads_a_users_file_and_a_set_alike(cached_wheel: Any, tmp_path: Path) -> None:
    own = load_series(user_file(_csv(tmp_path, *_hours(0, 1, 2))), target="y")
    tiny = load_series(ensure("hours"))
    assert own.target == "y"
    assert (tiny.target, len(tiny.frame), tiny.step) == ("load", 72, "1h")
    with pytest.raises(DataError, match="no series 'mian'") as caught:
        load_series(ensure("hours"), series="mian")
    assert "'main'" in str(caught.value)


def test_short_gaps_are_filled_on_the_line_and_long_ones_split(tmp_path: Path) -> None:
    series = read_csv(_csv(tmp_path, *_hours(0, 1, 4, 5, 9, 10)), target="y", rules=FILL)
    assert series.values_N.tolist() == [0, 1, 2, 3, 4, 5, 9, 10]
    assert series.filled_N.tolist() == [False, False, True, True, False, False, False, False]
    assert series.segments == [(0, 6), (6, 8)]
    assert series.cleaning.filled == {"y": 2}
    assert series.cleaning.missing_steps == 5
    assert series.cleaning.gaps == [{"after": "2024-01-01 05:00:00", "before": "2024-01-01 09:00:00", "steps": 3}]


def test_filling_with_the_previous_value_never_looks_ahead(tmp_path: Path) -> None:
    rules = Rules(fill="previous", fill_up_to=2, longer="split")
    assert read_csv(_csv(tmp_path, *_hours(0, 1, 4)), target="y", rules=rules).values_N.tolist() == [0, 1, 1, 1, 4]


def test_without_rules_missing_stamps_split_and_nothing_is_filled(tmp_path: Path) -> None:
    series = read_csv(_csv(tmp_path, *_hours(0, 1, 2, 4, 5)), target="y")
    assert series.segments == [(0, 3), (3, 5)]
    assert len(series.frame) == 5


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(1, 5))
def test_segments_cover_all_rows_once_and_no_segment_holds_a_gap(present: list[bool], longest: int) -> None:
    from gatesweep.data.cleaning import Origin, clean, stamps_of

    present = [True, *present, True]
    stamps = pd.date_range("2024-01-01", periods=len(present), freq="1h")[present]
    table = pd.DataFrame({"y": np.arange(len(stamps), dtype=float)}, index=stamps)
    rules = Rules(fill="linear", fill_up_to=longest, longer="split")
    done = clean(table, rules, step="1h", name="t", origin=Origin("t", stamps_of(table)))
    assert [row for start, stop in done.segments for row in range(start, stop)] == list(range(len(done.frame)))
    for start, stop in done.segments:
        assert set(np.diff(done.frame.index[start:stop].to_numpy())) <= {np.timedelta64(1, "h")}
    gaps = [stop - start for start, stop in runs_of(~np.array(present))]
    assert len(done.segments) == 1 + sum(gap > longest for gap in gaps)
    assert int(done.filled.sum()) == sum(gap for gap in gaps if gap <= longest)
    assert done.frame.notna().all(axis=None)


def test_impossible_values_become_missing_are_filled_and_counted(tmp_path: Path) -> None:
    lines = [*_hours(0, 1, 2, 3)]
    lines[2] = lines[2].replace(",1", ",9831")
    rules = Rules(valid={"y": Valid(least=0, most=400)}, fill="linear", fill_up_to=2)
    series = read_csv(_csv(tmp_path, *lines), target="y", rules=rules)
    assert series.values_N.tolist() == [0, 1, 2, 3]
    assert (series.cleaning.impossible, series.cleaning.filled) == ({"y": 1}, {"y": 1})


def test_a_repeated_stamp_is_refused_by_line_or_dropped_by_rule(tmp_path: Path) -> None:
    path = _csv(tmp_path, *_hours(0, 1, 1, 2))
    with pytest.raises(DataError, match=r"own\.csv: line 4: 1 row\(s\) repeat a stamp, first 2024-01-01 01:00"):
        read_csv(path, target="y")
    series = read_csv(path, target="y", rules=Rules(duplicates="first"))
    assert len(series.frame) == 3
    assert series.cleaning.dropped == {"a stamp that repeats (the first kept)": 1}


def test_unsorted_stamps_are_refused_by_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"line 4: stamps are not sorted: 2024-01-01 01:00"):
        read_csv(_csv(tmp_path, *_hours(0, 2, 1)), target="y")


def test_a_stamp_off_the_grid_is_refused_by_line(tmp_path: Path) -> None:
    lines = [*_hours(0, 1, 2), "2024-01-01 03:07,3"]
    with pytest.raises(DataError, match=r"line 5: the rows are mostly 0 days 01:00:00 apart"):
        read_csv(_csv(tmp_path, *lines), target="y")
    with pytest.raises(DataError, match=r"line 5: 2024-01-01 03:07:00 is not on the grid of 1h"):
        read_csv(_csv(tmp_path, *lines), target="y", step="1h")
    assert read_csv(_csv(tmp_path, *lines), target="y", step="rows").step is None


@pytest.mark.parametrize(("bad", "message"), [
    ("2024-01-01 02:00,many", r"line 4: not a number in column 'y': 'many'"),
    ("2024-01-01 02:00,inf", r"line 4: not a number in column 'y'"),
    ("2024-13-01 02:00,2", r"line 4: not a stamp: '2024-13-01 02:00'"),
    ("03/04/2024,2", r"line 4: not a stamp: '03/04/2024'"),
    ("1704067200,2", r"line 4: not a stamp: '1704067200'"),
    (",2", r"line 4: no stamp in column 'time'"),
    ("2024-01-01 02:00,", r"line 4: 1 row\(s\) lack a value, first 'y' at 2024-01-01 02:00:00; no rule fills it"),
    ("2024-01-01T02:00+01:00,2", "time zone"),
])
def test_a_bad_row_is_refused_by_line_and_value(tmp_path: Path, bad: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_csv(_csv(tmp_path, *_hours(0, 1), bad, *_hours(3)[1:]), target="y")


def test_missing_values_beyond_the_rule_are_refused(tmp_path: Path) -> None:
    lines = [*_hours(0), *(line.split(",")[0] + "," for line in _hours(1, 2, 3)[1:]), *_hours(4)[1:]]
    with pytest.raises(DataError, match="runs of at most 2 are filled"):
        read_csv(_csv(tmp_path, *lines), target="y", rules=Rules(fill="linear", fill_up_to=2))
    assert len(read_csv(_csv(tmp_path, *lines), target="y", rules=Rules(fill="linear", fill_up_to=3)).frame) == 5


@pytest.mark.parametrize(("lines", "message"), [
    ([], "cannot be read as CSV"), (["time,y"], "no row below the header"), (_hours(0), "one row alone is no series")])
def test_a_file_without_a_series_in_it_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    path = tmp_path / "own.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError, match=message):
        read_csv(path, target="y")


@pytest.mark.parametrize(("lines", "message"), [
    (["time,y,z", "2024-01-01 00:00,1,2", "2024-01-01 01:00,1,013.5,2"], "line 3: has 4 fields, and the header has 3"),
    (["time,y,z", "2024-01-01 00:00,1,2", "2024-01-01 01:00,1"], "line 3: has 2 fields, and the header has 3"),
    (["time,y,y", "2024-01-01 00:00,1,2"], "has 2 columns of the name 'y'"),
    (["time,y", '2024-01-01 00:00,"10,5"'], "hint: numbers have a decimal point"),
])
def test_a_row_that_pandas_would_shift_or_cut_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_csv(_csv(tmp_path, *lines), target="y")
    assert message in str(caught.value)


def test_offsets_that_change_with_the_season_become_utc(tmp_path: Path) -> None:
    local = pd.date_range("2024-10-27 00:00", periods=6, freq="1h", tz="Europe/Berlin")
    rows = [f"{stamp.isoformat()},{number}" for number, stamp in enumerate(local)]
    series = read_csv(_csv(tmp_path, "time,y", *rows), target="y")
    assert series.frame.index.tolist() == list(pd.date_range("2024-10-26 22:00", periods=6, freq="1h"))
    assert series.segments == [(0, 6)]


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_bytes(b"\x80\x04\x95\xff\xfe\x00" * 20)
    with pytest.raises(DataError, match="cannot be read as CSV"):
        read_csv(tmp_path / "own.csv", target="y")


def test_a_missing_column_is_answered_with_the_near_one(tmp_path: Path) -> None:
    path = _csv(tmp_path, "time,Volume,rain", "2024-01-01,1,0", "2024-01-02,2,0")
    with pytest.raises(DataError, match="no column 'volumes'") as caught:
        read_csv(path, target="volumes")
    assert "did you mean 'Volume'?" in str(caught.value)
    with pytest.raises(DataError, match="no column 'rian'"):
        read_csv(path, target="Volume", past=["rian"])
    with pytest.raises(DataError, match="named twice"):
        read_csv(path, target="Volume", past=["Volume"])
    with pytest.raises(DataError, match="which column is the target"):
        read_csv(path, target=None)


def test_other_forms_of_dates_need_their_format(tmp_path: Path) -> None:
    path = _csv(tmp_path, "day,y", "03/04/2024,1", "04/04/2024,2")
    series = read_csv(path, target="y", time_format="%d/%m/%Y")
    assert series.frame.index[0] == pd.Timestamp("2024-04-03")


def test_stamps_with_one_zone_become_utc(tmp_path: Path) -> None:
    path = _csv(tmp_path, "time,y", "2024-01-01T02:00+02:00,1", "2024-01-01T03:00+02:00,2")
    assert read_csv(path, target="y").frame.index[0] == pd.Timestamp("2024-01-01 00:00")


def test_rows_without_a_grid_split_where_the_rule_says(tmp_path: Path) -> None:
    days = ["2024-01-05", "2024-01-08", "2024-01-09", "2024-02-20", "2024-02-21"]
    path = _csv(tmp_path, "day,y", *(f"{day},1" for day in days))
    assert read_csv(path, target="y", step="rows", rules=Rules(max_gap="10D")).segments == [(0, 3), (3, 5)]
    assert read_csv(path, target="y", step="rows").segments == [(0, 5)]


def _spec(**changes: Any) -> SeriesSpec:
    return SeriesSpec(**{"time": ["time"], "target": "y", **changes})


def test_a_flag_marks_its_whole_day_also_where_rows_were_filled(tmp_path: Path) -> None:
    rows = [f"2024-01-0{day} {hour:02d}:00,1,{'Feast' if (day, hour) == (2, 0) else 'None'}"
            for day in (1, 2, 3) for hour in range(24) if (day, hour) != (2, 5)]
    spec = _spec(known=["holiday"], step="1h", rules=FILL, flags={"holiday": Flag(absent="None", whole_day=True)})
    series: Series = read_series(_csv(tmp_path, "time,y,holiday", *rows), spec, "t")
    on = series.frame["holiday"]
    assert on.sum() == 24
    assert set(on[on == 1].index.date) == {pd.Timestamp("2024-01-02").date()}


def test_a_long_table_is_turned_and_rows_before_a_listing_are_dropped(tmp_path: Path) -> None:
    path = _csv(tmp_path, "time,who,v", "2024-01-01,A,1", "2024-01-02,A,2", "2024-01-03,A,3", "2024-01-02,B,20",
                "2024-01-03,B,30")
    spec = _spec(target="B", past=["A"], pivot=Pivot(key="who", value="v"), step="rows", rules=Rules(leading="drop"))
    series = read_series(path, spec, "t")
    assert series.frame.to_numpy().tolist() == [[20, 2], [30, 3]]
    assert sum(series.cleaning.dropped.values()) == 1
    with pytest.raises(DataError, match="no column 'C'"):
        read_series(path, spec.model_copy(update={"target": "C"}), "t")


def test_the_account_says_what_was_dropped_filled_and_left(tmp_path: Path) -> None:
    rules = FILL.model_copy(update={"duplicates": "first"})
    cleaning = read_csv(_csv(tmp_path, *_hours(0, 1, 1, 3, 4, 9)), target="y", rules=rules).cleaning
    text = "\n".join(cleaning.lines())
    assert "6 rows read, 6 in the series, 2 segment(s)" in text
    assert "dropped 1 rows: a stamp that repeats" in text
    assert "filled 1 value(s) of y: linear" in text
    assert "1 gap(s) kept" in text
    assert cleaning.as_dict()["gaps"][0]["steps"] == 4


def test_dates_and_times_of_day_in_two_columns_make_one_stamp(tmp_path: Path) -> None:
    lines = ["Date,Time,y", "16/12/2006,23:59:00,1", "17/12/2006,00:00:00,?", "17/12/2006,00:01:00,3"]
    spec = SeriesSpec(time=["Date", "Time"], time_format="%d/%m/%Y %H:%M:%S", target="y", na_values=["?"], rules=FILL)
    series = read_series(_csv(tmp_path, *lines), spec, "t")
    assert series.frame.index.tolist() == list(pd.date_range("2006-12-16 23:59", periods=3, freq="1min"))
    assert (series.values_N.tolist(), series.cleaning.missing) == ([1, 2, 3], {"y": 1})
    lines[2] = "17/12/2006,25:00:00,2"
    with pytest.raises(DataError, match=r"line 3: not a stamp: '17/12/2006 25:00:00'"):
        read_series(_csv(tmp_path, *lines), spec, "t")
    with pytest.raises(ValueError, match="one blank"):
        SeriesSpec(time=["Date", "Time"], target="y")
