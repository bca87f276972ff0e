"""A sweep's page in the MLflow UI: its trials as a table, and two charts that show all of them.

MLflow lists runs without metrics or parameters, and folds nested ones away. What its "Share view" button stores in a
tag of the experiment is written here for every sweep, so that an address with `viewStateShareKey=<sweep_id>` opens it:

    filter      the sweep's trials          columns     objective, dimensions of the space, outcome
    order       the objective's last value  charts      parallel coordinates, the objective by epoch

The keys are those of MLflow 3.17's experiment page; a browser test holds them.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from gatesweep.track import addresses as names
from gatesweep.track.records import goal_of

_TAG_CHARS = 5000  # MLflow's limit on an experiment's tag
_SECTION = "sweep"


def shared_view(sweep_id: str, spec: Mapping[str, Any]) -> str:
    """The tag's value, compressed as MLflow does; empty where the sweep names no objective or the tag would not fit."""
    goal, space = goal_of(spec), spec.get("space") or {}
    if goal is None:
        return ""
    told = {**_table(sweep_id, *goal, list(space)),
            **_charts(goal[0], [key for key, told in space.items() if not _conditional(told)])}
    packed = zlib.compress(json.dumps(told, separators=(",", ":"), ensure_ascii=True).encode(), 9)
    text = f"deflate;{base64.b64encode(packed).decode()}"
    return text if len(text) <= _TAG_CHARS else ""


def _conditional(dimension: Any) -> bool:
    """Not every trial has a value of it, and MLflow's plot leaves out the trials that have none."""
    return bool(isinstance(dimension, Mapping) and dimension.get("when"))


def _table(sweep_id: str, metric: str, mode: str, dimensions: list[str]) -> dict[str, Any]:
    trials = f"tags.`{names.SWEEP_ID}` = '{sweep_id}' and tags.`{names.KIND}` = 'trial'"
    columns = [f"metrics.`{metric}`", *(f"params.`{key}`" for key in dimensions), f"tags.`{names.OUTCOME}`"]
    return {"searchFilter": trials, "orderByKey": columns[0], "orderByAsc": mode == "min", "startTime": "ALL",
            "lifecycleFilter": "Active", "modelVersionFilter": "All Runs", "datasetsFilter": [],
            "selectedColumns": columns, "runsHiddenMode": "SHOW_ALL"}


def _charts(metric: str, dimensions: list[str]) -> dict[str, Any]:
    """One below the other and as wide as the page: at MLflow's three a row, the axes' names lie on each other."""
    card = {"metricSectionId": _SECTION, "deleted": False, "isGenerated": False, "runsCountToCompare": 1000}
    parallel = {**card, "type": "PARALLEL", "uuid": "parallel", "selectedParams": dimensions,
                "selectedMetrics": [metric], "showAllRuns": True}
    curves = {**card, "type": "LINE", "uuid": "curves", "metricKey": metric, "selectedMetricKeys": [metric]}
    section = {"uuid": _SECTION, "name": _SECTION, "display": True, "isReordered": True, "deleted": False,
               "isGenerated": False, "columns": 1, "cardHeight": 420}
    return {"compareRunSections": [section], "compareRunCharts": [parallel, curves], "isAccordionReordered": True}
