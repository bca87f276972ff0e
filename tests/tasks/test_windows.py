"""No window sees what it must not: gaps, the future, another split's numbers."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from gatesweep.errors import DataError
from gatesweep.tasks.forecasting.loaders import WindowsModule
from gatesweep.tasks.forecasting.windows import WindowBatch, origins
from gatesweep.tasks.order import EpochShuffle

Make = Any


def whole(made: Any, split: str) -> WindowBatch:
    windows = made.windows(split)
    return windows.__getitems__(list(range(len(windows))))


@limits(max_examples=60, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4), before=st.integers(1, 12),
       horizon=st.integers(1, 6), stride=st.integers(1, 5), low=st.integers(0, 60), width=st.integers(0, 90))
def test_the_origins_are_exactly_the_rows_that_the_rules_allow(lengths: list[int], before: int, horizon: int,
                                                              stride: int, low: int, width: int) -> None:
    ends = np.cumsum([0, *lengths]).tolist()
    segments, border = list(pairwise(ends)), (low, low + width)
    found = origins(segments, border, before=before, horizon=horizon, stride=stride).tolist()
    expected = []
    for start, stop in segments:
        allowed = [row for row in range(start, stop) if row - before >= start and row + horizon <= stop
                   and border[0] <= row and row + horizon <= border[1]]
        expected += allowed[::stride]
    assert found == expected


def test_a_window_holds_consecutive_hours_of_one_stretch(prepared: Make, hourly: Make) -> None:
    made = prepared(hourly(400, segments=[(0, 130), (130, 290), (290, 400)]))
    hours = made.series.frame.index.to_numpy()
    for split in ("train", "val", "test", "all"):
        for origin in made.origins(split).tolist():
            steps = np.diff(hours[origin - 24 : origin + 4])
            assert (steps == np.timedelta64(1, "h")).all(), (split, origin)


def test_the_forecast_steps_of_a_split_lie_inside_it_and_every_row_can_be_scored(prepared: Make) -> None:
    made = prepared()
    covered = [set((made.origins(split)[:, None] + torch.arange(4)).flatten().tolist())
               for split in ("train", "val", "test")]
    assert covered == [set(range(24, 280)), set(range(280, 340)), set(range(340, 400))]


def test_a_batch_holds_the_values_that_slices_of_the_table_hold(prepared: Make) -> None:
    made = prepared(covariates=("temp",), known=("flag",), calendar=("hour",))
    batch = made.windows("train").__getitems__([5, 0, 17])
    assert batch.past_BTD.shape == (3, 12, 5)
    assert batch.future_BFE.shape == (3, 4, 3)
    for row, origin in enumerate([29, 24, 41]):
        assert torch.equal(batch.past_BTD[row], made.table_ND[origin - 12 : origin])
        assert torch.equal(batch.future_BFE[row], made.table_ND[origin : origin + 4, 2:])
        assert torch.equal(batch.target_BF[row], made.table_ND[origin : origin + 4, 0])
        assert batch.truth_BF[row].tolist() == pytest.approx(made.values_N[origin : origin + 4], rel=1e-6)
        assert batch.last_B[row].item() == pytest.approx(made.values_N[origin - 1], rel=1e-6)


def test_changes_are_differences_inside_a_stretch_and_zero_where_there_is_no_earlier_value(prepared: Make,
                                                                                          hourly: Make) -> None:
    made = prepared(hourly(400, segments=[(0, 130), (130, 400)]), changes=(6,), scaler="none")
    values, column = made.values_N, made.table_ND[:, 1].numpy()
    np.testing.assert_allclose(column[136:400], values[136:400] - values[130:394], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(column[6:130], values[6:130] - values[:124], rtol=1e-4, atol=1e-4)
    assert not column[:6].any()
    assert not column[130:136].any()


def test_a_filled_value_is_read_but_is_no_truth(prepared: Make, hourly: Make) -> None:
    series = hourly()
    filled = np.zeros(400, dtype=bool)
    filled[350] = True
    plain, marked = prepared(series), prepared(replace(series, filled_N=filled))
    one, other = whole(plain, "test"), whole(marked, "test")
    assert torch.equal(one.past_BTD, other.past_BTD)
    assert torch.equal(one.target_BF, other.target_BF)
    hours = other.origin_B[:, None] + torch.arange(4)
    assert torch.equal(other.truth_BF.isnan(), hours == 350)
    assert torch.equal(one.truth_BF[hours != 350], other.truth_BF[hours != 350])


@pytest.mark.parametrize("transform", ["none", "log", "difference", "log_return"])
def test_changing_target_and_covariates_from_the_origin_on_changes_no_input(prepared: Make, hourly: Make,
                                                                           transform: str) -> None:
    series = hourly()
    before = prepared(series, covariates=("temp",), changes=(5,), transform=transform)
    row = int(before.origins("test")[10])
    frame = series.frame.copy()
    frame.iloc[row:, :2] = frame.iloc[row:, :2].to_numpy() * 7 + 1
    after = prepared(replace(series, frame=frame), covariates=("temp",), changes=(5,), transform=transform)
    one, other = whole(before, "test"), whole(after, "test")
    assert torch.equal(one.past_BTD[:11], other.past_BTD[:11])
    assert torch.equal(one.future_BFE[:11], other.future_BFE[:11])
    assert torch.equal(one.last_B[:11], other.last_B[:11])
    assert not torch.equal(one.target_BF[10], other.target_BF[10])


def test_huge_values_in_val_and_test_leave_scaler_naive_error_and_lag_alone(prepared: Make, hourly: Make) -> None:
    series = hourly()
    frame = series.frame.copy()
    frame.iloc[280:, :] = 1e9
    for scaler in ("standard", "robust"):
        plain, huge = (prepared(each, covariates=("temp",), known=("flag",), scaler=scaler)
                       for each in (series, replace(series, frame=frame)))
        assert torch.equal(plain.scaler.center_C, huge.scaler.center_C)
        assert torch.equal(plain.scaler.scale_C, huge.scaler.scale_C)
        assert (plain.naive_error, plain.chosen_lag) == (huge.naive_error, huge.chosen_lag)


def test_the_training_rows_are_standardised(prepared: Make) -> None:
    train = prepared(covariates=("temp",)).table_ND[:280, :2]
    assert train.mean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-6)
    assert train.std(dim=0, correction=0).tolist() == pytest.approx([1, 1], abs=1e-6)


def test_fraction_keeps_the_latest_training_windows_and_all_of_val(prepared: Make) -> None:
    full, part = prepared(), prepared(fraction=0.25)
    assert part.origins("train").tolist() == full.origins("train").tolist()[-63:]
    assert torch.equal(part.origins("val"), full.origins("val"))


def test_trials_that_differ_in_lookback_alone_are_scored_on_the_same_windows(prepared: Make) -> None:
    assert torch.equal(prepared(lookback=8).origins("val"), prepared(lookback=24).origins("val"))


@pytest.mark.parametrize(("change", "words"), [
    (lambda frame: frame.assign(load=5.0), "constant over the 280 rows of train"),
    (lambda frame: frame.assign(load=frame["load"].where(frame.index != frame.index[31])), "1 values are missing"),
    (lambda frame: frame.rename(columns={"load": "lod"}), "no column 'load'"),
])
def test_data_that_cannot_be_learnt_from_is_refused(prepared: Make, hourly: Make, change: Any, words: str) -> None:
    series = hourly()
    with pytest.raises(DataError, match=words):
        prepared(replace(series, frame=change(series.frame)))


def test_a_stretch_too_short_for_one_window_is_refused_with_the_numbers(prepared: Make, hourly: Make) -> None:
    made = prepared(hourly(120, segments=[(0, 40), (40, 80), (80, 120)]), lookback=38)
    with pytest.raises(DataError, match=r"38 rows of history and a horizon of 4 are 42 rows.*stretch has 40 rows"):
        made.origins("train")
    with pytest.raises(DataError, match="'test' has 3"):
        prepared(splits={"train": 0.8, "val": 0.19, "test": 0.0075}).origins("test")


def test_a_logarithm_of_zero_is_refused(prepared: Make, hourly: Make) -> None:
    series = hourly()
    frame = series.frame.assign(load=series.frame["load"].clip(upper=100) - 100)
    with pytest.raises(DataError, match="needs values above 0"):
        prepared(replace(series, frame=frame), transform="log_return")


def test_the_order_is_a_permutation_and_a_function_of_seed_and_epoch_alone() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = EpochShuffle(100, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(1, 3)) == list(range(100))
    assert order(1, 3) == order(1, 3)
    assert len({tuple(order(seed, epoch)) for seed, epoch in [(1, 3), (3, 1), (2, 2), (1, 4), (2, 3)]}) == 5


def test_the_training_loader_gives_each_window_once_in_batches_of_the_size_asked_for(prepared: Make) -> None:
    made = prepared()
    batches = list(WindowsModule(made, batch_size=50, seed=1).train_dataloader())
    assert [len(batch.origin_B) for batch in batches[:-1]] == [50] * (len(batches) - 1)
    assert sorted(torch.cat([batch.origin_B for batch in batches]).tolist()) == made.origins("train").tolist()
