"""trials.csv and the frame behind it: every trial, every digit."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from gatesweep.report import TrialView
from gatesweep.report.page import write_report
from gatesweep.report.table import trials_frame


def test_the_csv_gives_back_every_value_bit_for_bit(a_sweep: Any, tmp_path: Any) -> None:
    view = a_sweep(30)
    write_report(view, tmp_path)
    back = pd.read_csv(tmp_path / "trials.csv", float_precision="round_trip")
    assert list(back["trial_id"]) == [trial.trial_id for trial in view.trials]
    for row, trial in zip(back.to_dict("records"), view.trials, strict=True):
        assert row["val/mae"] == trial.best_value
        assert row["outcome"] == trial.outcome
        for key, value in trial.params.items():
            assert row[key] == value
        assert pd.isna(row["optimizer.momentum"]) == ("optimizer.momentum" not in trial.params)


def test_columns_stand_in_the_promised_order(a_sweep: Any) -> None:
    names = list(trials_frame(a_sweep(12)).columns)
    assert names[:4] == ["trial_id", "number", "outcome", "val/mae"]
    assert names[-5:] == ["val/rmse", "epochs", "duration_s", "attempts", "reason"]
    assert set(names[4:-5]) == set(a_sweep().space)


def test_whole_numbers_stay_whole_where_some_trials_have_none(a_sweep: Any) -> None:
    trials = [TrialView("s/t0", 0, "completed", {"model.heads": 4}, best_value=1.0), TrialView("s/t1", 1, "failed", {})]
    assert str(trials_frame(a_sweep(trials=trials))["model.heads"].dtype) == "Int64"
    assert "s/t0,0,completed,1.0,4," in trials_frame(a_sweep(trials=trials)).to_csv(index=False)


def test_a_drawn_none_differs_from_a_parameter_that_was_not_drawn(a_sweep: Any) -> None:
    params: list[dict[str, Any]] = [{"clip": None}, {"clip": 1.0}, {}]
    trials = [TrialView(f"s/t{n}", n, "completed", drawn, best_value=1.0) for n, drawn in enumerate(params)]
    column = trials_frame(a_sweep(trials=trials))["clip"]
    assert list(column[:2]) == ["none", "1.0"]
    assert column.isna().tolist() == [False, False, True]


def test_failed_trials_without_a_metric_have_a_row_with_their_reason(a_sweep: Any, tmp_path: Any) -> None:
    reason = 'first line, with "quotes"\nsecond line'
    view = a_sweep(9)
    view = dataclasses.replace(view, trials=[*view.trials, TrialView("s/t9", 9, "failed", {}, reason=reason)])
    write_report(view, tmp_path)
    last = pd.read_csv(tmp_path / "trials.csv").iloc[-1]
    assert pd.isna(last["val/mae"])
    assert last["reason"] == reason


def test_a_parameter_named_like_a_column_does_not_replace_it(a_sweep: Any) -> None:
    frame = trials_frame(a_sweep(trials=[TrialView("s/t0", 0, "completed", {"epochs": 99}, best_value=1.0, epochs=3)]))
    assert (frame["epochs"][0], frame["params.epochs"][0]) == (3, 99)


def test_a_sweep_without_trials_has_the_columns_that_every_sweep_has(a_sweep: Any) -> None:
    frame = trials_frame(dataclasses.replace(a_sweep(1), trials=[]))
    assert len(frame) == 0
    assert {"trial_id", "outcome", "val/mae", "reason"} <= set(frame.columns)
