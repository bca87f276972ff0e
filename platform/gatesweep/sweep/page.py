"""A sweep's report folder: the offline page, its CSV, and the best trial's configuration as a file to run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatesweep.report.page import write_report
from gatesweep.report.view import SweepView
from gatesweep.sweep.ledger import Ledger
from gatesweep.sweep.view import sweep_view
from gatesweep.track.dress import as_yaml

BEST = "best.yaml"


def write_page(ledger: Ledger, sweep_id: str, lock: Mapping[str, Any], folder: Path) -> tuple[Path, SweepView]:
    """Write `report/` below the sweep's folder from its log; the page's path and what it shows."""
    view, ranked = sweep_view(ledger, sweep_id, lock), ledger.ranked()
    report = folder / "report"
    if ranked:
        report.mkdir(parents=True, exist_ok=True)
        goal = ledger.spec.goal
        config = ledger.config(ranked[0], ranked[0].best_epoch(goal.metric, goal.mode))
        (report / BEST).write_text(as_yaml(config), encoding="utf-8")
        view = replace(view, experiment=str(report / BEST))
    return write_report(view, report), view
