"""A sweep's page in the MLflow UI, as the experiment's tag holds it. What the UI makes of it: tests/browser."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from gatesweep.track.shared_view import shared_view

SPACE = {"model.cell": {"choice": ["gru", "rnn"]}, "optimizer.name": {"choice": ["adamw", "sgd"]},
         "optimizer.momentum": {"uniform": [0.0, 0.9], "when": {"optimizer.name": "sgd"}}}


def shown(mode: str = "min") -> dict[str, Any]:
    text = shared_view("s-1", {"objective": {"metric": "val/mae", "mode": mode}, "space": SPACE})
    told: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text.removeprefix("deflate;"))))
    return told


def test_the_table_has_the_objective_every_dimension_and_the_outcome() -> None:
    assert shown()["selectedColumns"] == [
        "metrics.`val/mae`", "params.`model.cell`", "params.`optimizer.name`", "params.`optimizer.momentum`",
        "tags.`gatesweep.outcome`"]


def test_the_best_stands_first_whichever_way_the_objective_goes() -> None:
    assert [shown(mode)["orderByAsc"] for mode in ("min", "max")] == [True, False]


def test_the_parallel_coordinates_leave_out_what_not_every_trial_has() -> None:
    parallel = shown()["compareRunCharts"][0]
    assert (parallel["selectedParams"], parallel["selectedMetrics"]) == (["model.cell", "optimizer.name"], ["val/mae"])


def test_a_sweep_without_objective_or_too_wide_for_a_tag_has_none() -> None:
    wide = {f"model.{number * 7919 % 100_003:x}-{number}": {"uniform": [0.0, 1.0]} for number in range(2000)}
    assert shared_view("s-1", {}) == ""
    assert shared_view("s-1", {"objective": {"metric": "val/mae"}, "space": wide}) == ""
